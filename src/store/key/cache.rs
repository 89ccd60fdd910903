//! The keys of the response cache.
//!
//! Everything of one URL lies in one Cluster slot, and so do the versions of one namespace's tags with its log of purges:
//!
//! ```text
//! {prefix}:cache:{namespace}:{{url}}             what is stored for a URL, or which variants there are
//! {prefix}:cache:{namespace}:{{url}}:v:{g}:{v}   one variant, of one generation
//! {prefix}:cache:{namespace}:{{url}}:b:{id}:{n}  one segment of a body
//! {prefix}:cache:{namespace}:{{url}}:fill        who fills it, or :fill:{v} for one variant
//! {prefix}:cache:{{namespace}}:log               what was purged
//! {prefix}:cache:{{namespace}}:tag:{tag}         a tag's version
//! ```

use super::{Key, KeyPrefix, push_part};

impl Key {
    /// Where the response to a URL lies. `url` is the hash of all that selects it, so it stands in the key as it is.
    #[must_use]
    pub fn cached(prefix: &KeyPrefix, namespace: &str, url: &str) -> Self {
        Self::built([prefix.as_str(), ":cache:", namespace, ":{", url, "}"].concat())
    }

    /// What stands between braces: of a key of a URL, the hash of all that selects its response; of others of the cache, the namespace.
    #[must_use]
    pub fn hash_tag(&self) -> &str {
        let tag = self.0.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
        tag.map_or("", |(tag, _)| tag)
    }

    /// Where one variant of a URL's response lies. Both words are this crate's own.
    #[must_use]
    pub fn cached_variant(&self, generation: &str, variant: &str) -> Self {
        Self::built([&self.0, ":v:", generation, ":", variant].concat())
    }

    /// Where a segment of a body lies, which has a random name of its own.
    #[must_use]
    pub fn cached_segment(&self, body: &str, number: u32) -> Self {
        let mut digits = itoa::Buffer::new();
        Self::built([&self.0, ":b:", body, ":", digits.format(number)].concat())
    }

    /// Where it is written who fills a URL or one variant of it.
    #[must_use]
    pub fn cached_fill(&self, variant: Option<&str>) -> Self {
        match variant {
            None => Self::built([&self.0, ":fill"].concat()),
            Some(variant) => Self::built([&self.0, ":fill:", variant].concat()),
        }
    }

    /// Where a namespace's purges are written down.
    #[must_use]
    pub fn cache_log(prefix: &KeyPrefix, namespace: &str) -> Self {
        Self::built([prefix.as_str(), ":cache:{", namespace, "}:log"].concat())
    }

    /// Where a tag's version lies.
    #[must_use]
    pub fn cache_tag(prefix: &KeyPrefix, namespace: &str, tag: &str) -> Self {
        let mut key = [prefix.as_str(), ":cache:{", namespace, "}:tag:"].concat();
        push_part(&mut key, tag.as_bytes());
        Self::built(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_of_a_url_and_of_a_namespace_shares_a_hash_tag() {
        let prefix = KeyPrefix::default();
        let url = Key::cached(&prefix, "pages", "HASH");
        assert_eq!(url.hash_tag(), "HASH");
        let all = [
            url.as_str().to_owned(),
            url.cached_variant("gen", "var").as_str().to_owned(),
            url.cached_segment("body", 3).as_str().to_owned(),
            url.cached_fill(None).as_str().to_owned(),
            url.cached_fill(Some("var")).as_str().to_owned(),
            Key::cache_log(&prefix, "pages").as_str().to_owned(),
            Key::cache_tag(&prefix, "pages", "a:{b}").as_str().to_owned(),
        ];
        assert_eq!(
            all,
            [
                "keep:cache:pages:{HASH}",
                "keep:cache:pages:{HASH}:v:gen:var",
                "keep:cache:pages:{HASH}:b:body:3",
                "keep:cache:pages:{HASH}:fill",
                "keep:cache:pages:{HASH}:fill:var",
                "keep:cache:{pages}:log",
                "keep:cache:{pages}:tag:a%3A%7Bb%7D",
            ]
        );
    }
}
