//! What selects a stored response: the URL, and what the policy adds to it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use super::policy::KeyParts;
use crate::view::RequestView;

/// The hash of what selects a stored response, before `Vary`: host, path, query and the policy's own parts (RFC 9111 §2, "cache key").
///
/// `GET` and `HEAD` share one. Different requests have different ones: they are SHA-256 over parts with their lengths.
pub(super) fn url_hash(request: &dyn RequestView, parts: &KeyParts) -> String {
    let mut text = SmallVec::<[u8; 256]>::new();
    let mut part = |value: &[u8]| {
        text.extend_from_slice(&(value.len() as u64).to_le_bytes());
        text.extend_from_slice(value);
    };
    let query = parts.query(request.query());
    let host = request.header("host").unwrap_or_default();
    if host.iter().any(u8::is_ascii_uppercase) {
        part(&host.to_ascii_lowercase());
    } else {
        part(&host);
    }
    part(request.full_path().as_bytes());
    // No query and an empty one are different URLs.
    part(query.as_deref().map_or(b"", |_| b"?"));
    part(query.as_deref().unwrap_or("").as_bytes());
    parts.each(request, &mut part);
    URL_SAFE_NO_PAD.encode(Sha256::digest(&text))
}

/// Host, path and query of a request, as they are part of its key: what purges by path look at.
pub(super) fn target_of(request: &dyn RequestView, parts: &KeyParts) -> String {
    let host = request.header("host").unwrap_or_default().to_ascii_lowercase();
    let query = parts.query(request.query());
    target(&String::from_utf8_lossy(&host), request.full_path(), query.as_deref())
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

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn request(host: &str, uri: &str) -> Request<()> {
        Request::get(uri).header("host", host).body(()).unwrap()
    }

    fn hash(host: &str, uri: &str) -> String {
        url_hash(&request(host, uri), &KeyParts::default())
    }

    #[test]
    fn different_urls_have_different_hashes() {
        let all = [
            hash("a", "/"),
            hash("b", "/"),
            hash("a", "/x"),
            hash("a", "/x?"),
            hash("a", "/x?a"),
            hash("ax", "/"),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(all.iter().skip(i + 1).all(|other| other != one), "{i}");
        }
        assert_eq!(hash("A.example", "/"), hash("a.example", "/"), "hosts are compared without case");
        assert_eq!(target_of(&request("H", "/a?b"), &KeyParts::default()), "h/a?b");
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
