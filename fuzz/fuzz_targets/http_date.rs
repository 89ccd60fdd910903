//! HTTP dates: what is read is written back as the same time, letters may have any case.
//!
//! The input is eight bytes of the time now, then a date.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_keep::cache::rules::{http_date, parse_http_date};

fuzz_target!(|input: &[u8]| {
    let Some((now, text)) = input.split_first_chunk::<8>() else { return };
    let now_ms = u64::from_be_bytes(*now);
    let read = parse_http_date(text, now_ms);
    assert_eq!(parse_http_date(&text.to_ascii_uppercase(), now_ms), read);
    assert_eq!(parse_http_date(&text.to_ascii_lowercase(), now_ms), read);
    if let Some(time_ms) = read {
        assert!(time_ms <= 253_402_300_799_999 && time_ms % 1000 == 0);
        assert_eq!(parse_http_date(http_date(time_ms).as_bytes(), now_ms), Some(time_ms));
    }
    assert!(parse_http_date(http_date(now_ms).as_bytes(), 0).is_some());
});
