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
        Self([prefix.as_str(), ":cache:", namespace, ":{", url, "}"].concat())
    }

    /// Where one variant of a URL's response lies. Both words are this crate's own.
    #[must_use]
    pub fn cached_variant(&self, generation: &str, variant: &str) -> Self {
        Self([&self.0, ":v:", generation, ":", variant].concat())
    }

    /// Where a segment of a body lies, which has a random name of its own.
    #[must_use]
    pub fn cached_segment(&self, body: &str, number: u32) -> Self {
        let mut digits = itoa::Buffer::new();
        Self([&self.0, ":b:", body, ":", digits.format(number)].concat())
    }

    /// Where it is written who fills a URL or one variant of it.
    #[must_use]
    pub fn cached_fill(&self, variant: Option<&str>) -> Self {
        match variant {
            None => Self([&self.0, ":fill"].concat()),
            Some(variant) => Self([&self.0, ":fill:", variant].concat()),
        }
    }

    /// Where a namespace's purges are written down.
    #[must_use]
    pub fn cache_log(prefix: &KeyPrefix, namespace: &str) -> Self {
        Self([prefix.as_str(), ":cache:{", namespace, "}:log"].concat())
    }

    /// Where a tag's version lies.
    #[must_use]
    pub fn cache_tag(prefix: &KeyPrefix, namespace: &str, tag: &str) -> Self {
        let mut key = [prefix.as_str(), ":cache:{", namespace, "}:tag:"].concat();
        push_part(&mut key, tag.as_bytes());
        Self(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_of_a_url_and_of_a_namespace_shares_a_hash_tag() {
        let prefix = KeyPrefix::default();
        let url = Key::cached(&prefix, "pages", "HASH");
        let all = [
            url.as_str().to_owned(),
            url.cached_variant("gen", "var").0,
            url.cached_segment("body", 3).0,
            url.cached_fill(None).0,
            url.cached_fill(Some("var")).0,
            Key::cache_log(&prefix, "pages").0,
            Key::cache_tag(&prefix, "pages", "a:{b}").0,
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
