//! What selects a stored response: the URL, and what the policy adds to it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::policy::KeyParts;
use crate::view::RequestView;

/// What selects a stored response, before `Vary`: host, path, query and the policy's own parts (RFC 9111 §2, "cache key").
///
/// `GET` and `HEAD` share one. Different requests have different keys: they are SHA-256 hashes over parts with their lengths.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct UrlKey {
    /// The hash, base64url.
    pub(super) hash: Arc<str>,
    /// Host, path and query, without white space: what purges by path look at.
    pub(super) target: Arc<str>,
}

impl UrlKey {
    /// The key of a request. `content` is the hash of what a `QUERY` request carries.
    pub(super) fn of(request: &dyn RequestView, parts: &KeyParts, content: Option<[u8; 32]>) -> Self {
        let host = request.header("host").unwrap_or_default().to_ascii_lowercase();
        let query = parts.query(request.query());
        let mut hash = Sha256::new();
        let mut part = |value: &[u8]| {
            hash.update((value.len() as u64).to_le_bytes());
            hash.update(value);
        };
        part(&host);
        part(request.full_path().as_bytes());
        // No query and an empty one are different URLs.
        part(query.as_deref().map_or(b"", |_| b"?"));
        part(query.as_deref().unwrap_or("").as_bytes());
        part(content.as_ref().map_or(&[], |content| &content[..]));
        parts.each(request, &mut part);
        let hash = URL_SAFE_NO_PAD.encode(hash.finalize()).into();
        Self {
            hash,
            target: target(&String::from_utf8_lossy(&host), request.full_path(), query.as_deref()).into(),
        }
    }
}

/// Host, path and query as one word.
pub(super) fn target(host: &str, path: &str, query: Option<&str>) -> String {
    let mut target =
        String::with_capacity(host.len() + path.len() + query.map_or(0, |query| query.len() + 1));
    push(&mut target, host);
    push(&mut target, path);
    if let Some(query) = query {
        target.push('?');
        push(&mut target, query);
    }
    target
}

/// Whether a purge of `pattern` concerns a target: everything (`*`), exactly one (`=` before it), or all below a path.
pub(super) fn concerns(pattern: &str, target: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    if let Some(exact) = pattern.strip_prefix('=') {
        return exact == target;
    }
    let Some(rest) = target.strip_prefix(pattern) else { return false };
    rest.is_empty() || pattern.ends_with('/') || rest.starts_with(['/', '?'])
}

/// URIs hold neither white space nor control characters; whoever hands us such all the same must not write a second word.
fn push(text: &mut String, part: &str) {
    if part.bytes().all(|b| b.is_ascii_graphic()) {
        return text.push_str(part);
    }
    for b in part.bytes() {
        if b.is_ascii_graphic() {
            text.push(char::from(b));
        } else {
            text.push_str(&format!("%{b:02X}"));
        }
    }
}

impl std::fmt::Debug for UrlKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UrlKey").field("hash", &self.hash).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn key(host: &str, uri: &str) -> UrlKey {
        let request = Request::get(uri).header("host", host).body(()).unwrap();
        UrlKey::of(&request, &KeyParts::default(), None)
    }

    #[test]
    fn different_urls_have_different_keys() {
        let all =
            [key("a", "/"), key("b", "/"), key("a", "/x"), key("a", "/x?"), key("a", "/x?a"), key("ax", "/")];
        for (i, one) in all.iter().enumerate() {
            assert!(all.iter().skip(i + 1).all(|other| other.hash != one.hash), "{i}");
        }
        assert_eq!(key("A.example", "/").hash, key("a.example", "/").hash, "hosts are compared without case");
        assert_eq!(*key("h", "/a?b").target, *"h/a?b");
    }

    #[test]
    fn what_a_request_carries_is_part_of_its_key() {
        let request = Request::get("/").body(()).unwrap();
        let of = |content| UrlKey::of(&request, &KeyParts::default(), content).hash;
        assert!(of(None) != of(Some([0; 32])) && of(Some([0; 32])) != of(Some([1; 32])));
    }

    #[test]
    fn purges_by_path_end_at_segments() {
        for (pattern, target, expected) in [
            ("*", "h/a", true),
            ("h/a", "h/a", true),
            ("h/a", "h/a/b", true),
            ("h/a", "h/a?q", true),
            ("h/a", "h/ab", false),
            ("h/", "h/ab", true),
            ("h", "h/ab", true),
            ("h", "h2/ab", false),
            ("=h/a", "h/a", true),
            ("=h/a", "h/a?q", false),
        ] {
            assert_eq!(concerns(pattern, target), expected, "{pattern} {target}");
        }
        assert_eq!(target("h", "/a b\n", None), "h/a%20b%0A");
    }
}
