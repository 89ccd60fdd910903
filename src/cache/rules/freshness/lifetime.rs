//! The freshness lifetime (RFC 9111 §4.2.1, §4.2.2).

use http::header::{DATE, EXPIRES, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};

use super::super::control::ResponseFlag;
use super::super::date::parse_http_date;
use super::super::settings::{Rules, Ttl};
use super::super::status::is_heuristically_cacheable;
use super::super::targeted::{Effective, Source};
use crate::clock::millis;

/// A lifetime in milliseconds, and who gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cache::rules) enum Lifetime {
    /// The response itself: `s-maxage`, `max-age` or `Expires`.
    Explicit(u64),
    /// The route's policy.
    Policy(u64),
    /// It was guessed.
    Heuristic(u64),
}

impl Lifetime {
    pub(in crate::cache::rules) const fn ms(self) -> u64 {
        match self {
            Self::Explicit(ms) | Self::Policy(ms) | Self::Heuristic(ms) => ms,
        }
    }
}

/// The lifetime of a response. `None` where nobody says how long it may be used.
pub(in crate::cache::rules) fn lifetime(
    status: StatusCode,
    headers: &HeaderMap,
    effective: &Effective,
    rules: &Rules,
    received_ms: u64,
) -> Option<Lifetime> {
    let policy = Some(rules.ttl).filter(|_| rules.ttl_statuses.contains(status));
    if let Some(Ttl::Fixed(ttl)) = policy {
        return Some(Lifetime::Policy(millis(ttl)));
    }
    if let Some(ms) = explicit_ms(headers, effective, received_ms) {
        return Some(Lifetime::Explicit(ms));
    }
    if let Some(Ttl::Default(ttl)) = policy {
        return Some(Lifetime::Policy(millis(ttl)));
    }
    let may_guess = is_heuristically_cacheable(status) || effective.directives.has(ResponseFlag::Public);
    let unchanged_ms = unchanged_ms(headers, received_ms).filter(|_| may_guess)?;
    rules.heuristic.lifetime_ms(unchanged_ms).map(Lifetime::Heuristic)
}

/// The first of `s-maxage`, `max-age` and `Expires` (§4.2.1).
fn explicit_ms(headers: &HeaderMap, effective: &Effective, received_ms: u64) -> Option<u64> {
    let directives = &effective.directives;
    match directives.s_maxage().or(directives.max_age()) {
        Some(seconds) => Some(u64::from(seconds) * 1000),
        None if effective.source == Source::CacheControl => expires_ms(headers, received_ms),
        None => None,
    }
}

/// `Expires` minus `Date`. One line that is no date makes the response stale (§5.3); of several dates the first to come counts.
fn expires_ms(headers: &HeaderMap, received_ms: u64) -> Option<u64> {
    let expires = headers
        .get_all(EXPIRES)
        .iter()
        .map(|line| parse_http_date(line.as_bytes(), received_ms).unwrap_or(0))
        .min()?;
    Some(expires.saturating_sub(date_ms(headers, received_ms)))
}

/// For how long the response had not changed when it was made.
fn unchanged_ms(headers: &HeaderMap, received_ms: u64) -> Option<u64> {
    let modified = headers.get(LAST_MODIFIED)?;
    let modified_ms = parse_http_date(modified.as_bytes(), received_ms)?;
    Some(date_ms(headers, received_ms).saturating_sub(modified_ms))
}

/// When the response was made; when it came, if it does not say so (RFC 9110 §6.6.1).
fn date_ms(headers: &HeaderMap, received_ms: u64) -> u64 {
    headers.get(DATE).and_then(|date| parse_http_date(date.as_bytes(), received_ms)).unwrap_or(received_ms)
}
