//! `Cache-Control` of responses and requests: what forbids is never lost, lines do not matter, and nothing is served that is stale.
//!
//! The input is lines with line feeds between them.

#![no_main]

use http::{HeaderMap, HeaderValue, Request, StatusCode};
use libfuzzer_sys::fuzz_target;
use tower_keep::cache::rules::{
    Decision, NotStored, Received, RequestDirectives, RequestHead, ResponseDirectives, ResponseFlag, Rules,
    decide, store,
};
use tower_keep_fuzz::{START_MS, headers};

/// More of these never allow more.
const FORBIDDING: [(&str, NotStored); 2] =
    [("no-store", NotStored::NoStore), ("private", NotStored::Private)];

fn stored(headers: &HeaderMap, rules: &Rules) -> Result<u64, NotStored> {
    let request = RequestHead::read(&Request::new(()));
    let received = Received::new(StatusCode::OK, headers, START_MS, START_MS);
    let entry = store(&request, &received, rules)?;
    for (after_ms, name) in [(0, "at once"), (1 << 41, "after 69 years")] {
        let verdict = decide(&entry.stored, &request, rules, START_MS + after_ms);
        let is_fresh = verdict.decision == Decision::Fresh;
        assert!(!is_fresh || entry.stored.lifetime_ms > after_ms, "stale is fresh {name}");
    }
    assert!(entry.stored.lifetime_ms <= 1000 << 31);
    Ok(entry.stored.lifetime_ms)
}

fuzz_target!(|input: &[u8]| {
    let lines: Vec<&[u8]> = input.split(|b| *b == b'\n').collect();
    let read = ResponseDirectives::read(lines.iter().copied());
    let _ = RequestDirectives::read(lines.iter().copied());
    if !read.has(ResponseFlag::Unreadable) {
        // Quoted strings are closed, so the lines may as well be one.
        assert_eq!(ResponseDirectives::read([&lines.join(&b", "[..])[..]]), read);
        assert_eq!(
            RequestDirectives::read([&lines.join(&b","[..])[..]]),
            RequestDirectives::read(lines.iter().copied())
        );
    }

    let Some(mut fields) = headers("cache-control", &lines) else { return };
    let rules = Rules::strict_spec();
    let before = stored(&fields, &rules);
    fields.append("cache-control", HeaderValue::from_static("max-age=1"));
    if let (Ok(before), Ok(after)) = (before, stored(&fields, &rules)) {
        assert!(
            after <= before || read.max_age().is_none() && read.s_maxage().is_none(),
            "one more made it last longer"
        );
    }
    for (directive, reason) in FORBIDDING {
        let mut fields = fields.clone();
        fields.append("cache-control", HeaderValue::from_static(directive));
        // Who understands the status code ignores `no-store` beside `must-understand`.
        if directive != "no-store" || !read.has(ResponseFlag::MustUnderstand) {
            let refused = stored(&fields, &rules).expect_err(directive);
            assert!(refused == reason || before.is_err(), "{directive} was not the reason");
        }
    }
});
