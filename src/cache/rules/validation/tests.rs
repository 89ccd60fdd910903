//! RFC 9111 §4.3 and RFC 9110 §13.

use http::{HeaderMap, Request, Response};
use proptest::prelude::*;

use super::*;
use crate::cache::rules::{NotStored, Received, RequestHead, Rules, http_date};

/// 2026-11-20.
const NOW_MS: u64 = 1_795_132_800_000;

type Fields<'a> = &'a [(&'a str, &'a str)];

fn headers(fields: Fields<'_>) -> HeaderMap {
    let builder =
        fields.iter().fold(Response::builder(), |builder, (name, value)| builder.header(*name, *value));
    builder.body(()).unwrap().into_parts().0.headers
}

fn request(method: &str, fields: Fields<'_>) -> Request<()> {
    let builder = Request::builder().method(method).uri("/");
    fields.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value)).body(()).unwrap()
}

fn date(seconds: i64) -> String {
    http_date(NOW_MS.saturating_add_signed(seconds * 1000)).to_str().unwrap().to_owned()
}

fn evaluated(asks: Fields<'_>, stored: Fields<'_>) -> Precondition {
    evaluate(&request("GET", asks), &StoredHead::new(StatusCode::OK, &headers(stored), NOW_MS))
}

use Precondition::{NotModified, Send};

/// RFC 9110 §13.1.2, §8.8.3.2: weak comparison. Forms that are against the grammar and can only mean one thing are read.
#[test]
fn if_none_match_compares_weakly() {
    for (etag, asked, expected) in [
        ("\"a\"", "\"a\"", NotModified),
        ("\"a\"", "W/\"a\"", NotModified),
        ("W/\"a\"", "\"a\"", NotModified),
        ("W/\"a\"", "W/\"a\"", NotModified),
        ("\"a\"", "\"b\"", Send),
        ("\"a\"", "\"A\"", Send),
        ("\"a\"", "\"a\", \"b\"", NotModified),
        ("\"a\"", "\"b\",W/\"a\",\"c\"", NotModified),
        ("\"a\"", "\"b\" , , \"a\"", NotModified),
        ("\"a\"", "\"b\" \"a\"", NotModified),
        ("\"a, b\"", "\"x\", \"a, b\"", NotModified),
        ("\"a\"", "\"x, \"a\"\"", Send),
        ("\"a\\\"", "\"a\\\", \"b\"", NotModified),
        ("\"\"", "\"\"", NotModified),
        ("\"a\"", "*", NotModified),
        ("\"a\"", " * ", NotModified),
        ("\"a\"", "\"*\"", Send),
        ("\"a\"", "", Send),
        ("\"a\"", "a", NotModified),
        ("\"abc\"", "W/abc, \"b\"", NotModified),
        ("a", "\"a\"", NotModified),
        ("a", "a", NotModified),
        ("w/\"a\"", "w/\"a\"", NotModified),
        ("\"a\u{fc}\"", "\"a\u{fc}\"", NotModified),
    ] {
        assert_eq!(evaluated(&[("if-none-match", asked)], &[("etag", etag)]), expected, "{etag}: {asked}");
    }
    assert_eq!(evaluated(&[("if-none-match", "*")], &[]), NotModified, "§13.1.2: any stored response");
    assert_eq!(evaluated(&[("if-none-match", "\"a\"")], &[]), Send);
    assert_eq!(
        evaluated(&[("if-none-match", "\"b\""), ("if-none-match", "\"a\"")], &[("etag", "\"a\"")]),
        NotModified
    );
}

/// RFC 9111 §4.3.2: `Last-Modified`, else `Date`, else when the response came.
#[test]
fn if_modified_since_compares_dates() {
    let (old, now, soon) = (date(-100), date(0), date(100));
    for (asked, stored, expected) in [
        (&*now, &[("last-modified", &*now)][..], NotModified),
        (&soon, &[("last-modified", &now)], NotModified),
        (&old, &[("last-modified", &now)], Send),
        (&now, &[("last-modified", &old), ("date", &soon)], NotModified),
        (&now, &[("date", &now)], NotModified),
        (&old, &[("date", &now)], Send),
        (&now, &[], NotModified),
        (&old, &[], Send),
        ("Friday, 20-Nov-26 00:00:00 GMT", &[("last-modified", &now)], NotModified),
        ("fri, 20 nov 2026 00:00:00 gmt", &[("last-modified", &now)], NotModified),
        ("foo", &[("last-modified", &old)], Send),
        ("", &[("last-modified", &old)], Send),
        (&now, &[("last-modified", "foo")], Send),
        ("foo", &[("last-modified", "foo")], NotModified),
    ] {
        assert_eq!(evaluated(&[("if-modified-since", asked)], stored), expected, "{asked}: {stored:?}");
    }
}

/// RFC 9110 §13.2.2 and §13.2.1.
#[test]
fn conditions_have_an_order_and_a_place() {
    let stored = [("etag", "\"a\""), ("last-modified", &*date(-100))];
    let newer = ("if-modified-since", &*date(-200));
    let older = ("if-modified-since", &*date(0));
    assert_eq!(evaluated(&[("if-none-match", "\"a\""), newer], &stored), NotModified);
    assert_eq!(evaluated(&[("if-none-match", "\"b\""), older], &stored), Send);
    assert_eq!(evaluated(&[("if-none-match", ""), older], &stored), Send);
    assert_eq!(evaluated(&[], &stored), Send);
    let fields = headers(&stored);
    for (method, status, expected) in [
        ("GET", 200, NotModified),
        ("HEAD", 200, NotModified),
        ("POST", 200, Send),
        ("GET", 404, Send),
        ("GET", 301, Send),
    ] {
        let head = StoredHead::new(StatusCode::from_u16(status).unwrap(), &fields, NOW_MS);
        let read = evaluate(&request(method, &[("if-none-match", "\"a\"")]), &head);
        assert_eq!(read, expected, "{method} {status}");
    }
}

/// RFC 9110 §15.4.5.
#[test]
fn a_304_has_the_fields_that_update_a_copy() {
    let needed = [
        ("cache-control", "max-age=1"),
        ("cache-control", "public"),
        ("cdn-cache-control", "max-age=2"),
        ("content-location", "/a"),
        ("date", "x"),
        ("etag", "\"a\""),
        ("expires", "x"),
        ("vary", "a"),
        ("vary", "b"),
    ];
    let others = [
        ("content-type", "text/plain"),
        ("content-length", "5"),
        ("last-modified", "x"),
        ("set-cookie", "a=b"),
        ("x", "1"),
    ];
    assert_eq!(not_modified_fields(&headers(&[&needed[..], &others].concat())), headers(&needed));
    let dated = [("last-modified", "x")];
    assert_eq!(not_modified_fields(&headers(&dated)), headers(&dated), "without a tag the date is needed");
}

/// RFC 9110 §13.1.5: `If-Range` needs strong validators.
#[test]
fn if_range_compares_strongly() {
    let (made, earlier) = (date(0), date(-1));
    for (asked, stored, expected) in [
        ("\"a\"", &[("etag", "\"a\"")][..], true),
        ("\"a\"", &[("etag", "\"b\"")], false),
        ("W/\"a\"", &[("etag", "W/\"a\"")], false),
        ("\"a\"", &[("etag", "W/\"a\"")], false),
        ("\"a\"", &[], false),
        ("a", &[("etag", "\"a\"")], false),
        (&*earlier, &[("last-modified", &*earlier), ("date", &made)], true),
        ("Thursday, 19-Nov-26 23:59:59 GMT", &[("last-modified", &earlier), ("date", &made)], true),
        (&made, &[("last-modified", &earlier), ("date", &made)], false),
        // Within the second of its making a response may have changed again (§8.8.2.2).
        (&made, &[("last-modified", &made), ("date", &made)], false),
        (&earlier, &[("last-modified", &earlier)], false),
        ("foo", &[("last-modified", "foo"), ("date", &made)], false),
    ] {
        let fields = headers(stored);
        let head = StoredHead::new(StatusCode::OK, &fields, NOW_MS);
        assert_eq!(is_same_representation(asked.as_bytes(), &head), expected, "{asked}: {stored:?}");
    }
}

/// RFC 9111 §4.3.1, and why no client's condition goes along.
#[test]
fn the_handler_is_asked_with_the_entrys_validators_alone() {
    let validators = Validators::of(&headers(&[("etag", "W/\"a\""), ("last-modified", "x")]));
    let mut asked = headers(&[
        ("if-none-match", "\"b\""),
        ("if-none-match", "\"c\""),
        ("if-modified-since", "y"),
        ("range", "bytes=0-1"),
        ("if-range", "\"b\""),
        ("x", "1"),
    ]);
    validators.apply(&mut asked);
    assert_eq!(asked, headers(&[("if-none-match", "W/\"a\""), ("if-modified-since", "x"), ("x", "1")]));
    assert!(Validators::of(&headers(&[("x", "1")])).is_empty() && !validators.is_empty());
    for one in [("etag", "\"a\""), ("last-modified", "x")] {
        assert!(!Validators::of(&headers(&[one])).is_empty(), "{one:?}");
    }
}

fn freshened(
    request_fields: Fields<'_>,
    stored: Fields<'_>,
    new: Fields<'_>,
    rules: &Rules,
) -> Result<Freshened, Mismatch> {
    let (stored, new) = (headers(stored), headers(new));
    let head = StoredHead::new(StatusCode::OK, &stored, NOW_MS - 60_000);
    let received = Received::new(StatusCode::NOT_MODIFIED, &new, NOW_MS, NOW_MS);
    freshen(&RequestHead::read(&request("GET", request_fields)), &head, &received, rules)
}

/// §4.3.4.
#[test]
fn a_304_updates_the_response_that_it_names() {
    for (stored, new, is_for) in [
        (&[("etag", "\"a\"")][..], &[("etag", "\"a\"")][..], true),
        (&[("etag", "\"a\"")], &[("etag", "\"b\"")], false),
        (&[("etag", "\"a\"")], &[("etag", "W/\"a\"")], true),
        (&[("etag", "W/\"a\"")], &[("etag", "W/\"a\"")], true),
        (&[("etag", "W/\"a\"")], &[("etag", "\"a\"")], false),
        (&[("etag", "\"a\"")], &[], true),
        (&[("last-modified", "x")], &[("last-modified", "x")], true),
        (&[("last-modified", "x")], &[("last-modified", "y")], false),
        (&[("last-modified", "x")], &[("etag", "\"a\"")], false),
        (&[("last-modified", "x")], &[], true),
        (&[], &[], true),
    ] {
        let stored = [stored, &[("cache-control", "max-age=60")]].concat();
        assert_eq!(freshened(&[], &stored, new, &Rules::safe()).is_ok(), is_for, "{stored:?} {new:?}");
    }
}

/// §3.2.
#[test]
fn every_field_of_a_304_replaces_the_stored_one_but_those_of_the_content() {
    let stored = [
        ("cache-control", "max-age=1"),
        ("etag", "\"a\""),
        ("date", &*date(-60)),
        ("x-kept", "1"),
        ("x-kept", "2"),
        ("x-changed", "1"),
        ("x-changed", "2"),
        ("content-length", "5"),
        ("content-type", "text/html"),
        ("content-encoding", "br"),
    ];
    let new = [
        ("cache-control", "max-age=3600"),
        ("x-changed", "3"),
        ("x-new", "4"),
        ("x-new", "5"),
        ("content-length", "0"),
        ("content-type", "text/plain"),
        ("content-encoding", "gzip"),
        ("content-range", "bytes 0-1/2"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("age", "7"),
    ];
    let expected = headers(&[
        ("cache-control", "max-age=3600"),
        ("etag", "\"a\""),
        ("date", &date(0)),
        ("x-kept", "1"),
        ("x-kept", "2"),
        ("x-changed", "3"),
        ("x-new", "4"),
        ("x-new", "5"),
        ("content-length", "5"),
        ("content-type", "text/html"),
        ("content-encoding", "br"),
    ]);
    let read = freshened(&[], &stored, &new, &Rules::strict_spec()).unwrap();
    let to_store = read.store.unwrap();
    assert_eq!(read.headers, expected);
    assert_eq!(to_store.headers, expected);
    // It is as young as the 304, and lives by the new directives.
    assert_eq!(
        (to_store.stored.received_ms, to_store.stored.age_ms, to_store.stored.lifetime_ms),
        (NOW_MS, 7000, 3_600_000)
    );
}

#[test]
fn what_a_304_tells_one_client_is_not_stored() {
    let stored = [("cache-control", "max-age=60"), ("etag", "\"a\"")];
    let new = [("set-cookie", "a=b"), ("ratelimit", "\"a\";r=1"), ("retry-after", "5")];
    let read = freshened(&[], &stored, &new, &Rules::safe()).unwrap();
    assert_eq!(read.headers["set-cookie"], "a=b");
    assert_eq!(read.headers["ratelimit"], "\"a\";r=1");
    let to_store = read.store.unwrap().headers;
    assert!(!to_store.contains_key("set-cookie") && !to_store.contains_key("ratelimit"));
    let strict = freshened(&[], &stored, &new, &Rules::strict_spec()).unwrap();
    assert!(strict.store.unwrap().headers.contains_key("set-cookie"));
}

#[test]
fn a_304_can_end_an_entry_and_another_clients_request_cannot() {
    let stored = [("cache-control", "max-age=60"), ("etag", "\"a\"")];
    for (fields, new, expected, about_request) in [
        (&[][..], &[("cache-control", "no-store")][..], NotStored::NoStore, false),
        (&[], &[("cache-control", "private")], NotStored::Private, false),
        (&[], &[("vary", "*")], NotStored::VaryStar, false),
        (&[("authorization", "x")], &[], NotStored::Authorization, true),
        (&[("cache-control", "no-store")], &[], NotStored::RequestNoStore, true),
    ] {
        let reason = freshened(fields, &stored, new, &Rules::safe()).unwrap().store.unwrap_err();
        assert_eq!((reason, reason.is_about_request()), (expected, about_request), "{new:?}");
    }
}

/// §4.3.5.
#[test]
fn a_head_updates_or_outdates_what_is_stored() {
    let rules = Rules::safe();
    let stored =
        headers(&[("cache-control", "max-age=1"), ("etag", "\"a\""), ("content-length", "5"), ("x", "1")]);
    let effect = |status: u16, new: Fields<'_>| {
        let new = headers(new);
        let status = StatusCode::from_u16(status).unwrap();
        let head = StoredHead::new(StatusCode::OK, &stored, NOW_MS);
        let read = RequestHead::read(&request("HEAD", &[]));
        freshen_by_head(&read, &head, &Received::new(status, &new, NOW_MS, NOW_MS), &rules)
    };
    for new in [
        &[("etag", "\"a\""), ("cache-control", "max-age=9"), ("x", "2")][..],
        &[("content-length", "5"), ("cache-control", "max-age=9"), ("x", "2")],
    ] {
        let HeadEffect::Freshened(read) = effect(200, new) else { panic!("{new:?}") };
        let to_store = read.store.unwrap();
        assert_eq!((to_store.stored.lifetime_ms, &to_store.headers["x"]), (9000, &"2".parse().unwrap()));
    }
    for new in [("etag", "\"b\""), ("content-length", "6"), ("last-modified", "x")] {
        assert!(matches!(effect(200, &[new]), HeadEffect::Outdated), "{new:?}");
    }
    for status in [304, 404, 410, 500] {
        assert!(matches!(effect(status, &[]), HeadEffect::Nothing), "{status}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(name in prop::sample::select(vec!["if-none-match", "if-modified-since"]), asked: Vec<u8>, etag: Vec<u8>) {
        let (Ok(asked), Ok(etag)) = (HeaderValue::from_bytes(&asked), HeaderValue::from_bytes(&etag)) else { return Ok(()) };
        let mut request = request("GET", &[]);
        request.headers_mut().insert(name, asked.clone());
        let mut stored = HeaderMap::new();
        stored.insert("etag", etag.clone());
        stored.insert("last-modified", etag);
        let head = StoredHead::new(StatusCode::OK, &stored, NOW_MS);
        let _ = (evaluate(&request, &head), is_same_representation(asked.as_bytes(), &head));
    }

    /// A list of tags names a response exactly when one of the tags does.
    #[test]
    fn a_list_matches_if_one_of_its_tags_does(tags in prop::collection::vec("(W/)?\"[a-b, \\\\]{0,2}\"", 0..4), own in "(W/)?\"[a-b, \\\\]{0,2}\"") {
        let one = |tag: &String| tag.trim_start_matches("W/") == own.trim_start_matches("W/");
        let expected = if tags.iter().any(one) { NotModified } else { Send };
        prop_assert_eq!(evaluated(&[("if-none-match", &tags.join(", "))], &[("etag", &own)]), expected);
    }
}
