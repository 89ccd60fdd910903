//! RFC 9111 §4.2, paragraph by paragraph.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use proptest::prelude::*;
use std::time::Duration;

use super::super::targeted::effective;
use super::*;
use crate::cache::rules::{Heuristic, Rules, Ttl, http_date};

/// 2026-11-20.
const NOW_MS: u64 = 1_795_132_800_000;

fn fields(fields: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    let mut headers = HeaderMap::new();
    fields.iter().map(pair).for_each(|(name, value)| {
        headers.append(name, value);
    });
    headers
}

/// A date so many seconds from now.
fn date(seconds: i64) -> String {
    http_date(NOW_MS.saturating_add_signed(seconds * 1000)).to_str().unwrap().to_owned()
}

fn seconds(status: u16, headers: &HeaderMap, rules: &Rules) -> Option<u64> {
    let effective = effective(headers, &rules.targets);
    let read = lifetime(StatusCode::from_u16(status).unwrap(), headers, &effective, rules, NOW_MS);
    read.map(|lifetime| lifetime.ms() / 1000)
}

/// §4.2.1: the first match of `s-maxage`, `max-age`, `Expires` minus `Date`.
#[test]
fn a_lifetime_is_explicit_in_this_order() {
    let (past, now, soon) = (date(-7200), date(0), date(100));
    for (given, expected) in [
        (&[][..], None),
        (&[("cache-control", "max-age=60")][..], Some(60)),
        (&[("cache-control", "max-age=60, s-maxage=10")], Some(10)),
        (&[("cache-control", "s-maxage=100, max-age=0")], Some(100)),
        (&[("cache-control", "max-age=60"), ("expires", &past)], Some(60)),
        (&[("cache-control", "max-age=60"), ("expires", "0")], Some(60)),
        (&[("cache-control", "max-age=0"), ("expires", &soon)], Some(0)),
        (&[("cache-control", "max-age=x"), ("expires", &soon)], Some(0)),
        (&[("cache-control", "s-maxage=x, max-age=60")], Some(0)),
        (&[("expires", &soon), ("date", &now)], Some(100)),
        (&[("expires", &soon), ("date", &soon)], Some(0)),
        (&[("expires", &now), ("date", &soon)], Some(0)),
        (&[("expires", &now), ("date", &past)], Some(7200)),
        // Without a date that can be read, it was made when it came (RFC 9110 §6.6.1).
        (&[("expires", &soon)], Some(100)),
        (&[("expires", &soon), ("date", "foo")], Some(100)),
        // What is no date is in the past (§5.3), whatever stands beside it.
        (&[("expires", "0")], Some(0)),
        (&[("expires", "")], Some(0)),
        (&[("expires", &soon), ("expires", "0")], Some(0)),
        (&[("expires", &soon), ("expires", &now)], Some(0)),
        (&[("expires", &soon), ("expires", &soon)], Some(100)),
    ] {
        assert_eq!(seconds(200, &fields(given), &Rules::strict_spec()), expected, "{given:?}");
    }
}

/// RFC 9213 §2.2: a targeted field takes the place of `Cache-Control` and `Expires`.
#[test]
fn a_targeted_field_goes_before_everything_else() {
    let soon = date(100);
    let own = HeaderName::from_static("keep-cache-control");
    for (given, expected) in [
        (&[("cdn-cache-control", "max-age=60")][..], Some(60)),
        (&[("cdn-cache-control", "max-age=99999999999")], Some(1 << 31)),
        (&[("cdn-cache-control", "max-age=60"), ("cache-control", "max-age=1")], Some(60)),
        (&[("cdn-cache-control", "max-age=0"), ("expires", &soon)], Some(0)),
        (&[("cdn-cache-control", "foo"), ("cache-control", "max-age=1"), ("expires", &soon)], None),
        (&[("cdn-cache-control", "max-age=60"), ("keep-cache-control", "max-age=5")], Some(5)),
        (&[("cdn-cache-control", "max-age=60"), ("keep-cache-control", "max-age=5, &")], Some(60)),
        (&[("cdn-cache-control", "max-age=60"), ("keep-cache-control", "")], Some(60)),
        // Wrong types and signs make the response stale; errors and emptiness leave the field out.
        (&[("cdn-cache-control", "max-age=\"60\""), ("cache-control", "max-age=1")], Some(0)),
        (&[("cdn-cache-control", "max-age=1.5")], Some(0)),
        (&[("cdn-cache-control", "max-age=-60")], Some(0)),
        (&[("cdn-cache-control", "max-age")], Some(0)),
        (&[("cdn-cache-control", "max-age =60"), ("cache-control", "max-age=1")], Some(1)),
        (&[("cdn-cache-control", "MAX-AGE=60"), ("cache-control", "max-age=1")], Some(1)),
        (&[("cdn-cache-control", ""), ("cache-control", "max-age=1")], Some(1)),
        (&[("cdn-cache-control", "max-age=60;p=1;q")], Some(60)),
        (&[("cdn-cache-control", "max-age=60"), ("cdn-cache-control", "foo")], Some(60)),
        (&[("other-cache-control", "max-age=60"), ("cache-control", "max-age=1")], Some(1)),
    ] {
        let mut rules = Rules::safe();
        rules.targets.insert(0, own.clone());
        assert_eq!(seconds(200, &fields(given), &rules), expected, "{given:?}");
    }
}

/// §4.2.2.
#[test]
fn a_lifetime_is_guessed_only_where_it_may_be() {
    let (now, day_ago, soon) = (date(0), date(-86_400), date(50));
    let unchanged = &[("date", &*now), ("last-modified", &*day_ago)];
    let mut rules = Rules::safe();
    rules.heuristic = Heuristic::fraction(10, Duration::from_secs(10_000));
    for (status, more, expected) in [
        (200, None, Some(8640)),
        (204, None, Some(8640)),
        (404, None, Some(8640)),
        (201, None, None),
        (302, None, None),
        (503, None, None),
        (599, None, None),
        (599, Some(("cache-control", "public")), Some(8640)),
        (200, Some(("cache-control", "max-age=5")), Some(5)),
        (200, Some(("cache-control", "max-age=x")), Some(0)),
        (200, Some(("expires", "0")), Some(0)),
        (200, Some(("expires", &*soon)), Some(50)),
        (200, Some(("cdn-cache-control", "public")), Some(8640)),
    ] {
        let headers = fields(&[&unchanged[..], more.as_slice()].concat());
        assert_eq!(seconds(status, &headers, &rules), expected, "{status} {more:?}");
        assert_eq!(
            seconds(status, &headers, &Rules::safe()),
            expected.filter(|ttl| *ttl != 8640),
            "{status} {more:?}"
        );
    }
    let long_ago = [("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")];
    assert_eq!(seconds(200, &fields(&long_ago), &rules), Some(10_000), "the cap");
    for odd in ["foo", &soon] {
        let unknown = seconds(200, &fields(&[("last-modified", odd)]), &rules);
        assert!(unknown.is_none_or(|ttl| ttl == 0), "{odd}");
    }
}

/// The route's own lifetime.
#[test]
fn a_route_gives_a_lifetime_where_its_policy_says() {
    let (minute, mut rules) = (Duration::from_secs(60), Rules::safe());
    let named = fields(&[("cache-control", "max-age=5")]);
    for (ttl, status, headers, expected) in [
        (Ttl::Default(minute), 200, HeaderMap::new(), Some(60)),
        (Ttl::Default(minute), 200, named.clone(), Some(5)),
        (Ttl::Fixed(minute), 200, named.clone(), Some(60)),
        (Ttl::Default(minute), 404, HeaderMap::new(), None),
        (Ttl::Fixed(minute), 404, HeaderMap::new(), None),
        (Ttl::Fixed(minute), 404, named.clone(), Some(5)),
        (Ttl::FromResponse, 200, named, Some(5)),
    ] {
        rules.ttl = ttl;
        assert_eq!(seconds(status, &headers, &rules), expected, "{ttl:?} {status}");
    }
}

/// §4.2.3, §5.1.
#[test]
fn the_age_on_arrival_counts_age_date_and_delay() {
    let (now, early, late) = (date(0), date(-30), date(30));
    for (given, delay_ms, expected_ms) in [
        (&[][..], 0, 0),
        (&[][..], 1500, 1500),
        (&[("age", "20")], 0, 20_000),
        (&[("age", "20")], 1500, 21_500),
        (&[("date", &*now)], 0, 0),
        (&[("date", &*early)], 0, 30_000),
        (&[("date", &*early)], 1500, 30_000),
        (&[("date", &*early), ("age", "40")], 1500, 41_500),
        // A clock that is ahead makes nobody younger.
        (&[("date", &*late), ("age", "20")], 0, 20_000),
        // The first member of the first line counts; what is no number is ignored.
        (&[("age", "7200, 0")], 0, 7_200_000),
        (&[("age", "0, 7200")], 0, 0),
        (&[("age", "7200"), ("age", "0")], 0, 7_200_000),
        (&[("age", "0"), ("age", "7200")], 0, 0),
        (&[("age", "abc")], 0, 0),
        (&[("age", "-7200")], 0, 0),
        (&[("age", "7200.0")], 0, 0),
        (&[("age", "7200;a=1")], 0, 0),
        (&[("age", "")], 0, 0),
        (&[("age", "2147483649")], 0, (1 << 31) * 1000),
        (&[("age", "99999999999999999999")], 0, (1 << 31) * 1000),
    ] {
        let age = initial_age_ms(&fields(given), NOW_MS.saturating_sub(delay_ms), NOW_MS);
        assert_eq!(age, expected_ms, "{given:?} {delay_ms}");
    }
    assert_eq!(initial_age_ms(&HeaderMap::new(), NOW_MS + 5000, NOW_MS), 0, "the clock stepped back");
    let cut = fields(&[("date", &now)]);
    assert_eq!(initial_age_ms(&cut, NOW_MS + 999, NOW_MS + 999), 0, "dates know no parts of a second");
}

fn stored() -> impl Strategy<Value = Stored> {
    let ms = || prop_oneof![0..100_000_u64, any::<u64>()];
    (ms(), ms(), ms(), ms(), ms(), 0..=0b1_1111_u8).prop_map(
        |(received_ms, age_ms, lifetime_ms, revalidate, error, bits)| Stored {
            received_ms,
            age_ms,
            lifetime_ms,
            stale_while_revalidate_ms: revalidate,
            stale_if_error_ms: error,
            flags: StoredFlags::from_bits(bits).unwrap(),
        },
    )
}

#[test]
fn flags_are_one_byte_and_unknown_ones_are_refused() {
    let flags = StoredFlags::default().with_if(StoredFlag::Public, true).with_if(StoredFlag::NoCache, false);
    assert!(flags.has(StoredFlag::Public) && !flags.has(StoredFlag::NoCache));
    assert_eq!(flags.with_if(StoredFlag::Public, true), flags, "it is set once for all");
    assert_eq!(StoredFlags::from_bits(flags.bits()), Some(flags));
    assert_eq!(StoredFlags::from_bits(0b10_0000), None);
    assert_eq!(StoredFlags::from_bits(u8::MAX), None);
}

/// §1.2.2, §5.1.
#[test]
fn an_age_is_sent_in_whole_seconds_up_to_the_largest_number() {
    for (age_ms, seconds) in
        [(0, 0), (999, 0), (1000, 1), (61_999, 61), ((1 << 31) * 1000, 1 << 31), (u64::MAX, 1 << 31)]
    {
        let (lifetime_ms, stale_while_revalidate_ms, stale_if_error_ms) = (0, 0, 0);
        let flags = StoredFlags::default();
        let stored = Stored {
            received_ms: 0,
            age_ms,
            lifetime_ms,
            stale_while_revalidate_ms,
            stale_if_error_ms,
            flags,
        };
        assert_eq!(stored.age_seconds(0), seconds, "{age_ms}");
    }
}

proptest! {
    #[test]
    fn ages_never_shrink_and_nothing_overflows(stored in stored(), now_ms: u64, later_ms: u64) {
        let (now_ms, later_ms) = (now_ms.min(later_ms), now_ms.max(later_ms));
        prop_assert!(stored.age_at(now_ms) >= stored.age_ms);
        prop_assert!(stored.age_at(later_ms) >= stored.age_at(now_ms));
        prop_assert!(stored.ttl_at(later_ms) <= stored.ttl_at(now_ms));
        prop_assert!(stored.age_seconds(now_ms) <= 1 << 31);
        prop_assert_eq!(stored.ttl_at(now_ms) > 0, stored.lifetime_ms > stored.age_at(now_ms));
        prop_assert!(stored.keep_ms(later_ms, 1000) <= stored.keep_ms(now_ms, 1000));
    }

    #[test]
    fn an_expired_entry_is_stale_from_then_on_and_as_old_as_before(stored in stored(), now_ms: u64, later_ms: u64) {
        let mut expired = stored;
        expired.expire(now_ms);
        prop_assert!(expired.ttl_at(now_ms.max(later_ms)) <= 0);
        prop_assert_eq!(expired.age_at(later_ms), stored.age_at(later_ms));
        prop_assert!(expired.lifetime_ms <= stored.lifetime_ms);
    }
}
