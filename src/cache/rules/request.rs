//! What the rules need of a request, read once.

use super::control::{RequestDirectives, RequestFlag};
use super::forward::{Bypass, Forward, Miss};
use super::settings::{QueryMethod, Rules};
use crate::view::RequestView;

/// What a method means to a cache (RFC 9110 §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MethodKind {
    /// `GET`.
    Get,
    /// `HEAD`: answered by what is stored for `GET`, never stored.
    Head,
    /// `QUERY`: safe, with content that belongs to the key.
    Query,
    /// Another safe method: `OPTIONS`, `TRACE`, `PROPFIND`, `REPORT`, `SEARCH`. Neither stored nor invalidating.
    Safe,
    /// Any other, known or not: invalidates (RFC 9111 §4.4).
    Unsafe,
}

impl MethodKind {
    /// The kind of a method, whose name is case-sensitive.
    #[must_use]
    pub fn of(method: &str) -> Self {
        match method {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "QUERY" => Self::Query,
            "OPTIONS" | "TRACE" | "PROPFIND" | "REPORT" | "SEARCH" => Self::Safe,
            _ => Self::Unsafe,
        }
    }
}

/// A request's method, directives and what else decides whether a cache has a part in it. Holds nothing of the client's but that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHead {
    method: MethodKind,
    directives: RequestDirectives,
    bypass: Option<Bypass>,
    has_authorization: bool,
    is_for_whole: bool,
}

/// The fields that decide something, so that a request's are gone through once.
const FIELDS: [&str; 16] = [
    "upgrade",
    "transfer-encoding",
    "content-length",
    // By these, frameworks let a request mean another method or URL than it has.
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
    "if-match",
    "if-unmodified-since",
    "authorization",
    "cache-control",
    "pragma",
    "if-none-match",
    "if-modified-since",
    "range",
];
const UPGRADE: u32 = 1;
const TRANSFER_ENCODING: u32 = 1 << 1;
const CONTENT_LENGTH: u32 = 1 << 2;
const METHOD_OVERRIDES: u32 = 0b111 << 3;
const URL_OVERRIDES: u32 = 0b11 << 6;
const CONDITIONS: u32 = 0b11 << 8;
const AUTHORIZATION: u32 = 1 << 10;
const DIRECTIVES: u32 = 0b11 << 11;
const PARTIAL: u32 = 0b111 << 13;

impl RequestHead {
    /// Reads a request's head.
    #[must_use]
    pub fn read(request: &dyn RequestView) -> Self {
        let method = MethodKind::of(request.method());
        let there = request.which_headers(&FIELDS);
        let has = |fields| there & fields != 0;
        Self {
            method,
            directives: if has(DIRECTIVES) { RequestDirectives::of(request) } else { Default::default() },
            bypass: bypass(method, has, request),
            has_authorization: has(AUTHORIZATION),
            is_for_whole: method == MethodKind::Get && !has(PARTIAL),
        }
    }

    /// What its method means.
    #[must_use]
    pub const fn method(&self) -> MethodKind {
        self.method
    }

    /// Its directives.
    #[must_use]
    pub const fn directives(&self) -> &RequestDirectives {
        &self.directives
    }

    /// Whether it has `Authorization`.
    #[must_use]
    pub const fn has_authorization(&self) -> bool {
        self.has_authorization
    }

    /// Whether the answer is a whole body, if there is one: a `GET` without a range, and without a condition that a 304 can answer.
    #[must_use]
    pub const fn is_for_whole(&self) -> bool {
        self.is_for_whole
    }

    /// The same request as a `GET`: what a `HEAD` tells about the stored response is as good as that.
    pub(super) const fn as_get(&self) -> Self {
        Self { method: MethodKind::Get, ..*self }
    }

    /// Whether a look-up makes sense.
    ///
    /// # Errors
    ///
    /// Why the request goes to the handler, whatever is stored. Its response is not stored either.
    pub fn admit(&self, rules: &Rules) -> Result<(), Forward> {
        let is_looked_up = match self.method {
            MethodKind::Get | MethodKind::Head => true,
            MethodKind::Query => rules.query_method == QueryMethod::Cache,
            MethodKind::Safe | MethodKind::Unsafe => false,
        };
        match self.bypass {
            _ if !is_looked_up => Err(Forward::Method),
            Some(reason) => Err(Forward::Bypass(reason)),
            None => Ok(()),
        }
    }

    /// What becomes of the request when nothing is stored for it. `forward` says what the look-up found.
    #[must_use]
    pub const fn on_miss(&self, forward: Forward) -> Miss {
        if self.directives.has(RequestFlag::OnlyIfCached) {
            Miss::Unavailable
        } else {
            Miss::Forward(forward)
        }
    }
}

fn bypass(method: MethodKind, has: impl Fn(u32) -> bool, request: &dyn RequestView) -> Option<Bypass> {
    // RFC 9112 §6: a request's content is announced by one of these fields.
    let has_content = || {
        let mut is_announced = has(TRANSFER_ENCODING);
        if has(CONTENT_LENGTH) {
            request.each_header("content-length", &mut |length| is_announced |= length != b"0");
        }
        is_announced
    };
    if has(UPGRADE) {
        Some(Bypass::Upgrade)
    } else if method != MethodKind::Query && has_content() {
        Some(Bypass::Content)
    } else if has(METHOD_OVERRIDES) {
        Some(Bypass::MethodOverride)
    } else if has(URL_OVERRIDES) {
        Some(Bypass::UrlOverride)
    } else if has(CONDITIONS) {
        Some(Bypass::Condition)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn read(method: &str, fields: &[(&str, &str)]) -> RequestHead {
        let request = Request::builder().method(method).uri("/");
        let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        RequestHead::read(&request.body(()).unwrap())
    }

    #[test]
    fn only_a_plain_get_is_for_the_whole() {
        for (method, fields, expected) in [
            ("GET", &[][..], true),
            ("GET", &[("cache-control", "no-cache"), ("authorization", "x"), ("pragma", "x")][..], true),
            ("GET", &[("range", "bytes=0-1")], false),
            ("GET", &[("if-none-match", "\"a\"")], false),
            ("GET", &[("if-modified-since", "x")], false),
            ("HEAD", &[], false),
            ("QUERY", &[], false),
        ] {
            assert_eq!(read(method, fields).is_for_whole(), expected, "{method} {fields:?}");
        }
        assert!(read("HEAD", &[]).as_get().method() == MethodKind::Get);
    }

    #[test]
    fn fields_are_told_apart() {
        let head = read("GET", &[("authorization", "x")]);
        assert!(head.has_authorization() && *head.directives() == RequestDirectives::default());
        for (name, value) in [("cache-control", "no-cache"), ("pragma", "no-cache")] {
            let head = read("GET", &[(name, value)]);
            assert!(head.directives().has(RequestFlag::NoCache) && !head.has_authorization(), "{name}");
        }
    }

    /// RFC 9112 §6.
    #[test]
    fn content_is_what_a_field_announces() {
        for (fields, expected) in [
            (&[("content-length", "0")][..], Ok(())),
            (&[("content-length", "1")][..], Err(Forward::Bypass(Bypass::Content))),
            (&[("transfer-encoding", "chunked")], Err(Forward::Bypass(Bypass::Content))),
            (&[("content-length", "0"), ("transfer-encoding", "x")], Err(Forward::Bypass(Bypass::Content))),
        ] {
            assert_eq!(read("GET", fields).admit(&Rules::safe()), expected, "{fields:?}");
        }
    }
}
