//! HTTP dates (RFC 9110 §5.6.7, with what RFC 9111 §4.2 says about reading them).
//!
//! The three forms of the grammar are read, letters in any case, and nothing else: no other zone than GMT, no missing digit. The
//! day of the week is not compared with the date. Dates before 1970 and after 9999 are none.

use std::time::{Duration, UNIX_EPOCH};

use http::HeaderValue;

use crate::syntax::trim;

/// The last second of the year 9999, which is as far as the formats go.
const LAST_MS: u64 = 253_402_300_799_999;
/// 50 years of 365.25 days.
const FIFTY_YEARS_MS: u64 = 1_577_880_000_000;

const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const MONTHS: [(&str, u64); 12] = [
    ("Jan", 31),
    ("Feb", 28),
    ("Mar", 31),
    ("Apr", 30),
    ("May", 31),
    ("Jun", 30),
    ("Jul", 31),
    ("Aug", 31),
    ("Sep", 30),
    ("Oct", 31),
    ("Nov", 30),
    ("Dec", 31),
];

/// Reads a date, in milliseconds since the Unix epoch. `now_ms` decides which century a year of two digits means: not more than 50
/// years from now.
///
/// ```
/// use tower_keep::cache::rules::parse_http_date;
///
/// let expected = Some(784_111_777_000);
/// assert_eq!(parse_http_date(b"Sun, 06 Nov 1994 08:49:37 GMT", 0), expected);
/// assert_eq!(parse_http_date(b"Sunday, 06-Nov-94 08:49:37 GMT", 1_700_000_000_000), expected);
/// assert_eq!(parse_http_date(b"Sun Nov  6 08:49:37 1994", 0), expected);
/// assert_eq!(parse_http_date(b"Sun, 06 Nov 1994 08:49:37 UTC", 0), None);
/// ```
#[must_use]
pub fn parse_http_date(value: &[u8], now_ms: u64) -> Option<u64> {
    let value = std::str::from_utf8(trim(value)).ok().filter(|text| text.is_ascii())?;
    imf_fixdate(value).or_else(|| rfc850(value, now_ms)).or_else(|| asctime(value))
}

/// A time as an IMF-fixdate, such as `Sun, 06 Nov 1994 08:49:37 GMT`. Times after the year 9999 are its last second.
#[must_use]
pub fn http_date(time_ms: u64) -> HeaderValue {
    // The text is ASCII, so it is a value.
    HeaderValue::try_from(text(time_ms))
        .unwrap_or_else(|_| HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"))
}

fn text(time_ms: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(time_ms.min(LAST_MS)))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn imf_fixdate(value: &str) -> Option<u64> {
    let (day_name, rest) = value.split_once(", ")?;
    let [day, month, year, time, zone] = words(rest)?;
    let is_named = DAYS.iter().any(|name| is_same(&name[..3], day_name));
    (is_named && is_same(zone, "GMT") && day.len() == 2)
        .then(|| moment(digits(year, 4)?, month, day, time))?
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`.
fn rfc850(value: &str, now_ms: u64) -> Option<u64> {
    let (day_name, rest) = value.split_once(", ")?;
    let [date, time, zone] = words(rest)?;
    let mut parts = date.splitn(3, '-');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    if !is_same(zone, "GMT") || !DAYS.iter().any(|name| is_same(name, day_name)) || day.len() != 2 {
        return None;
    }
    let this_year: u64 = text(now_ms).get(12..16)?.parse().ok()?;
    let latest = (this_year + 50).min(9999); // at least 2020
    let year = latest - (latest - digits(year, 2)?) % 100;
    let read = moment(year, month, day, time)?;
    if read > now_ms.saturating_add(FIFTY_YEARS_MS) {
        moment(year.checked_sub(100)?, month, day, time)
    } else {
        Some(read)
    }
}

/// `Sun Nov  6 08:49:37 1994`.
fn asctime(value: &str) -> Option<u64> {
    let (day_name, rest) = value.split_once(' ')?;
    let (month, rest) = rest.split_once(' ')?;
    let (day, rest) = rest.split_at_checked(2)?;
    let [time, year] = words(rest.strip_prefix(' ')?)?;
    if !DAYS.iter().any(|name| is_same(&name[..3], day_name)) {
        return None;
    }
    // One digit has a space before it.
    let day = day.strip_prefix(' ').unwrap_or(day);
    moment(digits(year, 4)?, month, day, time)
}

/// The time that a date in these words is.
fn moment(year: u64, month: &str, day: &str, time: &str) -> Option<u64> {
    let month = MONTHS.iter().position(|(name, _)| is_same(name, month))?;
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days_of =
        |month: usize| MONTHS.get(month).map_or(0, |(_, days)| days + u64::from(month == 1 && is_leap));
    let day = digits(day, day.len()).filter(|day| (1..=days_of(month)).contains(day))?;
    let days = days_before(year)? + (0..month).map(days_of).sum::<u64>() + day - 1;
    Some((days * 86_400 + seconds_of_day(time)?) * 1000)
}

/// How many days of years from 1970 on lie before this one.
fn days_before(year: u64) -> Option<u64> {
    let years = year.checked_sub(1970)?;
    let leap_days = |year: u64| year / 4 - year / 100 + year / 400;
    Some(years * 365 + leap_days(year - 1) - leap_days(1969))
}

/// `08:49:37`. A leap second is as good as the one before: "equal to or earlier" (RFC 9111 §4.2).
fn seconds_of_day(time: &str) -> Option<u64> {
    let mut parts = time.splitn(3, ':');
    let mut part = |end| digits(parts.next()?, 2).filter(|value| *value < end);
    let (hour, minute, second) = (part(24)?, part(60)?, part(61)?);
    Some(hour * 3600 + minute * 60 + second.min(59))
}

/// A number of exactly so many digits.
fn digits(text: &str, count: usize) -> Option<u64> {
    (text.len() == count && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Exactly so many words with one space between each.
fn words<const N: usize>(text: &str) -> Option<[&str; N]> {
    text.split(' ').collect::<Vec<_>>().try_into().ok()
}

fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-20.
    const NOW_MS: u64 = 1_795_132_800_000;

    fn read(text: &str) -> Option<u64> {
        parse_http_date(text.as_bytes(), NOW_MS)
    }

    /// RFC 9110 §5.6.7.
    #[test]
    fn all_three_forms_are_read_in_any_case() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "SUN, 06 NOV 1994 08:49:37 gmt",
            " sun, 06 nov 1994 08:49:37 Gmt\t",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "sunday, 06-nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "SUN NOV 06 08:49:37 1994",
            // The day of the week is not checked.
            "Mon, 06 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(read(text), Some(784_111_777_000), "{text}");
        }
        assert_eq!(read("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(read("Fri, 31 Dec 9999 23:59:59 GMT"), Some(LAST_MS / 1000 * 1000));
        assert_eq!(read("Sat, 29 Feb 2020 00:00:00 GMT"), Some(1_582_934_400_000));
        // A leap second.
        assert_eq!(read("Sat, 31 Dec 2016 23:59:60 GMT"), read("Sat, 31 Dec 2016 23:59:59 GMT"));
    }

    /// RFC 9111 §4.2: nothing but GMT; RFC 9110 §5.6.7: nothing but the grammar.
    #[test]
    fn everything_else_is_no_date() {
        for text in [
            "",
            "0",
            "-1",
            "784111777",
            "1994-11-06T08:49:37Z",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 08:49:37 AEST",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun 06 Nov 1994 08:49:37 GMT",
            "Sun,06 Nov 1994 08:49:37 GMT",
            "Sun, 06  Nov  1994 08:49:37 GMT",
            "Sun, 06-Nov-1994 08:49:37 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sun, 06-Nov-94 08:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 06 Nov 1994 08.49.37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:60:00 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 06 Nov 1994 08:49:37:00 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Sun, 29 Feb 2021 08:49:37 GMT",
            "Thu, 29 Feb 2100 08:49:37 GMT",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Foo, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06 Nov 1994 08:49:37 GMT",
            "Wed, 31 Dec 1969 23:59:59 GMT",
            "Sun, 06 Nov 11994 08:49:37 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sun Nov 6 08:49:37 1994",
            "Sun Nov   6 08:49:37 1994",
            "Sun Nov  6 08:49:37 1994 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(parse_http_date(b"Sun, 06 Nov 1994 08:49:37 \xff", NOW_MS), None);
    }

    /// RFC 9110 §5.6.7: a date that seems to be more than 50 years ahead is in the past.
    #[test]
    fn years_of_two_digits_are_at_most_fifty_years_ahead() {
        for (text, now_ms, same_as) in [
            ("Thursday, 18-Aug-50 02:01:18 GMT", NOW_MS, "Thu, 18 Aug 2050 02:01:18 GMT"),
            ("Thursday, 19-Nov-76 00:00:00 GMT", NOW_MS, "Thu, 19 Nov 2076 00:00:00 GMT"),
            ("Thursday, 19-Nov-76 12:00:00 GMT", NOW_MS, "Thu, 19 Nov 2076 12:00:00 GMT"),
            ("Friday, 19-Nov-76 12:00:01 GMT", NOW_MS, "Fri, 19 Nov 1976 12:00:01 GMT"),
            ("Monday, 23-Nov-76 00:00:00 GMT", NOW_MS, "Mon, 23 Nov 1976 00:00:00 GMT"),
            ("Sunday, 20-Nov-77 00:00:00 GMT", NOW_MS, "Sun, 20 Nov 1977 00:00:00 GMT"),
            ("Friday, 20-Nov-26 00:00:00 GMT", NOW_MS, "Fri, 20 Nov 2026 00:00:00 GMT"),
            ("Saturday, 01-Jan-00 00:00:00 GMT", 946_684_800_000 - 1, "Sat, 01 Jan 2000 00:00:00 GMT"),
        ] {
            assert_eq!(parse_http_date(text.as_bytes(), now_ms), read(same_as), "{text}");
            assert!(read(same_as).is_some(), "{same_as}");
        }
        // In 1970 no date of 21 years ago can be told.
        assert_eq!(parse_http_date(b"Sunday, 06-Nov-49 08:49:37 GMT", 0), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(time_ms in 0..=LAST_MS, beyond: u64) {
            let written = http_date(time_ms);
            prop_assert_eq!(parse_http_date(written.as_bytes(), beyond), Some(time_ms / 1000 * 1000));
            let _ = http_date(beyond);
        }

        /// Another implementation of the calendar.
        #[test]
        fn the_calendar_is_the_usual_one(text in "Mon, [0-3][0-9] (Jan|Feb|Apr|Dec) (19|20|21)[0-9]{2} [0-2][0-9]:[0-5][0-9]:[0-5][0-9] GMT") {
            let ours = read(&text);
            // It wants the right day of the week.
            let theirs = DAYS.iter().find_map(|day| {
                let day = format!("{}{}", day[..1].to_uppercase(), &day[1..3]);
                httpdate::parse_http_date(&text.replace("Mon", &day)).ok()
            });
            let theirs = theirs.map(|time| u64::try_from(time.duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap());
            prop_assert_eq!(ours, theirs, "{}", text);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>, now_ms: u64, text in "[A-Za-z]{3,9},? ?[0-9]{0,3}[ -][A-Za-z]{3}[ -][0-9]{0,5} [0-9:]{0,9}.{0,5}") {
            let _ = (parse_http_date(&bytes, now_ms), parse_http_date(text.as_bytes(), now_ms));
        }
    }
}
