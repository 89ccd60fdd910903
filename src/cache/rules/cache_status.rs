//! `Cache-Status` (RFC 9211): how a cache handled a request.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use smallvec::SmallVec;

use super::forward::Forward;
use crate::syntax::is_token_byte;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Room for what is usually said.
type Text = SmallVec<[u8; 96]>;

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
        let Ok(value) = HeaderValue::from_bytes(&self.written()) else { return };
        match headers.get_mut(CACHE_STATUS) {
            Some(place) if place.is_empty() => *place = value,
            _ => drop(headers.append(CACHE_STATUS, value)),
        }
    }

    /// Keeps a place for an entry where there is none, so that a copy of the fields need not grow for it.
    pub(in crate::cache) fn keep_place_in(headers: &mut HeaderMap) {
        headers.entry(CACHE_STATUS).or_insert(HeaderValue::from_static(""));
    }

    fn written(&self) -> Text {
        let mut text = Text::new();
        push(&mut text, self.cache);
        match self.forward {
            None => put(&mut text, "; hit"),
            Some(forward) => ["; fwd=", forward.as_str()].iter().for_each(|part| put(&mut text, part)),
        }
        let mut digits = itoa::Buffer::new();
        if let Some(status) = self.status {
            put(&mut text, "; fwd-status=");
            put(&mut text, digits.format(status.as_u16()));
        }
        if let Some(ttl) = self.ttl {
            put(&mut text, "; ttl=");
            put(&mut text, digits.format(ttl.clamp(-MAX_INTEGER, MAX_INTEGER)));
        }
        put(&mut text, if self.is_stored { "; stored" } else { "" });
        put(&mut text, if self.is_collapsed { "; collapsed" } else { "" });
        for (name, value) in [("; key=", self.key), ("; detail=", self.detail)] {
            if let Some(value) = value {
                put(&mut text, name);
                push(&mut text, value);
            }
        }
        text
    }
}

/// The largest Integer of Structured Fields (RFC 9651 §3.3.1).
const MAX_INTEGER: i64 = 999_999_999_999_999;

/// A Token where it can be one, else a String. What a String cannot hold is a question mark.
fn push(text: &mut Text, value: &str) {
    let is_token = value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '*')
        && value.bytes().all(|b| is_token_byte(b) || matches!(b, b':' | b'/'));
    if is_token {
        return put(text, value);
    }
    text.push(b'"');
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            text.push(b'\\');
        }
        text.push(u8::try_from(c).ok().filter(|b| matches!(b, b' '..=b'~')).unwrap_or(b'?'));
    }
    text.push(b'"');
}

fn put(text: &mut Text, part: &str) {
    text.extend_from_slice(part.as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::forward::{Bypass, RequestReason, StaleReason};
    use super::*;

    fn written(status: &CacheStatus<'_>) -> String {
        let mut headers = HeaderMap::new();
        status.append_to(&mut headers);
        headers["cache-status"].to_str().unwrap().to_owned()
    }

    /// RFC 9211 §2.
    #[test]
    fn every_parameter_is_written() {
        let stale = Forward::Stale(StaleReason::MustRevalidate);
        for (status, expected) in [
            (CacheStatus::hit("keep"), "keep; hit"),
            (CacheStatus::hit("keep").ttl(-412), "keep; hit; ttl=-412"),
            (CacheStatus::forward("keep", Forward::UriMiss).stored(), "keep; fwd=uri-miss; stored"),
            (
                CacheStatus::forward("keep", Forward::UriMiss).detail("set-cookie"),
                "keep; fwd=uri-miss; detail=set-cookie",
            ),
            (CacheStatus::forward("keep", stale), "keep; fwd=stale; detail=must-revalidate"),
            (
                CacheStatus::forward("a b", stale)
                    .status(StatusCode::NOT_MODIFIED)
                    .ttl(60)
                    .stored()
                    .collapsed()
                    .key("/\"x\\ü")
                    .detail("x"),
                "\"a b\"; fwd=stale; fwd-status=304; ttl=60; stored; collapsed; key=\"/\\\"x\\\\?\"; detail=x",
            ),
            (CacheStatus::hit("").ttl(i64::MIN), "\"\"; hit; ttl=-999999999999999"),
        ] {
            assert_eq!(written(&status), expected);
        }
    }

    /// RFC 9211 §2.2.
    #[test]
    fn each_reason_has_its_value() {
        for (forward, value, detail) in [
            (Forward::Bypass(Bypass::Upgrade), "bypass", Some("upgrade")),
            (Forward::Method, "method", None),
            (Forward::UriMiss, "uri-miss", None),
            (Forward::VaryMiss, "vary-miss", None),
            (Forward::Miss, "miss", None),
            (Forward::Request(RequestReason::NoCache), "request", Some("no-cache")),
            (Forward::Stale(StaleReason::Expired), "stale", Some("expired")),
            (Forward::Partial, "partial", None),
        ] {
            assert_eq!((forward.as_str(), forward.detail()), (value, detail));
        }
    }

    /// §2: the list's order is that of the caches, closest to the origin first.
    #[test]
    fn inner_caches_entries_stay_before_ours() {
        let mut headers = HeaderMap::new();
        headers.append(CACHE_STATUS, HeaderValue::from_static("inner; hit"));
        CacheStatus::forward("outer", Forward::Miss).append_to(&mut headers);
        let values: Vec<_> = headers.get_all(CACHE_STATUS).iter().collect();
        assert_eq!(values, ["inner; hit", "outer; fwd=miss"]);
        CacheStatus::keep_place_in(&mut headers);
        CacheStatus::hit("edge").append_to(&mut headers);
        let values: Vec<_> = headers.get_all(CACHE_STATUS).iter().collect();
        assert_eq!(values, ["inner; hit", "outer; fwd=miss", "edge; hit"]);
    }

    #[test]
    fn a_place_that_was_kept_is_filled() {
        let mut headers = HeaderMap::new();
        CacheStatus::keep_place_in(&mut headers);
        assert_eq!(headers[CACHE_STATUS], "");
        CacheStatus::hit("keep").append_to(&mut headers);
        let values: Vec<_> = headers.get_all(CACHE_STATUS).iter().collect();
        assert_eq!(values, ["keep; hit"]);
    }

    proptest! {
        #[test]
        fn an_independent_parser_reads_back_what_was_written(name: String, key: String, detail: String, ttl: i64) {
            let text = written(&CacheStatus::forward(&name, Forward::Miss).ttl(ttl).stored().key(&key).detail(&detail));
            let list = sfv::Parser::new(&text).parse::<sfv::List>();
            let list = list.map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
            let [sfv::ListEntry::Item(item)] = &list[..] else { return Err(TestCaseError::fail(text)) };
            let shown = |text: &str| text.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect::<String>();
            let read = |bare: &sfv::BareItem| match bare {
                sfv::BareItem::String(text) => text.as_str().to_owned(),
                sfv::BareItem::Token(text) => text.as_str().to_owned(),
                other => panic!("{other:?}"),
            };
            prop_assert_eq!(read(&item.bare_item), shown(&name));
            prop_assert_eq!(read(&item.params["key"]), shown(&key));
            prop_assert_eq!(read(&item.params["detail"]), shown(&detail));
            prop_assert_eq!(&item.params["stored"], &sfv::BareItem::Boolean(true));
        }
    }
}
