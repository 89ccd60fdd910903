//! The client's own conditions, answered from a stored response (RFC 9111 §4.3.2, RFC 9110 §13).

use http::header::{CACHE_CONTROL, CONTENT_LOCATION, DATE, ETAG, EXPIRES, LAST_MODIFIED, VARY};
use http::{HeaderMap, HeaderName, StatusCode};

use super::StoredHead;
use super::etag::{EntityTag, tags};
use crate::cache::rules::date::parse_http_date;
use crate::cache::rules::targeted::CDN_CACHE_CONTROL;
use crate::syntax::trim;
use crate::view::RequestView;

/// What a client's conditions make of a stored response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Precondition {
    /// It is sent.
    Send,
    /// The client has it: 304, with [`not_modified_fields`] and without content.
    NotModified,
}

/// Evaluates `If-None-Match`, or else `If-Modified-Since` (RFC 9110 §13.2.2).
///
/// Only a `GET` or `HEAD` for which 200 is stored has conditions (§13.2.1). `If-Match` and `If-Unmodified-Since` are for the origin:
/// [`RequestHead::admit`](super::super::RequestHead::admit) sends such requests there. `If-Range` belongs to
/// [`plan_range`](super::super::plan_range).
#[must_use]
pub fn evaluate(request: &dyn RequestView, stored: &StoredHead<'_>) -> Precondition {
    if stored.status != StatusCode::OK || !matches!(request.method(), "GET" | "HEAD") {
        return Precondition::Send;
    }
    let mut none_match = None;
    request.each_header("if-none-match", &mut |line| {
        let before = none_match.unwrap_or(false);
        none_match = Some(before || has_tag(line, stored.headers));
    });
    let is_known = none_match.unwrap_or_else(|| {
        request.header("if-modified-since").is_some_and(|since| is_unmodified(&since, stored))
    });
    if is_known { Precondition::NotModified } else { Precondition::Send }
}

/// Whether a line of `If-None-Match` names the stored response, by weak comparison.
fn has_tag(line: &[u8], stored: &HeaderMap) -> bool {
    if trim(line) == b"*" {
        return true;
    }
    let Some(own) = stored.get(ETAG).map(|etag| EntityTag::read(trim(etag.as_bytes()))) else { return false };
    tags(line).any(|tag| tag.matches(own))
}

/// Whether a stored response is not newer than the client's date. Without `Last-Modified` its `Date` counts, and without that when it
/// came (RFC 9111 §4.3.2).
fn is_unmodified(since: &[u8], stored: &StoredHead<'_>) -> bool {
    // The same words are the same date, even if they are none.
    if stored.headers.get(LAST_MODIFIED).is_some_and(|modified| modified.as_bytes() == since) {
        return true;
    }
    let read = |value: &[u8]| parse_http_date(value, stored.received_ms);
    let Some(since_ms) = read(since) else { return false };
    let named = stored.headers.get(LAST_MODIFIED).or_else(|| stored.headers.get(DATE));
    let modified_ms = match named {
        Some(date) => read(date.as_bytes()),
        None => Some(stored.received_ms / 1000 * 1000),
    };
    modified_ms.is_some_and(|modified_ms| modified_ms <= since_ms)
}

/// Whether `If-Range` names exactly the stored response, so that a part of it fits to what the client has (RFC 9110 §13.1.5).
///
/// A weak tag never does. A date does if it is the `Last-Modified` of a response that was made at least a second later (§8.8.2.2).
pub(in crate::cache::rules) fn is_same_representation(if_range: &[u8], stored: &StoredHead<'_>) -> bool {
    let if_range = trim(if_range);
    if let [b'"', ..] | [b'W' | b'w', b'/', ..] = if_range {
        let own = stored.headers.get(ETAG).map(|etag| EntityTag::read(trim(etag.as_bytes())));
        return own.is_some_and(|own| own.is_same(EntityTag::read(if_range)));
    }
    let read = |value: &[u8]| parse_http_date(value, stored.received_ms);
    let field = |name: HeaderName| stored.headers.get(name).and_then(|date| read(date.as_bytes()));
    let (Some(wanted), Some(modified)) = (read(if_range), field(LAST_MODIFIED)) else { return false };
    wanted == modified && field(DATE).is_some_and(|date| date >= modified + 1000)
}

/// The fields of a 304 (RFC 9110 §15.4.5): those that a 200 would have had and that a client needs to update its copy.
///
/// `Last-Modified` is one of them where there is no `ETag`. `Age` and `Cache-Status` are for the caller to add.
#[must_use]
pub fn not_modified_fields(stored: &HeaderMap) -> HeaderMap {
    let sent = [CACHE_CONTROL, CDN_CACHE_CONTROL, CONTENT_LOCATION, DATE, ETAG, EXPIRES, VARY];
    let last_modified = [LAST_MODIFIED].into_iter().filter(|_| !stored.contains_key(ETAG));
    let mut fields = HeaderMap::new();
    for name in sent.into_iter().chain(last_modified) {
        for value in stored.get_all(&name) {
            fields.append(name.clone(), value.clone());
        }
    }
    fields
}
