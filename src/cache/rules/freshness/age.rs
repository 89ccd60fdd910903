//! The age of a response when it arrives (RFC 9111 §4.2.3, §5.1).

use http::HeaderMap;
use http::header::{AGE, DATE};

use super::super::control::{Number, number};
use super::super::date::parse_http_date;
use crate::syntax::{elements, trim};

/// `corrected_initial_age`, in milliseconds.
///
/// The handler was asked at `asked_ms` and answered at `received_ms`. A clock that stepped back in between took no time.
pub(in crate::cache::rules) fn initial_age_ms(headers: &HeaderMap, asked_ms: u64, received_ms: u64) -> u64 {
    let date_ms = headers.get(DATE).and_then(|date| parse_http_date(date.as_bytes(), received_ms));
    // Dates know no parts of a second: a response is not older for the part that its date left out.
    let apparent_ms = date_ms.map_or(0, |date| (received_ms / 1000).saturating_sub(date / 1000) * 1000);
    let delay_ms = received_ms.saturating_sub(asked_ms);
    apparent_ms.max(age_value_ms(headers).saturating_add(delay_ms))
}

/// `age_value`: the first member of the first line; 0 if it is no number (§5.1).
fn age_value_ms(headers: &HeaderMap) -> u64 {
    let first = headers.get(AGE).and_then(|line| elements(line.as_bytes()).next());
    match first.map(|first| number(trim(first.text))) {
        Some(Number::Seconds(seconds)) => u64::from(seconds) * 1000,
        Some(Number::Invalid) | None => 0,
    }
}
