//! `Cache-Status` (RFC 9211): how a cache handled a request.

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::forward::Forward;
use crate::syntax::is_token_byte;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// One cache's entry in `Cache-Status`.
///
/// ```
/// use http::{HeaderMap, StatusCode};
/// use tower_keep::cache::rules::{CacheStatus, Forward, StaleReason};
///
/// let mut headers = HeaderMap::new();
/// CacheStatus::hit("keep").ttl(376).append_to(&mut headers);
/// let stale = Forward::Stale(StaleReason::Expired);
/// CacheStatus::forward("keep", stale).status(StatusCode::NOT_MODIFIED).stored().append_to(&mut headers);
/// let values: Vec<_> = headers.get_all("cache-status").iter().collect();
/// assert_eq!(values, ["keep; hit; ttl=376", "keep; fwd=stale; fwd-status=304; stored; detail=expired"]);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct CacheStatus<'a> {
    cache: &'a str,
    forward: Option<Forward>,
    status: Option<StatusCode>,
    ttl: Option<i64>,
    is_stored: bool,
    is_collapsed: bool,
    key: Option<&'a str>,
    detail: Option<&'a str>,
}

impl<'a> CacheStatus<'a> {
    /// The response comes from the store (§2.1). `cache` is this cache's name.
    pub const fn hit(cache: &'a str) -> Self {
        Self::new(cache, None)
    }

    /// The request went to the handler (§2.2). What else is known about why is the `detail`, unless that is set.
    pub const fn forward(cache: &'a str, forward: Forward) -> Self {
        Self::new(cache, Some(forward))
    }

    const fn new(cache: &'a str, forward: Option<Forward>) -> Self {
        let detail = match forward {
            Some(forward) => forward.detail(),
            None => None,
        };
        Self {
            cache,
            forward,
            status: None,
            ttl: None,
            is_stored: false,
            is_collapsed: false,
            key: None,
            detail,
        }
    }

    /// The status code of the handler's response, where it is not that of this one (§2.3).
    pub const fn status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// For how many seconds the response is still fresh; below 0 when it is stale (§2.4).
    pub const fn ttl(mut self, seconds: i64) -> Self {
        self.ttl = Some(seconds);
        self
    }

    /// The response was stored (§2.5).
    pub const fn stored(mut self) -> Self {
        self.is_stored = true;
        self
    }

    /// The request shared its response with others (§2.6).
    pub const fn collapsed(mut self) -> Self {
        self.is_collapsed = true;
        self
    }

    /// The key (§2.7). It tells clients what it is made of.
    pub const fn key(mut self, key: &'a str) -> Self {
        self.key = Some(key);
        self
    }

    /// More about it (§2.8).
    pub const fn detail(mut self, detail: &'a str) -> Self {
        self.detail = Some(detail);
        self
    }

    /// Adds the entry behind those of caches closer to the handler (§2).
    pub fn append_to(&self, headers: &mut HeaderMap) {
        // A list of Structured Fields is printable ASCII, so it is a value.
        if let Ok(value) = HeaderValue::try_from(self.written()) {
            headers.append(CACHE_STATUS, value);
        }
    }

    fn written(&self) -> String {
        let mut text = String::with_capacity(64);
        push(&mut text, self.cache);
        match self.forward {
            None => text.push_str("; hit"),
            Some(forward) => text.extend(["; fwd=", forward.as_str()]),
        }
        // Writing into a String cannot fail.
        if let Some(status) = self.status {
            let _ = write!(text, "; fwd-status={}", status.as_u16());
        }
        if let Some(ttl) = self.ttl {
            let _ = write!(text, "; ttl={}", ttl.clamp(-MAX_INTEGER, MAX_INTEGER));
        }
        text.push_str(if self.is_stored { "; stored" } else { "" });
        text.push_str(if self.is_collapsed { "; collapsed" } else { "" });
        for (name, value) in [("; key=", self.key), ("; detail=", self.detail)] {
            if let Some(value) = value {
                text.push_str(name);
                push(&mut text, value);
            }
        }
        text
    }
}

/// The largest Integer of Structured Fields (RFC 9651 §3.3.1).
const MAX_INTEGER: i64 = 999_999_999_999_999;

/// A Token where it can be one, else a String. What a String cannot hold is a question mark.
fn push(text: &mut String, value: &str) {
    let is_token = value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '*')
        && value.bytes().all(|b| is_token_byte(b) || matches!(b, b':' | b'/'));
    if is_token {
        return text.push_str(value);
    }
    text.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            text.push('\\');
        }
        text.push(if matches!(c, ' '..='~') { c } else { '?' });
    }
    text.push('"');
}
