//! Whether a stored response answers a request (RFC 9111 §4, §4.2.4, §5.2.1; RFC 5861).

#[cfg(test)]
mod tests;

use super::control::{RequestDirectives, RequestFlag};
use super::forward::{Bypass, Forward, RequestReason, StaleReason};
use super::freshness::{Stored, StoredFlag};
use super::request::RequestHead;
use super::settings::{Profile, RequestControl, Rules};

/// A decision, with the numbers it was made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// What to do.
    pub decision: Decision,
    /// How old the stored response is, in milliseconds.
    pub age_ms: u64,
    /// For how long it is still fresh, in milliseconds; 0 or less when it is stale.
    pub ttl_ms: i64,
}

/// What to do with a request for which a response is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Decision {
    /// Send the stored response: it is fresh.
    Fresh,
    /// Send the stored response although it is stale.
    Stale(StaleAllowed),
    /// Ask the handler, with the stored response's validators.
    Validate(Forward),
    /// Ask the handler as if nothing were stored, and leave alone what is.
    Forward(Forward),
    /// Answer with 504: the client wants a stored response or none, and this one cannot be sent (RFC 9111 §5.2.1.7).
    Unavailable,
}

/// Why a stale response may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StaleAllowed {
    /// It says so itself, or the route does, while it is refreshed (RFC 5861 §3): one refresh must be on its way.
    WhileRevalidate,
    /// The client accepts it (RFC 9111 §5.2.1.2). Nothing more is to be done.
    MaxStale,
}

/// Decides about a request that [`RequestHead::admit`] let through, for which `stored` is the selected response.
///
/// ```
/// use http::{Request, Response, StatusCode};
/// use tower_keep::cache::rules::{Decision, Forward, Received, RequestHead, Rules, StaleReason, decide, store};
///
/// let rules = Rules::safe();
/// let request = RequestHead::read(&Request::get("/").body(())?);
/// let response = Response::builder().header("cache-control", "max-age=60").header("etag", "\"1\"").body(())?;
/// let entry = store(&request, &Received::new(StatusCode::OK, response.headers(), 0, 0), &rules)?;
///
/// assert_eq!(decide(&entry.stored, &request, &rules, 59_999).decision, Decision::Fresh);
/// let later = decide(&entry.stored, &request, &rules, 60_000);
/// assert_eq!(later.decision, Decision::Validate(Forward::Stale(StaleReason::Expired)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn decide(stored: &Stored, request: &RequestHead, rules: &Rules, now_ms: u64) -> Verdict {
    let verdict =
        |decision| Verdict { decision, age_ms: stored.age_at(now_ms), ttl_ms: stored.ttl_at(now_ms) };
    let is_for_others = request.has_authorization() && !stored.flags.has(StoredFlag::Public);
    let decision = if is_for_others && rules.profile == Profile::Safe {
        Err(Decision::Forward(Forward::Bypass(Bypass::Authorization)))
    } else {
        reuse(stored, request.directives(), rules, now_ms).map_err(Decision::Validate)
    };
    let only_stored = request.directives().has(RequestFlag::OnlyIfCached);
    verdict(decision.unwrap_or_else(|forward| if only_stored { Decision::Unavailable } else { forward }))
}

/// Whether a stored response may stand in for a handler that failed or answered with a
/// [server error](super::is_server_error) (RFC 5861 §4).
///
/// The client's `stale-if-error` extends what the response and the route allow; nothing overrules `must-revalidate`,
/// `proxy-revalidate`, `s-maxage` and `no-cache`.
#[must_use]
pub fn may_answer_error(stored: &Stored, request: &RequestHead, now_ms: u64) -> bool {
    let is_forbidden = stored.flags.has(StoredFlag::NoCache) || stored.flags.has(StoredFlag::MustRevalidate);
    let asked_ms = request.directives().stale_if_error().map_or(0, |seconds| u64::from(seconds) * 1000);
    let allowed_ms = stored.stale_if_error_ms.max(asked_ms);
    !is_forbidden && allowed_ms > 0 && stale_for_ms(stored, now_ms) <= allowed_ms
}

/// Whether the stored response is sent, or else why the handler is asked.
fn reuse(
    stored: &Stored,
    directives: &RequestDirectives,
    rules: &Rules,
    now_ms: u64,
) -> Result<Decision, Forward> {
    if stored.flags.has(StoredFlag::NoCache) {
        return Err(Forward::Stale(StaleReason::NoCache));
    }
    let is_obeyed = rules.request_control == RequestControl::Obey;
    if is_obeyed {
        demands(stored, directives, now_ms).map_err(Forward::Request)?;
    }
    if stored.ttl_at(now_ms) > 0 {
        return Ok(Decision::Fresh);
    }
    if stored.flags.has(StoredFlag::MustRevalidate) {
        return Err(Forward::Stale(StaleReason::MustRevalidate));
    }
    let stale_for_ms = stale_for_ms(stored, now_ms);
    // Who says how old a response may be wants no stale one, unless it says so too (RFC 9111 §5.2.1.1); who says how fresh it must be
    // never does.
    let needs_fresh = is_obeyed && directives.min_fresh().is_some();
    let wants_fresh = needs_fresh || (is_obeyed && directives.max_age().is_some());
    let max_stale = directives.max_stale().filter(|_| !needs_fresh);
    let accepted_ms = max_stale.map(|seconds| u64::from(seconds) * 1000);
    if stale_for_ms < stored.stale_while_revalidate_ms && !wants_fresh {
        Ok(Decision::Stale(StaleAllowed::WhileRevalidate))
    } else if accepted_ms.is_some_and(|accepted| stale_for_ms <= accepted) {
        Ok(Decision::Stale(StaleAllowed::MaxStale))
    } else {
        Err(Forward::Stale(StaleReason::Expired))
    }
}

/// What the client demands beyond freshness (RFC 9111 §5.2.1).
fn demands(stored: &Stored, directives: &RequestDirectives, now_ms: u64) -> Result<(), RequestReason> {
    let ms = |seconds: u32| u64::from(seconds) * 1000;
    let remaining_ms = u64::try_from(stored.ttl_at(now_ms)).unwrap_or(0);
    if directives.has(RequestFlag::NoCache) {
        Err(RequestReason::NoCache)
    } else if directives.max_age().is_some_and(|max| stored.age_at(now_ms) > ms(max)) {
        Err(RequestReason::MaxAge)
    } else if directives.min_fresh().is_some_and(|min| remaining_ms > 0 && remaining_ms < ms(min)) {
        Err(RequestReason::MinFresh)
    } else {
        Ok(())
    }
}

fn stale_for_ms(stored: &Stored, now_ms: u64) -> u64 {
    u64::try_from(stored.ttl_at(now_ms).saturating_neg()).unwrap_or(0)
}
