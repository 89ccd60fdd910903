//! RFC 9111 §3, clause by clause, and what holds beyond it.

use http::{HeaderMap, Request, Response, StatusCode};
use std::time::Duration;

use super::*;
use crate::cache::rules::{Heuristic, QueryMethod, StatusSet, Ttl};
use NotStored as Not;

const NOW_MS: u64 = 1_795_132_800_000;

type Fields<'a> = &'a [(&'a str, &'a str)];

fn request(method: &str, fields: Fields<'_>) -> RequestHead {
    let builder = Request::builder().method(method).uri("/");
    let builder = fields.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
    RequestHead::read(&builder.body(()).unwrap())
}

fn headers(fields: Fields<'_>) -> HeaderMap {
    let builder =
        fields.iter().fold(Response::builder(), |builder, (name, value)| builder.header(*name, *value));
    builder.body(()).unwrap().into_parts().0.headers
}

fn stored(request: &RequestHead, status: u16, fields: Fields<'_>, rules: &Rules) -> Result<ToStore, Not> {
    let status = StatusCode::from_u16(status).unwrap();
    store(request, &Received::new(status, &headers(fields), NOW_MS, NOW_MS), rules)
}

/// Why it is not stored; `None` if it is.
fn why(request: &RequestHead, status: u16, fields: Fields<'_>, rules: &Rules) -> Option<Not> {
    stored(request, status, fields, rules).err()
}

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

/// §3, first item: the method.
#[test]
fn only_get_is_stored_and_query_where_it_is_switched_on() {
    let mut rules = Rules::strict_spec();
    for method in
        ["HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "QUERY", "get", "M-SEARCH", "X"]
    {
        assert_eq!(why(&request(method, &[]), 200, &[FRESH], &rules), Some(Not::Method), "{method}");
    }
    assert_eq!(why(&request("GET", &[]), 200, &[FRESH], &rules), None);
    rules.query_method = QueryMethod::Cache;
    assert_eq!(why(&request("QUERY", &[("content-length", "5")]), 200, &[FRESH], &rules), None);
}

/// §3, second and third item: a final status code, neither 206 nor 304, understood where that is demanded.
#[test]
fn status_codes_are_stored_as_the_profile_says() {
    let get = request("GET", &[]);
    let (safe, strict) = (Rules::safe(), Rules::strict_spec());
    for status in [200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 410, 451] {
        assert_eq!(why(&get, status, &[FRESH], &safe), None, "{status}");
    }
    for status in [201, 299, 400, 401, 403, 405, 414, 499, 500, 502, 503, 504, 599] {
        assert_eq!(why(&get, status, &[FRESH], &safe), Some(Not::Status), "{status}");
        assert_eq!(why(&get, status, &[FRESH], &strict), None, "{status}");
    }
    for (status, reason) in [
        (103, Not::Status),
        (206, Not::Partial),
        (304, Not::NotModified),
        (412, Not::Status),
        (416, Not::Status),
        // RFC 6585 §4: must not be stored.
        (429, Not::Status),
        (431, Not::Status),
    ] {
        assert_eq!(why(&get, status, &[FRESH], &strict), Some(reason), "{status}");
    }
}

/// §3, fourth to seventh item, §5.2.2: the directives.
#[test]
fn directives_decide() {
    let get = request("GET", &[]);
    for (directives, expected) in [
        ("max-age=60", None),
        ("max-age=60, no-store", Some(Not::NoStore)),
        ("No-Store", Some(Not::NoStore)),
        ("max-age=60, private", Some(Not::Private)),
        ("max-age=60, private=\"x-user\"", None),
        ("max-age=60, private=\"\"", Some(Not::Private)),
        ("max-age=60, x=\"no-store", Some(Not::Unreadable)),
        ("max-age=60, must-understand", None),
        // §5.2.2.3: who understands ignores the `no-store` beside it.
        ("max-age=60, must-understand, no-store", None),
        ("max-age=60, must-understand, private", Some(Not::Private)),
        ("max-age=60, no-store=x", Some(Not::NoStore)),
        ("max-age=60, no-cache", Some(Not::AlreadyStale)),
        ("public", Some(Not::NoFreshness)),
        ("", Some(Not::NoFreshness)),
        ("max-age=0", Some(Not::AlreadyStale)),
        ("max-age=x", Some(Not::AlreadyStale)),
        ("max-age=0, stale-while-revalidate=5", None),
        ("max-age=0, stale-if-error=5", None),
        ("max-age=0, stale-if-error=5, must-revalidate", Some(Not::AlreadyStale)),
    ] {
        assert_eq!(
            why(&get, 200, &[("cache-control", directives)], &Rules::safe()),
            expected,
            "{directives}"
        );
    }
    let unknown = [("cache-control", "max-age=60, must-understand")];
    assert_eq!(why(&get, 599, &unknown, &Rules::strict_spec()), Some(Not::NotUnderstood));
    assert_eq!(
        why(&get, 200, &[("cdn-cache-control", "no-store"), FRESH], &Rules::safe()),
        Some(Not::NoStore)
    );
    assert_eq!(
        why(&get, 200, &[("cdn-cache-control", "private"), FRESH], &Rules::safe()),
        Some(Not::Private)
    );
    let for_us = [("cdn-cache-control", "max-age=60"), ("cache-control", "no-store, private")];
    assert_eq!(why(&get, 200, &for_us, &Rules::safe()), None);
}

/// A response that can be validated is worth storing even when it is never fresh.
#[test]
fn what_can_be_validated_is_stored_if_it_says_how_long_it_may_be_used() {
    let get = request("GET", &[]);
    for (directives, expected) in [
        ("no-cache", None),
        ("max-age=60, no-cache", None),
        ("max-age=0", None),
        ("no-store, no-cache", Some(Not::NoStore)),
        ("public", Some(Not::NoFreshness)),
    ] {
        let fields = [("cache-control", directives), ("etag", "\"1\"")];
        let read = stored(&get, 200, &fields, &Rules::safe());
        assert_eq!(read.as_ref().err(), expected.as_ref(), "{directives}");
        assert!(read.is_err() || read.unwrap().stored.flags.has(StoredFlag::Validator));
    }
}

/// §3.5.
#[test]
fn responses_to_authorization_must_say_that_they_are_for_all() {
    let authorized = request("GET", &[("authorization", "Bearer x")]);
    for rules in [Rules::safe(), Rules::strict_spec()] {
        for (directives, expected) in [
            ("max-age=60", Some(Not::Authorization)),
            ("max-age=60, public", None),
            ("max-age=60, must-revalidate", None),
            ("s-maxage=60", None),
            ("max-age=60, proxy-revalidate", Some(Not::Authorization)),
            ("max-age=60, private", Some(Not::Private)),
        ] {
            assert_eq!(
                why(&authorized, 200, &[("cache-control", directives)], &rules),
                expected,
                "{directives}"
            );
        }
        let targeted = [("cdn-cache-control", "max-age=60"), ("cache-control", "public")];
        assert_eq!(why(&authorized, 200, &targeted, &rules), Some(Not::Authorization));
    }
    let fixed = Rules { ttl: Ttl::Fixed(Duration::from_secs(60)), ..Rules::safe() };
    assert_eq!(why(&authorized, 200, &[], &fixed), Some(Not::Authorization));
}

/// §5.2.1.5, and requests that go past the cache.
#[test]
fn requests_can_forbid_storing() {
    let rules = Rules::strict_spec();
    for (field, reason) in [
        (("cache-control", "no-store"), Not::RequestNoStore),
        (("upgrade", "websocket"), Not::Bypass),
        (("content-length", "5"), Not::Bypass),
        (("transfer-encoding", "chunked"), Not::Bypass),
        (("x-http-method-override", "DELETE"), Not::Bypass),
        (("x-original-url", "/admin"), Not::Bypass),
        (("if-match", "\"1\""), Not::Bypass),
        (("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT"), Not::Bypass),
    ] {
        assert_eq!(why(&request("GET", &[field]), 200, &[FRESH], &rules), Some(reason), "{field:?}");
        assert!(reason.is_about_request());
    }
    for field in [("content-length", "0"), ("range", "bytes=0-1"), ("if-none-match", "*"), ("cookie", "a=b")]
    {
        assert_eq!(why(&request("GET", &[field]), 200, &[FRESH], &rules), None, "{field:?}");
    }
}

/// §4.1.
#[test]
fn what_varies_on_everything_is_not_stored() {
    let get = request("GET", &[]);
    for (vary, expected) in [
        (&["accept"][..], None),
        (&["*"], Some(Not::VaryStar)),
        (&["*, *"], Some(Not::VaryStar)),
        (&["*", "*"], Some(Not::VaryStar)),
        (&[", *"], Some(Not::VaryStar)),
        (&["", "*"], Some(Not::VaryStar)),
        (&["*, foo"], Some(Not::VaryStar)),
        (&["foo, *"], Some(Not::VaryStar)),
        (&["foo", "bar,\t*"], Some(Not::VaryStar)),
        (&["foo bar"], Some(Not::VaryStar)),
        (&["\"foo\""], Some(Not::VaryStar)),
        (&["", ","], None),
        (&["a,b,c,d,e,f,g,h", "i,j,k,l,m,n,o,p"], None),
        (&["a,b,c,d,e,f,g,h", "i,j,k,l,m,n,o,p,q"], Some(Not::VaryTooMany)),
    ] {
        let fields: Vec<_> = vary.iter().map(|line| ("vary", *line)).chain([FRESH]).collect();
        assert_eq!(why(&get, 200, &fields, &Rules::strict_spec()), expected, "{vary:?}");
    }
}

/// Beyond the RFC: what one client was sent alone.
#[test]
fn cookies_and_limits_of_one_client_reach_no_other() {
    let get = request("GET", &[]);
    let cookie = [FRESH, ("set-cookie", "a=b"), ("set-cookie", "c=d")];
    assert_eq!(why(&get, 200, &cookie, &Rules::safe()), Some(Not::SetCookie));
    let named = [("cache-control", "max-age=60, private=\"set-cookie\""), ("set-cookie", "a=b")];
    assert_eq!(why(&get, 200, &named, &Rules::safe()), Some(Not::SetCookie));
    let strict = stored(&get, 200, &cookie, &Rules::strict_spec()).unwrap();
    assert_eq!(strict.headers.get_all("set-cookie").iter().count(), 2);

    let limited = [FRESH, ("ratelimit", "\"a\";r=1"), ("x-ratelimit-remaining", "1"), ("retry-after", "9")];
    assert_eq!(stored(&get, 200, &limited, &Rules::safe()).unwrap().headers.len(), 2);
    assert_eq!(stored(&get, 200, &limited, &Rules::strict_spec()).unwrap().headers.len(), 5);
}

/// §3.1, RFC 9110 §7.6.1.
#[test]
fn all_lines_of_a_field_are_stored_and_fields_for_one_hop_are_not() {
    let kept = [
        FRESH,
        ("date", "Fri, 20 Nov 2026 00:00:00 GMT"),
        ("link", "</a>"),
        ("link", "</b>"),
        ("x-unknown", "1"),
        ("cache-status", "inner; hit"),
        ("content-range", "bytes 0-1/2"),
        ("cdn-cache-control", "max-age=60"),
    ];
    let dropped = [
        ("connection", "x-hop, X-Other"),
        ("connection", "close"),
        ("x-hop", "1"),
        ("x-other", "1"),
        ("keep-alive", "1"),
        ("te", "1"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("proxy-connection", "1"),
        ("proxy-authenticate", "1"),
        ("proxy-authorization", "1"),
        ("proxy-authentication-info", "1"),
        ("age", "5"),
    ];
    let read =
        stored(&request("GET", &[]), 200, &[&kept[..], &dropped].concat(), &Rules::strict_spec()).unwrap();
    assert_eq!(read.headers, headers(&kept));
    assert_eq!(read.stored.age_ms, 5000);
}

/// §5.2.2.4, §5.2.2.7: fields that a directive names.
#[test]
fn fields_that_are_private_or_need_validation_are_not_stored() {
    let fields = [
        ("cache-control", "max-age=60, private=\"x-user\", no-cache=\"x-nonce\""),
        ("x-user", "1"),
        ("x-nonce", "1"),
        ("x", "1"),
    ];
    let read = stored(&request("GET", &[]), 200, &fields, &Rules::strict_spec()).unwrap();
    assert!(read.headers.contains_key("x"));
    assert!(!read.headers.contains_key("x-user") && !read.headers.contains_key("x-nonce"));
    assert!(!read.stored.flags.has(StoredFlag::NoCache));
}

/// RFC 9110 §6.6.1.
#[test]
fn a_response_without_a_date_gets_the_time_when_it_came() {
    let read = stored(&request("GET", &[]), 200, &[FRESH], &Rules::safe()).unwrap();
    assert_eq!(read.headers["date"], "Fri, 20 Nov 2026 00:00:00 GMT");
}

/// §4.2.4, §5.2.2.2, §5.2.2.8, §5.2.2.10, RFC 5861.
#[test]
fn who_must_revalidate_is_never_stale() {
    let get = request("GET", &[]);
    let mut rules = Rules::safe();
    rules.stale_while_revalidate = Duration::from_secs(7);
    rules.stale_if_error = Duration::from_secs(8);
    for (directives, expected) in [
        ("max-age=60", (7, 8)),
        ("max-age=60, stale-while-revalidate=1", (1, 8)),
        ("max-age=60, stale-while-revalidate=0, stale-if-error=0", (0, 0)),
        ("max-age=60, stale-if-error=x", (7, 0)),
        ("max-age=60, must-revalidate", (0, 0)),
        ("max-age=60, must-revalidate, stale-if-error=9", (0, 0)),
        ("max-age=60, proxy-revalidate", (0, 0)),
        ("s-maxage=60", (0, 0)),
        ("s-maxage=60, stale-while-revalidate=9", (0, 0)),
    ] {
        let read = stored(&get, 200, &[("cache-control", directives)], &rules).unwrap().stored;
        let read = (read.stale_while_revalidate_ms / 1000, read.stale_if_error_ms / 1000);
        assert_eq!(read, expected, "{directives}");
    }
    rules.s_maxage = SMaxage::AllowsNamedStale;
    for (directives, expected) in [
        ("s-maxage=60", (0, 0)),
        ("s-maxage=60, stale-while-revalidate=9", (9, 8)),
        ("s-maxage=60, stale-while-revalidate=9, must-revalidate", (0, 0)),
    ] {
        let read = stored(&get, 200, &[("cache-control", directives)], &rules).unwrap().stored;
        let read = (read.stale_while_revalidate_ms / 1000, read.stale_if_error_ms / 1000);
        assert_eq!(read, expected, "{directives}");
    }
}

/// The route's lifetime counts for its own list of status codes; what vetoes, vetoes all the same.
#[test]
fn a_routes_lifetime_does_not_overrule_a_veto() {
    let get = request("GET", &[]);
    let rules = Rules { ttl: Ttl::Fixed(Duration::from_secs(60)), ..Rules::safe() };
    assert_eq!(why(&get, 200, &[], &rules), None);
    assert_eq!(why(&get, 404, &[], &rules), Some(Not::NoFreshness));
    assert_eq!(why(&get, 200, &[("cache-control", "no-store")], &rules), Some(Not::NoStore));
    assert_eq!(why(&get, 200, &[("cache-control", "private")], &rules), Some(Not::Private));
    assert_eq!(why(&get, 200, &[("set-cookie", "a=b")], &rules), Some(Not::SetCookie));
    let old = stored(&get, 200, &[("age", "3600")], &rules).unwrap().stored;
    assert_eq!((old.age_ms, old.ttl_at(NOW_MS)), (3_600_000, 60_000), "counted from when it came");
    let listed = StatusSet::only([StatusCode::NOT_FOUND, StatusCode::INTERNAL_SERVER_ERROR]);
    let errors = Rules { ttl_statuses: listed, ..rules };
    assert_eq!([404, 500].map(|status| why(&get, status, &[], &errors)), [None, None]);
    let guessed = Rules { heuristic: Heuristic::fraction(10, Duration::from_secs(60)), ..Rules::safe() };
    let read = stored(&get, 200, &[("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")], &guessed).unwrap();
    assert!(read.stored.flags.has(StoredFlag::Heuristic));
}

#[test]
fn labels_are_all_different() {
    let labels = [
        Not::Method,
        Not::Bypass,
        Not::RequestNoStore,
        Not::Partial,
        Not::NotModified,
        Not::Status,
        Not::Unreadable,
        Not::NotUnderstood,
        Not::NoStore,
        Not::Private,
        Not::Authorization,
        Not::SetCookie,
        Not::VaryStar,
        Not::VaryTooMany,
        Not::NoFreshness,
        Not::AlreadyStale,
    ]
    .map(NotStored::as_str);
    let distinct: std::collections::BTreeSet<_> = labels.into_iter().collect();
    assert_eq!(distinct.len(), labels.len());
    assert!(labels.iter().all(|label| label.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
}
