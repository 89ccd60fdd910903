//! What a request that changes something makes invalid (RFC 9111 §4.4, RFC 9875).

mod groups;
mod reference;
#[cfg(test)]
mod tests;

use http::header::{CONTENT_LOCATION, LOCATION};
use http::{HeaderMap, StatusCode};

pub use groups::{GroupsError, MAX_GROUP_BYTES, MAX_GROUPS, cache_groups, invalidated_groups};
pub use reference::EffectiveUri;

use super::request::MethodKind;

/// Whether a response makes the stored responses of its URI invalid: the method is unsafe or unknown, and the response no error (2xx or
/// 3xx).
#[must_use]
pub fn invalidates(method: MethodKind, status: StatusCode) -> bool {
    method == MethodKind::Unsafe && (status.is_success() || status.is_redirection())
}

/// The URIs beside its own that a response [makes invalid](invalidates): `Location` and `Content-Location`, as path and query.
///
/// They are resolved as RFC 3986 §5 says. Those of another origin are left out: nobody may invalidate another's (RFC 9111 §4.4).
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use tower_keep::cache::rules::{EffectiveUri, invalidated};
///
/// let mut headers = HeaderMap::new();
/// headers.insert("location", HeaderValue::from_static("../42?page=1"));
/// headers.insert("content-location", HeaderValue::from_static("https://elsewhere.example/"));
/// let uri = EffectiveUri { scheme: Some("https"), authority: "example.org", path: "/a/b/new", query: None };
/// assert_eq!(invalidated(&uri, &headers), ["/a/42?page=1"]);
/// ```
#[must_use]
pub fn invalidated(uri: &EffectiveUri<'_>, headers: &HeaderMap) -> Vec<String> {
    let fields = [LOCATION, CONTENT_LOCATION].into_iter();
    let mut targets: Vec<String> = fields
        .filter_map(|name| headers.get(name)?.to_str().ok())
        .filter_map(|reference| uri.same_origin(reference))
        .collect();
    targets.dedup();
    targets
}
