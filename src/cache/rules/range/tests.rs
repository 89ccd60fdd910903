//! RFC 9110 §14.

use http::{HeaderMap, Request, Response, StatusCode};
use proptest::prelude::*;

use super::*;
use crate::cache::rules::{Rules, StoredHead};
use RangePlan::{One, Several, Unsatisfiable, Whole};

fn span(start: u64, end: u64) -> Span {
    Span { start, end }
}

fn planned(range: &str, len: u64) -> RangePlan {
    let request = Request::get("/").header("range", range).body(()).unwrap();
    plan_range(&request, &StoredHead::new(StatusCode::OK, &HeaderMap::new(), 0), len, &Rules::safe())
}

/// §14.1.1, §14.1.2.
#[test]
fn one_range_is_one_part() {
    for (range, len, expected) in [
        ("bytes=0-1", 10, One(span(0, 2))),
        ("bytes=1-", 10, One(span(1, 10))),
        ("bytes=-1", 10, One(span(9, 10))),
        ("bytes=-500", 10, One(span(0, 10))),
        ("bytes=0-", 10, One(span(0, 10))),
        ("bytes=9-9", 10, One(span(9, 10))),
        ("bytes=5-500", 10, One(span(5, 10))),
        ("bytes=0-99999999999999999999999999", 10, One(span(0, 10))),
        ("BYTES=0-1", 10, One(span(0, 2))),
        ("bytes = 0-1", 10, One(span(0, 2))),
        ("bytes= 0-1 , ", 10, One(span(0, 2))),
        ("bytes=,0-1", 10, One(span(0, 2))),
        ("bytes=003-0004", 10, One(span(3, 5))),
    ] {
        assert_eq!(planned(range, len), expected, "{range} of {len}");
    }
}

/// §14.1.2, §15.5.17.
#[test]
fn a_range_beyond_the_body_is_unsatisfiable() {
    for (range, len, expected) in [
        ("bytes=10-", 10, Unsatisfiable),
        ("bytes=10-20", 10, Unsatisfiable),
        ("bytes=99999999999999999999-", 10, Unsatisfiable),
        ("bytes=-0", 10, Unsatisfiable),
        ("bytes=0-0", 0, Unsatisfiable),
        ("bytes=0-", 0, Unsatisfiable),
        ("bytes=-0", 0, Unsatisfiable),
        // Satisfiable, and there is no byte to send.
        ("bytes=-5", 0, Whole),
        // One that can be satisfied is enough.
        ("bytes=10-, 0-1", 10, One(span(0, 2))),
    ] {
        assert_eq!(planned(range, len), expected, "{range} of {len}");
    }
    assert_eq!(unsatisfiable(10), "bytes */10");
}

/// §14.2: what is not understood is ignored.
#[test]
fn what_is_no_range_gets_all() {
    for range in [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=a-b",
        "bytes=1",
        "bytes=1-0",
        "bytes=-1-2",
        "bytes=1-2-3",
        "bytes=1--2",
        "bytes=+1-2",
        "bytes=0x1-2",
        "bytes=1.5-2",
        "bytes=0-1 2",
        "bytes=0-1, x",
        "bytes=0-1;2",
        "items=0-1",
        "bytes:0-1",
        "=0-1",
        "bytes=0-1, 5-4",
    ] {
        assert_eq!(planned(range, 10), Whole, "{range}");
    }
}

/// §15.3.7.2, and bounds.
#[test]
fn several_ranges_are_ordered_joined_and_bounded() {
    for (range, expected) in [
        ("bytes=0-9, 500-509", Several(vec![span(0, 10), span(500, 510)])),
        ("bytes=500-509, 0-9", Several(vec![span(0, 10), span(500, 510)])),
        ("bytes=0-9, 5-20", One(span(0, 21))),
        ("bytes=0-9, 10-20", One(span(0, 21))),
        ("bytes=0-9, 90-99", One(span(0, 100))),
        ("bytes=0-9, 91-99", Several(vec![span(0, 10), span(91, 100)])),
        ("bytes=0-999, 5-6, 7-8", One(span(0, 1000))),
        ("bytes=0-0, -1", Several(vec![span(0, 1), span(999, 1000)])),
        ("bytes=0-0, 2000-", One(span(0, 1))),
    ] {
        assert_eq!(planned(range, 1000), expected, "{range}");
    }
    let many = |count: u64| {
        let ranges: Vec<_> = (0..count).map(|i| format!("{0}-{0}", i * 100)).collect();
        planned(&format!("bytes={}", ranges.join(",")), 100_000)
    };
    assert!(matches!(many(16), Several(parts) if parts.len() == 16));
    assert_eq!(many(17), Whole);
}

/// §14.2, §13.1.5: only for `GET`, only for what `If-Range` names.
#[test]
fn a_range_counts_only_where_it_fits() {
    let stored = Response::builder().header("etag", "\"a\"").body(()).unwrap().into_parts().0.headers;
    let planned = |method: &str, status: u16, fields: &[(&str, &str)]| {
        let builder = Request::builder().method(method).uri("/");
        let builder = fields.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
        let head = StoredHead::new(StatusCode::from_u16(status).unwrap(), &stored, 0);
        plan_range(&builder.body(()).unwrap(), &head, 10, &Rules::safe())
    };
    let range = ("range", "bytes=0-1");
    for (method, status, fields, expected) in [
        ("GET", 200, &[range][..], One(span(0, 2))),
        ("GET", 200, &[], Whole),
        ("HEAD", 200, &[range], Whole),
        ("QUERY", 200, &[range], Whole),
        ("GET", 404, &[range], Whole),
        ("GET", 200, &[range, range], Whole),
        ("GET", 200, &[range, ("if-range", "\"a\"")], One(span(0, 2))),
        ("GET", 200, &[range, ("if-range", "\"b\"")], Whole),
        ("GET", 200, &[range, ("if-range", "W/\"a\"")], Whole),
        ("GET", 200, &[("range", "bytes=10-"), ("if-range", "\"b\"")], Whole),
    ] {
        assert_eq!(planned(method, status, fields), expected, "{method} {status} {fields:?}");
    }
}

/// §14.4, §15.3.7.1.
#[test]
fn one_part_says_which_it_is() {
    let mut headers = HeaderMap::new();
    headers.insert("content-length", "100".parse().unwrap());
    one_part(&mut headers, span(10, 20), 100);
    assert_eq!(
        (&headers["content-range"], &headers["content-length"]),
        (&"bytes 10-19/100".parse().unwrap(), &"10".parse().unwrap())
    );
}

/// §14.6.
#[test]
fn several_parts_are_framed() {
    let body: Vec<u8> = (b'a'..=b'z').collect();
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "text/plain".parse().unwrap());
    let multipart = Multipart::frame(&mut headers, &[span(0, 2), span(24, 26)], 26, "XYZ");
    let mut sent = Vec::new();
    for (head, span) in multipart.parts() {
        sent.extend_from_slice(&head);
        sent.extend_from_slice(
            &body[usize::try_from(span.start).unwrap()..usize::try_from(span.end).unwrap()],
        );
    }
    sent.extend_from_slice(&multipart.end());
    let expected = "--XYZ\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/26\r\n\r\nab\r\n--XYZ\r\nContent-Type: text/plain\r\nContent-Range: bytes 24-25/26\r\n\r\nyz\r\n--XYZ--\r\n";
    assert_eq!(String::from_utf8(sent).unwrap(), expected);
    assert_eq!(headers["content-length"], expected.len().to_string());
    assert_eq!(headers["content-type"], "multipart/byteranges; boundary=XYZ");
    assert!(!headers.contains_key("content-range"));
}

/// Bytes that a client asked for, one by one.
fn asked(specs: &[(Option<u64>, Option<u64>)], len: u64) -> Vec<bool> {
    let is_asked = |at: u64| {
        specs.iter().any(|spec| match spec {
            (Some(first), last) => at >= *first && last.is_none_or(|last| at <= last),
            (None, last) => last.is_some_and(|last| at >= len.saturating_sub(last)),
        })
    };
    (0..len).map(is_asked).collect()
}

proptest! {
    /// Parts lie within the body, in order, apart from each other, hold all that was asked for, and little more.
    #[test]
    fn parts_are_what_was_asked_for(
        specs in prop::collection::vec(
            prop_oneof![
                (0..400_u64, prop::option::of(0..100_u64)).prop_map(|(first, more)| (Some(first), more.map(|more| first + more))),
                (0..400_u64).prop_map(|last| (None, Some(last))),
            ],
            1..6,
        ),
        len in 1..300_u64,
    ) {
        let text = |number: &Option<u64>| number.map_or(String::new(), |number| number.to_string());
        let ranges: Vec<_> = specs.iter().map(|(first, last)| format!("{}-{}", text(first), text(last))).collect();
        let asked = asked(&specs, len);
        let parts = match planned(&format!("bytes={}", ranges.join(", ")), len) {
            Whole => return Err(TestCaseError::fail("a valid range was ignored")),
            Unsatisfiable => Vec::new(),
            One(part) => vec![part],
            Several(parts) => {
                prop_assert!(parts.len() > 1);
                parts
            }
        };
        prop_assert!(parts.iter().all(|part| !part.is_empty() && part.end <= len));
        prop_assert!(parts.windows(2).all(|pair| pair[0].end + 80 < pair[1].start));
        let is_sent = |at: u64| parts.iter().any(|part| (part.start..part.end).contains(&at));
        for (at, is_asked) in (0..len).zip(&asked) {
            prop_assert!(!is_asked || is_sent(at), "byte {} is missing", at);
        }
        prop_assert_eq!(parts.is_empty(), !asked.contains(&true));
        for part in &parts {
            prop_assert!(asked[usize::try_from(part.start).unwrap()] && asked[usize::try_from(part.end - 1).unwrap()]);
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(range: Vec<u8>, text in "bytes=[0-9, -]{0,40}", len: u64) {
        for range in [range.as_slice(), text.as_bytes()] {
            let Ok(value) = HeaderValue::from_bytes(range) else { continue };
            let request = Request::get("/").header("range", value).body(()).unwrap();
            let none = HeaderMap::new();
            let head = StoredHead::new(StatusCode::OK, &none, 0);
            if let Several(parts) = plan_range(&request, &head, len, &Rules::safe()) {
                prop_assert!(parts.len() <= 16);
                let mut headers = HeaderMap::new();
                let _ = Multipart::frame(&mut headers, &parts, len, "b");
            }
        }
    }
}
