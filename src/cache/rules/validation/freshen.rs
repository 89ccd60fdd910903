//! What a 304, or a 200 to `HEAD`, changes of a stored response (RFC 9111 §3.2, §4.3.4, §4.3.5).

use http::header::{
    AGE, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderName, StatusCode};

use super::StoredHead;
use super::etag::EntityTag;
use crate::cache::rules::control::ResponseDirectives;
use crate::cache::rules::date::http_date;
use crate::cache::rules::request::RequestHead;
use crate::cache::rules::settings::{Profile, Rules};
use crate::cache::rules::storing::{NotStored, Received, ToStore, omitted, store};
use crate::syntax::trim;

/// A stored response that is good for this request, with the fields of the 304.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Freshened {
    /// The fields to answer this client with: those stored, updated, with what the 304 sends to this client alone.
    pub headers: HeaderMap,
    /// What to store in place of what is stored.
    ///
    /// `Err`: nothing. If the reason [is about the request](NotStored::is_about_request), the entry stays as it is; otherwise it must go.
    pub store: Result<ToStore, NotStored>,
}

/// The 304 is about another response than the stored one, which it must not update (RFC 9111 §4.3.4). Ask again without conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the 304 names another response than the stored one; ask again without conditions")]
pub struct Mismatch;

/// What the answer to a `HEAD` means for the stored response to `GET`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum HeadEffect {
    /// It is the same response: its fields are updated.
    Freshened(Box<Freshened>),
    /// It is another one: what is stored is stale.
    Outdated,
    /// Nothing: the answer was no 200.
    Nothing,
}

/// Updates a stored response by the 304 that came for it.
///
/// # Errors
///
/// [`Mismatch`]: it did not come for it.
pub fn freshen(
    request: &RequestHead,
    stored: &StoredHead<'_>,
    not_modified: &Received<'_>,
    rules: &Rules,
) -> Result<Freshened, Mismatch> {
    if !is_for(stored.headers, not_modified.headers) {
        return Err(Mismatch);
    }
    Ok(updated(request, stored, not_modified, rules))
}

/// What the answer to a `HEAD` means for the response that is stored for `GET` (RFC 9111 §4.3.5). `request` is the `HEAD`.
#[must_use]
pub fn freshen_by_head(
    request: &RequestHead,
    stored: &StoredHead<'_>,
    head: &Received<'_>,
    rules: &Rules,
) -> HeadEffect {
    if head.status != StatusCode::OK || stored.status != StatusCode::OK {
        return HeadEffect::Nothing;
    }
    let is_same = [ETAG, LAST_MODIFIED, CONTENT_LENGTH]
        .iter()
        .all(|name| head.headers.get(name).is_none_or(|value| stored.headers.get(name) == Some(value)));
    if !is_same {
        return HeadEffect::Outdated;
    }
    HeadEffect::Freshened(Box::new(updated(request, stored, head, rules)))
}

/// §4.3.4: a strong validator must be the stored one; a weak one must match; none at all is for a response that has none.
fn is_for(stored: &HeaderMap, not_modified: &HeaderMap) -> bool {
    fn tag(headers: &HeaderMap) -> Option<EntityTag<'_>> {
        headers.get(ETAG).map(|etag| EntityTag::read(trim(etag.as_bytes())))
    }
    match (tag(not_modified), tag(stored)) {
        (Some(new), Some(old)) => {
            if new.is_weak() {
                new.matches(old)
            } else {
                new.is_same(old)
            }
        }
        (Some(_), None) => false,
        // The handler left out what it was asked with, or compared dates.
        (None, _) => not_modified
            .get(LAST_MODIFIED)
            .is_none_or(|new| stored.get(LAST_MODIFIED).is_none_or(|old| new == old)),
    }
}

fn updated(request: &RequestHead, stored: &StoredHead<'_>, new: &Received<'_>, rules: &Rules) -> Freshened {
    let of_304 = ResponseDirectives::default();
    // What the 304 sends to this client alone, a cookie say, does not get into the store. Its `Age` counts for the entry's.
    let not_stored = omitted(new.headers, &of_304, rules.profile);
    let merged = merged(stored.headers, new, |name| *name != AGE && not_stored.contains(name));
    let received = Received::new(stored.status, &merged, new.asked_ms, new.received_ms);
    let not_sent = omitted(new.headers, &of_304, Profile::StrictSpec);
    Freshened {
        headers: self::merged(stored.headers, new, |name| not_sent.contains(name)),
        store: store(&request.as_get(), &received, rules),
    }
}

/// The stored fields, with each one replaced that the new response has (§3.2).
///
/// What the stored content depends on stays: its length, range, coding and type. A 304 has no content, and what a framework says about
/// the content that is not there must not be said of the stored one.
fn merged(stored: &HeaderMap, new: &Received<'_>, is_skipped: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    const OF_CONTENT: [HeaderName; 4] = [CONTENT_LENGTH, CONTENT_RANGE, CONTENT_ENCODING, CONTENT_TYPE];
    let mut merged = stored.clone();
    for name in new.headers.keys().filter(|name| !OF_CONTENT.contains(name) && !is_skipped(name)) {
        merged.remove(name);
        for value in new.headers.get_all(name) {
            merged.append(name.clone(), value.clone());
        }
    }
    if !new.headers.contains_key(DATE) {
        merged.insert(DATE, http_date(new.received_ms));
    }
    merged
}
