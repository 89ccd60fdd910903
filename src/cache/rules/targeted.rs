//! Targeted fields (RFC 9213): directives for this cache alone, before `Cache-Control`.

use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName};

use super::control::{Known, Number, ResponseDirectives};
use super::structured::{Bare, Dictionary, Member, dictionary};

/// `CDN-Cache-Control`, which is for all caches that act for the origin (RFC 9213 §3).
pub const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");

/// The directives that count for a response, and where they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Effective {
    pub(super) directives: ResponseDirectives,
    pub(super) source: Source,
}

/// Where the directives of a response stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// In `Cache-Control`; `Expires` counts as well.
    CacheControl,
    /// In a targeted field: neither `Cache-Control` nor `Expires` counts (RFC 9213 §2.2).
    Targeted,
}

/// The first field of the list that is valid and not empty decides; otherwise `Cache-Control` does (RFC 9213 §2.2).
pub(super) fn effective(headers: &HeaderMap, targets: &[HeaderName]) -> Effective {
    let targeted =
        targets.iter().filter_map(|name| dictionary(headers, name)).find(|members| !members.is_empty());
    match targeted {
        Some(members) => Effective { directives: mapped(members), source: Source::Targeted },
        None => Effective {
            directives: ResponseDirectives::read(
                headers.get_all(CACHE_CONTROL).iter().map(|line| line.as_bytes()),
            ),
            source: Source::CacheControl,
        },
    }
}

/// Directives as dictionary members (RFC 9213 §2.1): without a value they are true, numbers are Integers, lists of fields Strings.
///
/// A value of another type is not taken for what was meant: a number that is none is 0, and what forbids forbids whatever its value
/// is, except "false".
fn mapped(members: Dictionary) -> ResponseDirectives {
    let mut directives = ResponseDirectives::default();
    for (name, member) in members {
        let Some(known) = Known::of(name.as_bytes()) else { continue };
        match (known, member) {
            (Known::Number(which), member) => directives.set_number(which, seconds(&member)),
            (_, Member::Item(Bare::Boolean(false))) => {}
            (Known::Fields(flag), Member::Item(Bare::String(list))) => {
                directives.set_fields(flag, list.as_bytes());
            }
            (Known::Fields(flag) | Known::Forbids(flag), _)
            | (Known::Allows(flag), Member::Item(Bare::Boolean(true))) => directives.set(flag),
            (Known::Allows(_), _) => {}
        }
    }
    directives
}

fn seconds(member: &Member) -> Number {
    match member {
        Member::Item(Bare::Integer(value)) => super::control::number(value.to_string().as_bytes()),
        _ => Number::Invalid,
    }
}
