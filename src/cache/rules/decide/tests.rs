//! RFC 9111 §4, §4.2.4, §5.2.1 and RFC 5861, one decision each; then what must hold for all.

use http::{Request, Response, StatusCode};
use proptest::prelude::*;

use super::*;
use crate::cache::rules::{Miss, Received, StoredFlags, store};
use Decision::{Forward as Ask, Fresh, Stale, Unavailable, Validate};

/// When all entries here were stored.
const STORED_MS: u64 = 1_795_132_800_000;

fn request(fields: &[(&str, &str)]) -> RequestHead {
    let builder =
        fields.iter().fold(Request::get("/"), |builder, (name, value)| builder.header(*name, *value));
    RequestHead::read(&builder.body(()).unwrap())
}

fn entry(directives: &str, rules: &Rules) -> Stored {
    let response =
        Response::builder().header("cache-control", directives).header("etag", "\"1\"").body(()).unwrap();
    let received = Received::new(StatusCode::OK, response.headers(), STORED_MS, STORED_MS);
    store(&request(&[]), &received, rules).unwrap().stored
}

/// What is decided so many seconds after the entry was stored.
fn decided(directives: &str, asks: &str, after: u64, rules: &Rules) -> Decision {
    let request = if asks.is_empty() { request(&[]) } else { request(&[("cache-control", asks)]) };
    decide(&entry(directives, rules), &request, rules, STORED_MS + after * 1000).decision
}

const EXPIRED: Decision = Validate(Forward::Stale(StaleReason::Expired));

/// §4.2: fresh while the lifetime is greater than the age.
#[test]
fn fresh_is_sent_and_stale_is_validated() {
    for (directives, after, expected) in [
        ("max-age=60", 0, Fresh),
        ("max-age=60", 59, Fresh),
        ("max-age=60", 60, EXPIRED),
        ("max-age=60", 6000, EXPIRED),
        ("max-age=0", 0, EXPIRED),
        ("max-age=60, no-cache", 0, Validate(Forward::Stale(StaleReason::NoCache))),
        ("no-cache", 0, Validate(Forward::Stale(StaleReason::NoCache))),
        ("max-age=60, no-cache=\"x\"", 0, Fresh),
        ("max-age=60, must-revalidate", 59, Fresh),
        ("max-age=60, must-revalidate", 60, Validate(Forward::Stale(StaleReason::MustRevalidate))),
        ("max-age=60, proxy-revalidate", 60, Validate(Forward::Stale(StaleReason::MustRevalidate))),
        ("s-maxage=60", 59, Fresh),
        ("s-maxage=60", 60, Validate(Forward::Stale(StaleReason::MustRevalidate))),
        // RFC 5861 §3.
        ("max-age=60, stale-while-revalidate=30", 59, Fresh),
        ("max-age=60, stale-while-revalidate=30", 60, Stale(StaleAllowed::WhileRevalidate)),
        ("max-age=60, stale-while-revalidate=30", 89, Stale(StaleAllowed::WhileRevalidate)),
        ("max-age=60, stale-while-revalidate=30", 90, EXPIRED),
        ("s-maxage=60, stale-while-revalidate=30", 60, Validate(Forward::Stale(StaleReason::MustRevalidate))),
        ("max-age=60, immutable", 60, EXPIRED),
    ] {
        for rules in [Rules::safe(), Rules::strict_spec()] {
            assert_eq!(decided(directives, "", after, &rules), expected, "{directives} after {after} s");
        }
    }
}

/// §5.2.1, obeyed.
#[test]
fn what_a_client_demands_is_obeyed_where_the_settings_say_so() {
    let validate = |reason| Validate(Forward::Request(reason));
    for (directives, asks, after, expected) in [
        ("max-age=60", "no-cache", 0, validate(RequestReason::NoCache)),
        ("max-age=60", "max-age=0", 1, validate(RequestReason::MaxAge)),
        ("max-age=60", "max-age=10", 10, Fresh),
        ("max-age=60", "max-age=10", 11, validate(RequestReason::MaxAge)),
        ("max-age=60", "max-age=x", 1, validate(RequestReason::MaxAge)),
        ("max-age=60", "min-fresh=20", 40, Fresh),
        ("max-age=60", "min-fresh=20", 41, validate(RequestReason::MinFresh)),
        ("max-age=60", "min-fresh=2000", 0, validate(RequestReason::MinFresh)),
        ("max-age=60", "min-fresh=20", 60, EXPIRED),
        ("max-age=60", "no-store", 0, Fresh),
        // §5.2.1.2.
        ("max-age=60", "max-stale", 6000, Stale(StaleAllowed::MaxStale)),
        ("max-age=60", "max-stale=10", 70, Stale(StaleAllowed::MaxStale)),
        ("max-age=60", "max-stale=10", 71, EXPIRED),
        ("max-age=60", "max-stale=x", 61, EXPIRED),
        ("max-age=60", "max-stale, max-age=65", 65, Stale(StaleAllowed::MaxStale)),
        ("max-age=60", "max-stale, max-age=65", 66, validate(RequestReason::MaxAge)),
        ("max-age=60", "max-stale, min-fresh=1", 61, EXPIRED),
        (
            "max-age=60, must-revalidate",
            "max-stale",
            60,
            Validate(Forward::Stale(StaleReason::MustRevalidate)),
        ),
        ("s-maxage=60", "max-stale", 60, Validate(Forward::Stale(StaleReason::MustRevalidate))),
        ("no-cache", "max-stale", 0, Validate(Forward::Stale(StaleReason::NoCache))),
        // Who names an age wants no stale response (§5.2.1.1).
        ("max-age=60, stale-while-revalidate=30", "max-age=100", 61, EXPIRED),
        ("max-age=60, stale-while-revalidate=30", "min-fresh=0", 61, EXPIRED),
        ("max-age=60, stale-while-revalidate=30", "foo", 61, Stale(StaleAllowed::WhileRevalidate)),
    ] {
        let rules = Rules { request_control: RequestControl::Obey, ..Rules::safe() };
        assert_eq!(
            decided(directives, asks, after, &rules),
            expected,
            "{directives}, asked {asks} after {after} s"
        );
    }
}

#[test]
fn a_reload_button_reaches_no_handler_by_default() {
    for asks in ["no-cache", "max-age=0", "max-age=x", "min-fresh=2000"] {
        assert_eq!(decided("max-age=60", asks, 30, &Rules::safe()), Fresh, "{asks}");
    }
    let pragma = request(&[("pragma", "no-cache")]);
    let stored = entry("max-age=60", &Rules::safe());
    assert_eq!(decide(&stored, &pragma, &Rules::safe(), STORED_MS).decision, Fresh);
    assert_eq!(
        decide(&stored, &pragma, &Rules::strict_spec(), STORED_MS).decision,
        Validate(Forward::Request(RequestReason::NoCache))
    );
    // What makes the cache do more of its work is obeyed.
    assert_eq!(decided("max-age=60", "max-stale=10", 70, &Rules::safe()), Stale(StaleAllowed::MaxStale));
}

/// §5.2.1.7.
#[test]
fn who_wants_only_a_stored_response_gets_504_instead_of_a_handler() {
    for rules in [Rules::safe(), Rules::strict_spec()] {
        for (directives, after, expected) in [
            ("max-age=60", 0, Fresh),
            ("max-age=60", 60, Unavailable),
            ("max-age=60, no-cache", 0, Unavailable),
            ("max-age=60, stale-while-revalidate=30", 60, Stale(StaleAllowed::WhileRevalidate)),
        ] {
            assert_eq!(
                decided(directives, "only-if-cached", after, &rules),
                expected,
                "{directives} after {after} s"
            );
        }
    }
    assert_eq!(request(&[("cache-control", "only-if-cached")]).on_miss(Forward::UriMiss), Miss::Unavailable);
    assert_eq!(request(&[]).on_miss(Forward::UriMiss), Miss::Forward(Forward::UriMiss));
}

/// §3.5 says what may be stored; the safe profile answers by the same measure.
#[test]
fn who_is_authorized_gets_what_is_marked_as_public() {
    let authorized = request(&[("authorization", "Bearer x")]);
    let bypass = Ask(Forward::Bypass(Bypass::Authorization));
    for (directives, expected) in [
        ("max-age=60", bypass),
        ("max-age=60, public", Fresh),
        ("max-age=60, must-revalidate", Fresh),
        ("s-maxage=60", Fresh),
        ("max-age=60, proxy-revalidate", bypass),
    ] {
        let (safe, strict) = (Rules::safe(), Rules::strict_spec());
        assert_eq!(
            decide(&entry(directives, &safe), &authorized, &safe, STORED_MS).decision,
            expected,
            "{directives}"
        );
        assert_eq!(
            decide(&entry(directives, &strict), &authorized, &strict, STORED_MS).decision,
            Fresh,
            "{directives}"
        );
    }
}

/// RFC 5861 §4; §4.2.4.
#[test]
fn stale_stands_in_for_an_error_as_long_as_somebody_allows_it() {
    for (directives, asks, after, expected) in [
        ("max-age=60", "", 30, false),
        ("max-age=60", "", 60, false),
        ("max-age=60", "", 61, false),
        ("max-age=60, stale-if-error=30", "", 61, true),
        ("max-age=60, stale-if-error=30", "", 90, true),
        ("max-age=60, stale-if-error=30", "", 91, false),
        ("max-age=60, stale-if-error=30", "", 30, true),
        ("max-age=60", "stale-if-error=30", 90, true),
        ("max-age=60", "stale-if-error=30", 91, false),
        ("max-age=60, must-revalidate, stale-if-error=30", "stale-if-error=30", 61, false),
        ("max-age=60, proxy-revalidate", "stale-if-error=30", 61, false),
        ("s-maxage=60, stale-if-error=30", "", 61, false),
        ("no-cache, stale-if-error=30", "stale-if-error=30", 0, false),
    ] {
        let request = request(&[("cache-control", asks)]);
        let may = may_answer_error(&entry(directives, &Rules::safe()), &request, STORED_MS + after * 1000);
        assert_eq!(may, expected, "{directives}, asked {asks} after {after} s");
    }
    let strict = entry("max-age=60", &Rules::strict_spec());
    assert!(may_answer_error(&strict, &request(&[]), STORED_MS + 3_600_000));
    assert!(!may_answer_error(
        &entry("s-maxage=60", &Rules::strict_spec()),
        &request(&[]),
        STORED_MS + 61_000
    ));
}

/// RFC 9110 §9; RFC 9111 §4.3.2.
#[test]
fn some_requests_are_not_looked_up() {
    let admitted = |method: &str, fields: &[(&str, &str)], rules: &Rules| {
        let builder = Request::builder().method(method).uri("/");
        let builder = fields.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
        RequestHead::read(&builder.body(()).unwrap()).admit(rules).err()
    };
    let mut rules = Rules::safe();
    for method in ["GET", "HEAD"] {
        assert_eq!(admitted(method, &[("range", "bytes=0-1"), ("cookie", "a=b")], &rules), None, "{method}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "QUERY", "get"] {
        assert_eq!(admitted(method, &[], &rules), Some(Forward::Method), "{method}");
    }
    for (name, reason) in [
        ("upgrade", Bypass::Upgrade),
        ("content-length", Bypass::Content),
        ("transfer-encoding", Bypass::Content),
        ("x-http-method-override", Bypass::MethodOverride),
        ("x-http-method", Bypass::MethodOverride),
        ("x-method-override", Bypass::MethodOverride),
        ("x-original-url", Bypass::UrlOverride),
        ("x-rewrite-url", Bypass::UrlOverride),
        ("if-match", Bypass::Condition),
        ("if-unmodified-since", Bypass::Condition),
    ] {
        assert_eq!(admitted("GET", &[(name, "1")], &rules), Some(Forward::Bypass(reason)), "{name}");
    }
    rules.query_method = crate::cache::rules::QueryMethod::Cache;
    assert_eq!(admitted("QUERY", &[("content-length", "9")], &rules), None);
}

fn directives() -> impl Strategy<Value = String> {
    let directive = prop_oneof![
        (0..100_u32).prop_map(|n| format!("max-age={n}")),
        (0..100_u32).prop_map(|n| format!("s-maxage={n}")),
        (0..100_u32).prop_map(|n| format!("stale-while-revalidate={n}")),
        (0..100_u32).prop_map(|n| format!("stale-if-error={n}")),
        (0..100_u32).prop_map(|n| format!("min-fresh={n}")),
        (0..100_u32).prop_map(|n| format!("max-stale={n}")),
        prop::sample::select(vec![
            "no-cache",
            "must-revalidate",
            "proxy-revalidate",
            "public",
            "only-if-cached",
            "max-stale"
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(directive, 0..4).prop_map(|directives| directives.join(", "))
}

proptest! {
    /// Nobody ever gets what is past its lifetime and every allowance.
    #[test]
    fn nothing_is_served_past_freshness_and_allowance(given in directives(), asks in directives(), after in 0..400_u64, obeys: bool) {
        let control = if obeys { RequestControl::Obey } else { RequestControl::IgnoreReload };
        let rules = Rules { request_control: control, ..Rules::safe() };
        let stored = entry(&format!("max-age=50, {given}"), &rules);
        let request = request(&[("cache-control", &asks)]);
        let verdict = decide(&stored, &request, &rules, STORED_MS + after * 1000);
        let stale_for = (after * 1000).saturating_sub(stored.lifetime_ms);
        let forbidden = stored.flags.has(StoredFlag::NoCache) || stored.flags.has(StoredFlag::MustRevalidate);
        match verdict.decision {
            Fresh => prop_assert!(after * 1000 < stored.lifetime_ms && !stored.flags.has(StoredFlag::NoCache)),
            Stale(StaleAllowed::WhileRevalidate) => prop_assert!(!forbidden && stale_for < stored.stale_while_revalidate_ms),
            Stale(StaleAllowed::MaxStale) => {
                let accepted = request.directives().max_stale().map_or(0, |seconds| u64::from(seconds) * 1000);
                prop_assert!(!forbidden && stale_for <= accepted);
            }
            Unavailable => prop_assert!(request.directives().has(RequestFlag::OnlyIfCached)),
            Validate(_) | Ask(_) => prop_assert!(!request.directives().has(RequestFlag::OnlyIfCached)),
        }
        prop_assert!(!(forbidden && may_answer_error(&stored, &request, STORED_MS + after * 1000)));
    }

    /// What was to be validated once is not sent later without having been.
    #[test]
    fn time_alone_makes_nothing_servable(given in directives(), asks in directives(), after in 0..300_u64, later in 0..300_u64) {
        let rules = Rules::strict_spec();
        let stored = entry(&format!("max-age=50, {given}"), &rules);
        let request = request(&[("cache-control", &asks)]);
        let sent = |after: u64| {
            matches!(decide(&stored, &request, &rules, STORED_MS + after * 1000).decision, Fresh | Stale(_))
        };
        prop_assert!(sent(after) || !sent(after + later));
    }

    #[test]
    fn any_numbers_are_decided_without_a_panic(numbers: [u64; 6], bits in 0..=0b1_1111_u8, asks in directives()) {
        let [received_ms, age_ms, lifetime_ms, stale_while_revalidate_ms, stale_if_error_ms, now_ms] = numbers;
        let flags = StoredFlags::from_bits(bits).unwrap();
        let stored = Stored { received_ms, age_ms, lifetime_ms, stale_while_revalidate_ms, stale_if_error_ms, flags };
        let request = request(&[("cache-control", &asks)]);
        let _ = (decide(&stored, &request, &Rules::strict_spec(), now_ms), may_answer_error(&stored, &request, now_ms));
    }
}
