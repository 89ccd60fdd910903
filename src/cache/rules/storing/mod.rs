//! Whether a response is stored (RFC 9111 §3), and what of it.

mod fields;
mod reason;
#[cfg(test)]
mod tests;

use http::header::{DATE, ETAG, LAST_MODIFIED, SET_COOKIE};
use http::{HeaderMap, StatusCode};

pub use reason::NotStored;

pub(super) use fields::omitted;

use super::control::{ResponseDirectives, ResponseFlag};
use super::date::http_date;
use super::freshness::{Lifetime, Stored, StoredFlag, StoredFlags, initial_age_ms, lifetime};
use super::request::{MethodKind, RequestHead};
use super::settings::{Profile, Rules, SMaxage};
use super::status::is_understood;
use super::targeted::effective;
use super::vary::VaryNames;
use super::{control::RequestFlag, forward::Forward};
use crate::clock::millis;

/// A response's head as it came from the handler, and when.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Received<'a> {
    /// Its status code.
    pub status: StatusCode,
    /// Its header fields.
    pub headers: &'a HeaderMap,
    /// When the handler was called (`request_time`), in milliseconds since the Unix epoch.
    pub asked_ms: u64,
    /// When the head was there (`response_time`), in milliseconds since the Unix epoch.
    pub received_ms: u64,
}

impl<'a> Received<'a> {
    /// A response to a handler that was called at `asked_ms` and gave its head at `received_ms`.
    #[must_use]
    pub const fn new(status: StatusCode, headers: &'a HeaderMap, asked_ms: u64, received_ms: u64) -> Self {
        Self { status, headers, asked_ms, received_ms }
    }
}

/// What to store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ToStore {
    /// Its freshness.
    pub stored: Stored,
    /// Its header fields: all lines of each, in order, with a `Date`; without `Age` and without fields that are not for a cache.
    pub headers: HeaderMap,
    /// The request's fields that select it among the variants of its URL.
    pub vary: VaryNames,
}

/// Decides whether a response is stored, by RFC 9111 §3, §3.1, §3.5, §4.1 and §4.2.
///
/// Whoever stores the body must still make sure that it came to its end (§3.3).
///
/// # Errors
///
/// Why it is not.
///
/// ```
/// use http::{Request, Response, StatusCode};
/// use tower_keep::cache::rules::{NotStored, Received, RequestHead, Rules, store};
///
/// let request = RequestHead::read(&Request::get("/").body(())?);
/// let response = Response::builder().header("cache-control", "max-age=60, private").body(())?;
/// let received = Received::new(StatusCode::OK, response.headers(), 0, 0);
/// assert_eq!(store(&request, &received, &Rules::safe()).err(), Some(NotStored::Private));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn store(request: &RequestHead, response: &Received<'_>, rules: &Rules) -> Result<ToStore, NotStored> {
    admitted(request, rules)?;
    let Received { status, headers, asked_ms, received_ms } = *response;
    let effective = effective(headers, &rules.targets);
    let directives = &effective.directives;
    allowed(status, directives)?;
    authorized(request, directives)?;
    if rules.profile == Profile::Safe && headers.contains_key(SET_COOKIE) {
        return Err(NotStored::SetCookie);
    }
    let vary = VaryNames::of(headers)?;
    let lifetime = lifetime(status, headers, &effective, rules, received_ms);
    let is_listed = match lifetime {
        Some(Lifetime::Policy(_)) => true,
        _ => rules.statuses.contains(status),
    };
    if !is_listed {
        return Err(NotStored::Status);
    }
    let stored = freshness(headers, directives, lifetime, rules, (asked_ms, received_ms))?;
    let headers = stored_fields(headers, directives, rules.profile, received_ms);
    Ok(ToStore { stored, headers, vary })
}

/// What the request says.
fn admitted(request: &RequestHead, rules: &Rules) -> Result<(), NotStored> {
    request.admit(rules).map_err(|forward| match forward {
        Forward::Method => NotStored::Method,
        _ => NotStored::Bypass,
    })?;
    if request.method() == MethodKind::Head {
        return Err(NotStored::Method);
    }
    if request.directives().has(RequestFlag::NoStore) {
        return Err(NotStored::RequestNoStore);
    }
    Ok(())
}

/// What status and directives say (§3).
fn allowed(status: StatusCode, directives: &ResponseDirectives) -> Result<(), NotStored> {
    let must_understand = directives.has(ResponseFlag::MustUnderstand);
    match status {
        StatusCode::PARTIAL_CONTENT => Err(NotStored::Partial),
        StatusCode::NOT_MODIFIED => Err(NotStored::NotModified),
        _ if directives.has(ResponseFlag::Unreadable) => Err(NotStored::Unreadable),
        _ if must_understand && !is_understood(status) => Err(NotStored::NotUnderstood),
        // Who understands the status ignores the `no-store` beside it (§5.2.2.3).
        _ if directives.has(ResponseFlag::NoStore) && !must_understand => Err(NotStored::NoStore),
        _ if directives.has(ResponseFlag::Private) => Err(NotStored::Private),
        _ => Ok(()),
    }
}

/// §3.5.
fn authorized(request: &RequestHead, directives: &ResponseDirectives) -> Result<(), NotStored> {
    if request.has_authorization() && !is_public(directives) {
        return Err(NotStored::Authorization);
    }
    Ok(())
}

/// Whether a response answers requests with `Authorization`, and may come of one (§3.5).
fn is_public(directives: &ResponseDirectives) -> bool {
    directives.has(ResponseFlag::Public)
        || directives.has(ResponseFlag::MustRevalidate)
        || directives.s_maxage().is_some()
}

/// The numbers, if there is any use in storing the response.
fn freshness(
    headers: &HeaderMap,
    directives: &ResponseDirectives,
    lifetime: Option<Lifetime>,
    rules: &Rules,
    (asked_ms, received_ms): (u64, u64),
) -> Result<Stored, NotStored> {
    let has_validator = headers.contains_key(ETAG) || headers.contains_key(LAST_MODIFIED);
    let no_cache = directives.has(ResponseFlag::NoCache);
    let age_ms = initial_age_ms(headers, asked_ms, received_ms);
    let lifetime_ms = match lifetime {
        // A route counts from when the response came, however old it was then.
        Some(Lifetime::Policy(ms)) => ms.saturating_add(age_ms),
        Some(lifetime) => lifetime.ms(),
        // `no-cache` says how long it may be used: as long as it is validated each time.
        None if no_cache => 0,
        None => return Err(NotStored::NoFreshness),
    };
    let named_ms = |seconds: Option<u32>| seconds.map(|seconds| u64::from(seconds) * 1000);
    let stale_while_revalidate_ms = named_ms(directives.stale_while_revalidate());
    let stale_if_error_ms = named_ms(directives.stale_if_error());
    let named_stale = stale_while_revalidate_ms.or(stale_if_error_ms).is_some();
    let must_revalidate = directives.has(ResponseFlag::MustRevalidate)
        || directives.has(ResponseFlag::ProxyRevalidate)
        || (directives.s_maxage().is_some() && !(rules.s_maxage == SMaxage::AllowsNamedStale && named_stale));
    let flags = StoredFlags::default()
        .with_if(StoredFlag::NoCache, no_cache)
        .with_if(StoredFlag::MustRevalidate, must_revalidate)
        .with_if(StoredFlag::Public, is_public(directives))
        .with_if(StoredFlag::Heuristic, matches!(lifetime, Some(Lifetime::Heuristic(_))))
        .with_if(StoredFlag::Validator, has_validator);
    let or_policy = |named: Option<u64>, policy| match named {
        _ if must_revalidate || no_cache => 0,
        Some(named) => named,
        None => millis(policy),
    };
    let stored = Stored {
        received_ms,
        age_ms,
        lifetime_ms,
        stale_while_revalidate_ms: or_policy(stale_while_revalidate_ms, rules.stale_while_revalidate),
        stale_if_error_ms: or_policy(stale_if_error_ms, rules.stale_if_error),
        flags,
    };
    let is_useful = has_validator || (!no_cache && stored.keep_ms(received_ms, 0) > 0);
    if is_useful { Ok(stored) } else { Err(NotStored::AlreadyStale) }
}

/// The fields of the stored response (§3.1).
fn stored_fields(
    headers: &HeaderMap,
    directives: &ResponseDirectives,
    profile: Profile,
    received_ms: u64,
) -> HeaderMap {
    let omitted = omitted(headers, directives, profile);
    let mut stored = HeaderMap::with_capacity(headers.keys_len() + 1);
    for (name, value) in headers {
        if !omitted.contains(name) {
            stored.append(name.clone(), value.clone());
        }
    }
    // RFC 9110 §6.6.1: who stores a response without a date adds when it came.
    if !stored.contains_key(DATE) {
        stored.insert(DATE, http_date(received_ms));
    }
    stored
}
