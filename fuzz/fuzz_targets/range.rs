//! `Range`, `If-Range` and `If-None-Match` against a stored response: parts lie within the body, in order and apart from each other.
//!
//! The input is two bytes of the body's length, then the lines of the three fields with line feeds between them.

#![no_main]

use http::{HeaderMap, HeaderValue, Request, StatusCode};
use libfuzzer_sys::fuzz_target;
use tower_keep::cache::rules::{
    Multipart, Precondition, RangePlan, Rules, StoredHead, evaluate, http_date, not_modified_fields,
    one_part, plan_range,
};
use tower_keep_fuzz::START_MS;

fuzz_target!(|input: &[u8]| {
    let Some((len, fields)) = input.split_at_checked(2) else { return };
    let len = u64::from(len[0]) << 8 | u64::from(len[1]);
    let mut request = Request::new(());
    for (name, value) in ["range", "if-range", "if-none-match"].into_iter().zip(fields.split(|b| *b == b'\n'))
    {
        let Ok(value) = HeaderValue::from_bytes(value) else { return };
        if !value.is_empty() {
            request.headers_mut().insert(name, value);
        }
    }
    let mut stored = HeaderMap::new();
    stored.insert("etag", HeaderValue::from_static("\"a\""));
    stored.insert("date", http_date(START_MS));
    stored.insert("last-modified", http_date(START_MS - 2000));
    stored.insert("content-type", HeaderValue::from_static("text/plain"));
    let head = StoredHead::new(StatusCode::OK, &stored, START_MS);

    let is_known = evaluate(&request, &head) == Precondition::NotModified;
    let asked = request.headers().get("if-none-match").map_or(&b""[..], |value| value.as_bytes());
    assert!(!is_known || asked.contains(&b'a') || asked.contains(&b'*'), "an unknown tag was known");
    assert!(not_modified_fields(&stored).contains_key("etag"));

    let rules = Rules::safe();
    match plan_range(&request, &head, len, &rules) {
        RangePlan::One(span) => {
            assert!(!span.is_empty() && span.end <= len);
            one_part(&mut stored, span, len);
            assert_eq!(stored["content-length"], span.len().to_string());
        }
        RangePlan::Several(spans) => {
            assert!((2..=rules.max_ranges).contains(&spans.len()));
            assert!(spans.iter().all(|span| !span.is_empty() && span.end <= len));
            assert!(spans.windows(2).all(|pair| pair[0].end < pair[1].start));
            let multipart = Multipart::frame(&mut stored, &spans, len, "boundary");
            let parts: u64 = multipart.parts().map(|(head, span)| head.len() as u64 + span.len()).sum();
            assert_eq!(stored["content-length"], (parts + multipart.end().len() as u64).to_string());
        }
        RangePlan::Unsatisfiable => assert!(request.headers().contains_key("range")),
        _ => {}
    }
});
