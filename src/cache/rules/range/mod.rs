//! Parts of a stored body (RFC 9110 §14).

mod multipart;
mod plan;
mod spec;
#[cfg(test)]
mod tests;

use http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use http::{HeaderMap, HeaderValue};

pub use multipart::Multipart;
pub use plan::{RangePlan, plan_range};

/// Bytes of a body: from `start` up to, and not including, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first byte.
    pub start: u64,
    /// The byte behind the last one.
    pub end: u64,
}

impl Span {
    /// How many bytes they are.
    #[must_use]
    pub const fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.end <= self.start
    }

    /// `bytes 0-9/100` (§14.4).
    fn content_range(self, body_len: u64) -> HeaderValue {
        value(format!("bytes {}-{}/{body_len}", self.start, self.end.saturating_sub(1)))
    }
}

/// Makes the fields of a stored response those of a 206 with one part: `Content-Range` and `Content-Length`.
pub fn one_part(headers: &mut HeaderMap, span: Span, body_len: u64) {
    headers.insert(CONTENT_RANGE, span.content_range(body_len));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(span.len()));
}

/// `Content-Range` of a 416: `bytes */100` (§15.5.17).
#[must_use]
pub fn unsatisfiable(body_len: u64) -> HeaderValue {
    value(format!("bytes */{body_len}"))
}

/// ASCII is a value.
fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("bytes */*"))
}
