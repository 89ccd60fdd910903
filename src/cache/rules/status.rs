//! What status codes mean to a cache (RFC 9110 §15, RFC 6585).

use std::sync::Arc;

use http::StatusCode;

/// A set of final status codes.
///
/// It never holds codes whose responses no cache may store as the response of a resource: those that answer a range or a condition of
/// one request (206, 226, 304, 412, 416) and those that RFC 6585 forbids to store (428, 429, 431, 511).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusSet(Option<Arc<[StatusCode]>>);

impl StatusSet {
    /// Every final status code that may be stored.
    #[must_use]
    pub const fn all() -> Self {
        Self(None)
    }

    /// These status codes, as far as they may be stored.
    #[must_use]
    pub fn only(codes: impl IntoIterator<Item = StatusCode>) -> Self {
        Self(Some(codes.into_iter().filter(|code| is_storable(*code)).collect()))
    }

    /// Whether it holds a status code.
    #[must_use]
    pub fn contains(&self, status: StatusCode) -> bool {
        match &self.0 {
            Some(codes) => codes.contains(&status),
            None => is_storable(status),
        }
    }
}

/// Interim responses are no responses to store (RFC 9111 §3: "final").
fn is_storable(status: StatusCode) -> bool {
    !status.is_informational()
        && !matches!(status.as_u16(), 206 | 226 | 304 | 412 | 416 | 428 | 429 | 431 | 511)
}

/// Whether all that is specified about caching a status code is done here (RFC 9111 §3), as `must-understand` demands.
#[must_use]
pub fn is_understood(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200..=206 | 300..=305 | 307 | 308 | 400..=417 | 421 | 422 | 426 | 428 | 429 | 431 | 451 | 500..=505 | 511
    )
}

/// Whether a response may be stored and reused without explicit freshness (RFC 9110 §15.1; RFC 7725 §3 for 451).
#[must_use]
pub fn is_heuristically_cacheable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 451 | 501)
}

/// Whether a stale response may stand in for one with this status (RFC 5861 §4).
#[must_use]
pub fn is_server_error(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(status: u16) -> StatusCode {
        StatusCode::from_u16(status).unwrap()
    }

    #[test]
    fn no_set_holds_what_no_cache_may_store() {
        for status in [100, 101, 103, 206, 226, 304, 412, 416, 428, 429, 431, 511] {
            assert!(!StatusSet::all().contains(code(status)), "{status}");
            assert!(!StatusSet::only([code(status)]).contains(code(status)), "{status}");
        }
        for status in [200, 203, 204, 299, 301, 302, 307, 400, 404, 410, 499, 500, 503, 599] {
            assert!(StatusSet::all().contains(code(status)), "{status}");
            assert!(StatusSet::only([code(status)]).contains(code(status)), "{status}");
            assert!(!StatusSet::only([]).contains(code(status)), "{status}");
        }
    }

    /// RFC 9110 §15.1.
    #[test]
    fn heuristics_are_for_the_codes_that_the_standards_name() {
        for status in [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 451, 501] {
            assert!(is_heuristically_cacheable(code(status)), "{status}");
        }
        for status in [201, 202, 206, 302, 303, 307, 400, 401, 403, 429, 500, 502, 503, 504, 599] {
            assert!(!is_heuristically_cacheable(code(status)), "{status}");
        }
    }

    #[test]
    fn unregistered_codes_are_not_understood() {
        for status in [299, 306, 399, 418, 499, 599, 999] {
            assert!(!is_understood(code(status)), "{status}");
        }
        assert!(is_understood(StatusCode::OK));
    }

    /// RFC 5861 §4.
    #[test]
    fn stale_stands_in_for_four_errors() {
        let stands_in: Vec<u16> =
            (100..=999).filter(|status| StatusCode::from_u16(*status).is_ok_and(is_server_error)).collect();
        assert_eq!(stands_in, [500, 502, 503, 504]);
    }
}
