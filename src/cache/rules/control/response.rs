//! Directives of a response (RFC 9111 §5.2.2, RFC 5861, RFC 8246).

use http::HeaderName;

use super::directive::{Argument, Directive, Piece, pieces};
use super::seconds::Number;
use crate::syntax::{is_token, trim};

/// A directive of a response that is there or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResponseFlag {
    /// Nobody may store the response (§5.2.2.5).
    NoStore,
    /// It must be validated before each use (§5.2.2.4). With field names it stands in
    /// [`no_cache_fields`](ResponseDirectives::no_cache_fields) instead.
    NoCache,
    /// No shared cache may store it (§5.2.2.7). With field names it stands in
    /// [`private_fields`](ResponseDirectives::private_fields) instead.
    Private,
    /// It may be stored although something else would forbid it (§5.2.2.9).
    Public,
    /// It must not be served stale (§5.2.2.2).
    MustRevalidate,
    /// No shared cache may serve it stale (§5.2.2.8).
    ProxyRevalidate,
    /// Only who understands the status code may store it (§5.2.2.3).
    MustUnderstand,
    /// Its content must not be changed (§5.2.2.6).
    NoTransform,
    /// It does not change while it is fresh (RFC 8246).
    Immutable,
    /// A quoted string without an end: what follows it cannot be told. Such a response is not stored.
    Unreadable,
}

/// The directives of one response.
///
/// Of a directive that stands there twice the smaller number counts. What should be a number and is none is 0: such a response is
/// stale (RFC 9111 §4.2.1). Numbers are seconds, at most 2^31.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseDirectives {
    flags: u16,
    max_age: Option<u32>,
    s_maxage: Option<u32>,
    stale_while_revalidate: Option<u32>,
    stale_if_error: Option<u32>,
    no_cache_fields: Vec<HeaderName>,
    private_fields: Vec<HeaderName>,
}

impl ResponseDirectives {
    /// Reads the lines of `Cache-Control`, or of a field with its grammar.
    #[must_use]
    pub fn read<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut read = Self::default();
        for piece in lines.into_iter().flat_map(pieces) {
            match piece {
                Piece::Directive(directive) => read.add(directive),
                Piece::Unreadable => read.set(ResponseFlag::Unreadable),
            }
        }
        read
    }

    /// Whether a directive is there.
    #[must_use]
    pub const fn has(&self, flag: ResponseFlag) -> bool {
        self.flags & (1 << flag as u16) != 0
    }

    /// `max-age` in seconds (§5.2.2.1).
    #[must_use]
    pub const fn max_age(&self) -> Option<u32> {
        self.max_age
    }

    /// `s-maxage` in seconds (§5.2.2.10).
    #[must_use]
    pub const fn s_maxage(&self) -> Option<u32> {
        self.s_maxage
    }

    /// `stale-while-revalidate` in seconds (RFC 5861 §3).
    #[must_use]
    pub const fn stale_while_revalidate(&self) -> Option<u32> {
        self.stale_while_revalidate
    }

    /// `stale-if-error` in seconds (RFC 5861 §4).
    #[must_use]
    pub const fn stale_if_error(&self) -> Option<u32> {
        self.stale_if_error
    }

    /// The fields that `no-cache="…"` names: they must not be sent without validation.
    #[must_use]
    pub fn no_cache_fields(&self) -> &[HeaderName] {
        &self.no_cache_fields
    }

    /// The fields that `private="…"` names: a shared cache must not store them.
    #[must_use]
    pub fn private_fields(&self) -> &[HeaderName] {
        &self.private_fields
    }

    #[cfg(test)]
    pub(super) const fn flags(&self) -> u16 {
        self.flags
    }

    pub(in crate::cache::rules) const fn set(&mut self, flag: ResponseFlag) {
        self.flags |= 1 << flag as u16;
    }

    /// Takes a number over, as the smaller of this one and what was there.
    pub(in crate::cache::rules) fn set_number(&mut self, which: NumberOf, value: Number) {
        let slot = match which {
            NumberOf::MaxAge => &mut self.max_age,
            NumberOf::SMaxage => &mut self.s_maxage,
            NumberOf::StaleWhileRevalidate => &mut self.stale_while_revalidate,
            NumberOf::StaleIfError => &mut self.stale_if_error,
        };
        let value = match value {
            Number::Seconds(seconds) => seconds,
            Number::Invalid => 0,
        };
        *slot = Some(slot.map_or(value, |before| before.min(value)));
    }

    /// Takes over `no-cache` or `private` with a list of fields. A list that is empty or not of field names stands for all of the
    /// response: caches that know no lists read it so as well.
    pub(in crate::cache::rules) fn set_fields(&mut self, which: ResponseFlag, list: &[u8]) {
        let names: Option<Vec<HeaderName>> = list.split(|b| *b == b',').map(field_name).collect();
        match (names, which) {
            (Some(names), ResponseFlag::NoCache) => self.no_cache_fields.extend(names),
            (Some(names), ResponseFlag::Private) => self.private_fields.extend(names),
            _ => self.set(which),
        }
    }

    fn add(&mut self, directive: Directive<'_>) {
        let Some(known) = Known::of(directive.name) else { return };
        match (known, directive.argument) {
            (Known::Number(which), argument) => self.set_number(which, argument.number()),
            (Known::Fields(flag), Argument::Token(list) | Argument::Quoted(list)) => {
                self.set_fields(flag, list)
            }
            // What forbids counts however it is written, what allows only as it should be.
            (Known::Fields(flag) | Known::Forbids(flag), _) | (Known::Allows(flag), Argument::None) => {
                self.set(flag)
            }
            (Known::Allows(_), _) => {}
        }
    }
}

fn field_name(name: &[u8]) -> Option<HeaderName> {
    Some(trim(name)).filter(|name| is_token(name)).and_then(|name| HeaderName::from_bytes(name).ok())
}

/// Which number.
#[derive(Clone, Copy, Debug)]
pub(in crate::cache::rules) enum NumberOf {
    MaxAge,
    SMaxage,
    StaleWhileRevalidate,
    StaleIfError,
}

/// A directive that means something here. All others are ignored (RFC 9111 §5.2.3).
#[derive(Clone, Copy, Debug)]
pub(in crate::cache::rules) enum Known {
    Number(NumberOf),
    /// May name fields.
    Fields(ResponseFlag),
    /// Less may be stored or served.
    Forbids(ResponseFlag),
    /// More may be.
    Allows(ResponseFlag),
}

impl Known {
    pub(in crate::cache::rules) fn of(name: &[u8]) -> Option<Self> {
        let known = [
            (&b"max-age"[..], Self::Number(NumberOf::MaxAge)),
            (b"s-maxage", Self::Number(NumberOf::SMaxage)),
            (b"no-cache", Self::Fields(ResponseFlag::NoCache)),
            (b"no-store", Self::Forbids(ResponseFlag::NoStore)),
            (b"private", Self::Fields(ResponseFlag::Private)),
            (b"public", Self::Allows(ResponseFlag::Public)),
            (b"must-revalidate", Self::Forbids(ResponseFlag::MustRevalidate)),
            (b"proxy-revalidate", Self::Forbids(ResponseFlag::ProxyRevalidate)),
            (b"must-understand", Self::Allows(ResponseFlag::MustUnderstand)),
            (b"no-transform", Self::Forbids(ResponseFlag::NoTransform)),
            (b"immutable", Self::Allows(ResponseFlag::Immutable)),
            (b"stale-while-revalidate", Self::Number(NumberOf::StaleWhileRevalidate)),
            (b"stale-if-error", Self::Number(NumberOf::StaleIfError)),
        ];
        known.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, known)| known)
    }
}
