//! Validators, and what they decide (RFC 9111 §4.3, RFC 9110 §8.8, §13).

mod etag;
mod freshen;
mod precondition;
#[cfg(test)]
mod tests;

use http::header::{ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE};
use http::{HeaderMap, HeaderValue, StatusCode};

pub use freshen::{Freshened, HeadEffect, Mismatch, freshen, freshen_by_head};
pub use precondition::{Precondition, evaluate, not_modified_fields};

pub(super) use precondition::is_same_representation;

/// The head of a stored response.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct StoredHead<'a> {
    /// Its status code.
    pub status: StatusCode,
    /// Its stored fields.
    pub headers: &'a HeaderMap,
    /// When it came or was last validated, in milliseconds since the Unix epoch.
    pub received_ms: u64,
}

impl<'a> StoredHead<'a> {
    /// The head of a response that came, or was validated, at `received_ms`.
    #[must_use]
    pub const fn new(status: StatusCode, headers: &'a HeaderMap, received_ms: u64) -> Self {
        Self { status, headers, received_ms }
    }
}

/// With what the handler is asked whether a stored response is still good (RFC 9111 §4.3.1).
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use tower_keep::cache::rules::Validators;
///
/// let mut stored = HeaderMap::new();
/// stored.insert("etag", HeaderValue::from_static("\"1\""));
/// let mut request = HeaderMap::new();
/// request.insert("if-none-match", HeaderValue::from_static("\"0\""));
/// request.insert("range", HeaderValue::from_static("bytes=0-9"));
/// Validators::of(&stored).apply(&mut request);
/// assert_eq!(request.len(), 1);
/// assert_eq!(request["if-none-match"], "\"1\"");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Validators {
    /// `ETag`, for `If-None-Match`.
    pub etag: Option<HeaderValue>,
    /// `Last-Modified`, for `If-Modified-Since`.
    pub last_modified: Option<HeaderValue>,
}

impl Validators {
    /// The validators of a stored response.
    #[must_use]
    pub fn of(stored: &HeaderMap) -> Self {
        Self { etag: stored.get(ETAG).cloned(), last_modified: stored.get(LAST_MODIFIED).cloned() }
    }

    /// Whether there is none: the handler is asked without a condition.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }

    /// Puts them into the request for the handler, in place of the client's own conditions and range.
    ///
    /// A client's condition is evaluated against what comes back ([`evaluate`]), and its range is cut out of that
    /// ([`plan_range`](super::plan_range)): a condition or range of one client would get an answer that is of no use to the others. An
    /// empty set takes the client's away and puts none in their place: for a request that shall fill the cache.
    pub fn apply(&self, request: &mut HeaderMap) {
        for name in [IF_NONE_MATCH, IF_MODIFIED_SINCE, RANGE, IF_RANGE] {
            request.remove(name);
        }
        if let Some(etag) = &self.etag {
            request.insert(IF_NONE_MATCH, etag.clone());
        }
        if let Some(date) = &self.last_modified {
            request.insert(IF_MODIFIED_SINCE, date.clone());
        }
    }
}
