//! Directives of a request (RFC 9111 §5.2.1), and `Pragma` (§5.4).

use super::directive::{Argument, Directive, Piece, pieces};
use super::seconds::{MAX_SECONDS, Number};
use crate::view::RequestView;

/// A directive of a request that is there or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestFlag {
    /// The client wants nothing that was not validated for it (§5.2.1.4); also `Pragma: no-cache` without `Cache-Control`.
    NoCache,
    /// Nothing of the request or its response may be stored (§5.2.1.5).
    NoStore,
    /// The content must not be changed (§5.2.1.6).
    NoTransform,
    /// The client wants a stored response or none (§5.2.1.7).
    OnlyIfCached,
}

/// The directives of one request.
///
/// Of a directive that stands there twice, and of one that should be a number and is none, the reading counts that serves less from
/// the store. Numbers are seconds, at most 2^31.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestDirectives {
    flags: u8,
    max_age: Option<u32>,
    min_fresh: Option<u32>,
    max_stale: Option<u32>,
    stale_if_error: Option<u32>,
}

impl RequestDirectives {
    /// Reads the lines of `Cache-Control`.
    #[must_use]
    pub fn read<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut read = Self::default();
        lines.into_iter().for_each(|line| read.add_line(line));
        read
    }

    /// Reads `Cache-Control`, or `Pragma` where there is none (§5.4).
    #[must_use]
    pub fn of(request: &dyn RequestView) -> Self {
        let (mut read, mut has_any) = (Self::default(), false);
        request.each_header("cache-control", &mut |line| {
            has_any = true;
            read.add_line(line);
        });
        if !has_any {
            request.each_header("pragma", &mut |line| {
                if Self::read([line]).has(RequestFlag::NoCache) {
                    read.set(RequestFlag::NoCache);
                }
            });
        }
        read
    }

    /// Whether a directive is there.
    #[must_use]
    pub const fn has(&self, flag: RequestFlag) -> bool {
        self.flags & (1 << flag as u8) != 0
    }

    /// `max-age` in seconds: the greatest age that the client accepts (§5.2.1.1).
    #[must_use]
    pub const fn max_age(&self) -> Option<u32> {
        self.max_age
    }

    /// `min-fresh` in seconds: how long the response shall still be fresh (§5.2.1.3).
    #[must_use]
    pub const fn min_fresh(&self) -> Option<u32> {
        self.min_fresh
    }

    /// `max-stale` in seconds: for how long it may be stale (§5.2.1.2). Without a value it may be for ever: `u32::MAX`.
    #[must_use]
    pub const fn max_stale(&self) -> Option<u32> {
        self.max_stale
    }

    /// `stale-if-error` in seconds (RFC 5861 §4).
    #[must_use]
    pub const fn stale_if_error(&self) -> Option<u32> {
        self.stale_if_error
    }

    fn add_line(&mut self, line: &[u8]) {
        for piece in pieces(line) {
            match piece {
                Piece::Directive(directive) => self.add(directive),
                // Perhaps `no-cache` stands behind the open mark.
                Piece::Unreadable => self.set(RequestFlag::NoCache),
            }
        }
    }

    fn add(&mut self, directive: Directive<'_>) {
        let is = |name: &str| directive.name.eq_ignore_ascii_case(name.as_bytes());
        let number = |otherwise| match directive.argument.number() {
            Number::Seconds(seconds) => seconds,
            Number::Invalid => otherwise,
        };
        if is("no-cache") {
            self.set(RequestFlag::NoCache);
        } else if is("no-store") {
            self.set(RequestFlag::NoStore);
        } else if is("no-transform") {
            self.set(RequestFlag::NoTransform);
        } else if is("only-if-cached") {
            self.set(RequestFlag::OnlyIfCached);
        } else if is("max-age") {
            least(&mut self.max_age, number(0));
        } else if is("min-fresh") {
            let value = number(MAX_SECONDS);
            self.min_fresh = self.min_fresh.max(Some(value));
        } else if is("max-stale") {
            let any = matches!(directive.argument, Argument::None);
            least(&mut self.max_stale, if any { u32::MAX } else { number(0) });
        } else if is("stale-if-error") {
            least(&mut self.stale_if_error, number(0));
        }
    }

    const fn set(&mut self, flag: RequestFlag) {
        self.flags |= 1 << flag as u8;
    }
}

fn least(slot: &mut Option<u32>, value: u32) {
    *slot = Some(slot.map_or(value, |before| before.min(value)));
}
