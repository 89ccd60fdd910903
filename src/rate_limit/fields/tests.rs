//! The fields as strings, and as an independent parser of Structured Fields reads them.

use http::HeaderMap;
use proptest::prelude::*;
use sfv::{BareItem, Dictionary, Item, List, ListEntry, Parser};

use super::*;

fn policy(name: &str, quota: u64, seconds: u64, remaining: u64, reset_us: u64) -> PolicyReport {
    PolicyReport {
        name: PolicyName::new(name).unwrap(),
        unit: QuotaUnit::Requests,
        quota,
        window_us: Some(seconds * 1_000_000),
        remaining,
        reset_us: Some(reset_us),
        state: PolicyState::Within,
        partition: None,
    }
}

fn refused() -> LimitReport {
    let burst = PolicyReport { state: PolicyState::Violated, ..policy("burst", 10, 1, 0, 1_000_000) };
    let daily = policy("daily", 1000, 86_400, 700, 500_000_000);
    LimitReport { policies: vec![burst, daily], retry_after_us: Some(100_000) }
}

fn admitted() -> LimitReport {
    let policies = vec![policy("daily", 1000, 86_400, 700, 500_000_000), policy("burst", 10, 1, 9, 100_000)];
    LimitReport { policies, retry_after_us: None }
}

fn sent(fields: ResponseFields, report: &LimitReport) -> Vec<String> {
    let mut headers = HeaderMap::new();
    fields.apply(report, &mut headers);
    let mut lines: Vec<_> =
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.sort();
    lines
}

#[test]
fn each_draft_has_its_own_words() {
    for (draft, expected) in [
        (
            FieldsDraft::Draft03,
            &["ratelimit-limit: 10, 1000;w=86400, 10;w=1", "ratelimit-remaining: 9", "ratelimit-reset: 1"][..],
        ),
        (
            FieldsDraft::Draft06,
            &[
                "ratelimit-limit: 10",
                "ratelimit-policy: 1000;w=86400, 10;w=1",
                "ratelimit-remaining: 9",
                "ratelimit-reset: 1",
            ],
        ),
        (
            FieldsDraft::Draft07,
            &["ratelimit-policy: 1000;w=86400, 10;w=1", "ratelimit: limit=10, remaining=9, reset=1"],
        ),
        (
            FieldsDraft::Draft11,
            &[
                r#"ratelimit-policy: "daily";q=1000;w=86400, "burst";q=10;w=1"#,
                r#"ratelimit: "daily";r=700;t=500, "burst";r=9;t=1"#,
            ],
        ),
    ] {
        assert_eq!(sent(ResponseFields::new().draft(draft), &admitted()), expected, "{draft:?}");
    }
}

#[test]
fn a_refusal_names_when_to_come_back_and_no_field_is_later() {
    assert_eq!(
        sent(ResponseFields::new().legacy(LegacyFields::Send), &refused()),
        [
            r#"ratelimit-policy: "burst";q=10;w=1, "daily";q=1000;w=86400"#,
            r#"ratelimit: "burst";r=0;t=1, "daily";r=700;t=500"#,
            "retry-after: 1",
            "x-ratelimit-limit: 10",
            "x-ratelimit-remaining: 0",
            "x-ratelimit-reset: 1",
        ]
    );
    assert_eq!(sent(ResponseFields::none(), &refused()), ["retry-after: 1"]);
    let never = LimitReport { retry_after_us: None, ..refused() };
    assert_eq!(sent(ResponseFields::none(), &never), [""; 0]);
}

#[test]
fn retry_after_is_rounded_up_and_at_least_one() {
    for (us, seconds) in
        [(0, 1), (1, 1), (999_999, 1), (1_000_000, 1), (1_000_001, 2), (u64::MAX, 18_446_744_073_710)]
    {
        let report = LimitReport { retry_after_us: Some(us), ..refused() };
        assert_eq!(report.retry_after_seconds(), Some(seconds), "{us}");
    }
    let passed = LimitReport { retry_after_us: Some(5_000_000), ..admitted() };
    assert_eq!(passed.retry_after_seconds(), None);
}

#[test]
fn units_partitions_windows_and_quotes_are_written_as_they_must() {
    let bytes = PolicyReport {
        unit: QuotaUnit::ContentBytes,
        window_us: Some(250_000),
        partition: Some(PartitionKey::new(b"GET\x1falice").unwrap()),
        ..policy(r#"a "b" \c"#, u64::MAX, 1, u64::MAX, u64::MAX)
    };
    let slots = PolicyReport {
        unit: QuotaUnit::ConcurrentRequests,
        window_us: None,
        reset_us: None,
        ..policy("slots", 5, 1, 4, 0)
    };
    let report = LimitReport { policies: vec![bytes, slots], retry_after_us: None };
    assert_eq!(
        sent(ResponseFields::new(), &report),
        [
            r#"ratelimit-policy: "a \"b\" \\c";q=999999999999999;qu="content-bytes";w=1;pk=:R0VUH2FsaWNl:, "slots";q=5;qu="concurrent-requests""#,
            r#"ratelimit: "a \"b\" \\c";r=999999999999999;t=18446744073710;pk=:R0VUH2FsaWNl:, "slots";r=4"#,
        ]
    );
    assert_eq!(sent(ResponseFields::new(), &LimitReport::default()), [""; 0]);
}

#[test]
fn named_lists_of_several_limiters_add_up_and_single_values_stay_together() {
    let mut headers = HeaderMap::new();
    let fields = ResponseFields::new().legacy(LegacyFields::Send);
    fields.apply(&admitted(), &mut headers);
    fields.apply(&refused(), &mut headers);
    assert_eq!(headers.get_all("ratelimit").iter().count(), 2);
    assert_eq!(headers.get_all("x-ratelimit-remaining").iter().collect::<Vec<_>>(), ["9"]);
    let mut headers = HeaderMap::new();
    let old = ResponseFields::new().draft(FieldsDraft::Draft06);
    old.apply(&admitted(), &mut headers);
    old.apply(&refused(), &mut headers);
    assert_eq!(headers.get_all("ratelimit-policy").iter().count(), 1);
    assert_eq!(headers["ratelimit-remaining"], "9");
    assert_eq!(headers["retry-after"], "1");
}

#[test]
fn policies_that_were_written_before_are_those_that_are_sent() {
    let report = admitted();
    for draft in [FieldsDraft::Draft03, FieldsDraft::Draft06, FieldsDraft::Draft07, FieldsDraft::Draft11] {
        let (fields, mut headers) = (ResponseFields::new().draft(draft), HeaderMap::new());
        fields.apply(&report, &mut headers);
        assert_eq!(fields.policies(&report.policies).as_ref(), headers.get(RATELIMIT_POLICY), "{draft:?}");
    }
    assert_eq!(ResponseFields::none().policies(&report.policies), None);
}

#[test]
fn a_report_tells_who_refused_and_who_is_closest_to_it() {
    let violated = |report: &LimitReport| report.violated().map(PolicyName::to_string).collect::<Vec<_>>();
    assert_eq!((violated(&refused()), violated(&admitted())), (vec!["burst".to_owned()], Vec::new()));
    let violating = |policy| PolicyReport { state: PolicyState::Violated, ..policy };
    for (policies, closest) in [
        (vec![], None),
        (vec![policy("a", 9, 1, 5, 0), policy("b", 9, 1, 4, 0)], Some("b")),
        (vec![policy("a", 9, 1, 4, 8), policy("b", 9, 1, 4, 9)], Some("b")),
        (vec![violating(policy("a", 9, 1, 5, 0)), policy("b", 9, 1, 4, 0)], Some("a")),
    ] {
        let report = LimitReport::new(policies, None);
        assert_eq!(report.closest().map(|policy| policy.name.as_str()), closest);
    }
}

#[test]
fn names_and_partitions_are_bounded() {
    for name in ["", "é", "a\n", &"x".repeat(65)] {
        assert_eq!(PolicyName::new(name), Err(ReportError::PolicyName));
    }
    assert_eq!(PartitionKey::new(&[0; 65]), Err(ReportError::PartitionKey));
    let policies = (0..100).map(|n| policy(&format!("p{n}"), 1, 1, 1, 0)).collect();
    let lines = sent(ResponseFields::new(), &LimitReport { policies, retry_after_us: None });
    assert!(lines.iter().all(|line| line.matches(';').count() == 2 * MAX_POLICIES_SENT));
}

fn item(entry: &ListEntry) -> &Item {
    match entry {
        ListEntry::Item(item) => item,
        ListEntry::InnerList(_) => panic!("an inner list"),
    }
}

fn integer(item: &Item, key: &str) -> Option<i64> {
    match item.params.get(key) {
        Some(BareItem::Integer(value)) => Some((*value).into()),
        Some(other) => panic!("{key} is {other:?}"),
        None => None,
    }
}

fn arbitrary_report() -> impl Strategy<Value = LimitReport> {
    let policy = (
        "[ -~]{1,64}",
        0..3_u8,
        any::<(u64, Option<u64>, u64, Option<u64>, bool)>(),
        proptest::option::of(proptest::collection::vec(any::<u8>(), 0..64)),
    )
        .prop_map(|(name, unit, (quota, window_us, remaining, reset_us, violated), partition)| {
            PolicyReport {
                name: PolicyName::new(&name).unwrap(),
                unit: [QuotaUnit::Requests, QuotaUnit::ContentBytes, QuotaUnit::ConcurrentRequests]
                    [usize::from(unit)],
                quota,
                window_us,
                remaining,
                reset_us,
                state: if violated { PolicyState::Violated } else { PolicyState::Within },
                partition: partition.map(|bytes| PartitionKey::new(&bytes).unwrap()),
            }
        });
    (proptest::collection::vec(policy, 1..6), any::<Option<u64>>())
        .prop_map(|(policies, retry_after_us)| LimitReport { policies, retry_after_us })
}

proptest! {
    #[test]
    fn an_independent_parser_reads_back_what_was_sent(report in arbitrary_report()) {
        let mut headers = HeaderMap::new();
        ResponseFields::new().apply(&report, &mut headers);
        let read = |name: &str| Parser::new(headers[name].as_bytes()).parse::<List>().unwrap();
        let (policies, states) = (read("ratelimit-policy"), read("ratelimit"));
        prop_assert_eq!((policies.len(), states.len()), (report.policies.len(), report.policies.len()));
        let retry = report.retry_after_seconds();
        for (sent, (policy, state)) in report.policies.iter().zip(policies.iter().zip(&states)) {
            for item in [item(policy), item(state)] {
                prop_assert_eq!(item.bare_item.as_string().unwrap().as_str(), sent.name.as_str());
                let partition = item.params.get("pk").map(|pk| pk.as_byte_sequence().unwrap());
                prop_assert_eq!(partition, sent.partition.as_ref().map(PartitionKey::as_bytes));
            }
            prop_assert!(integer(item(policy), "q").unwrap() >= 0);
            prop_assert_eq!(integer(item(policy), "w").is_some(), sent.window_us.is_some());
            prop_assert!(integer(item(policy), "w").is_none_or(|w| w > 0));
            prop_assert!(integer(item(state), "r").unwrap() >= 0);
            if let (PolicyState::Violated, Some(retry)) = (sent.state, retry) {
                prop_assert!(integer(item(state), "t").unwrap().unsigned_abs() <= retry);
            }
        }
    }

    #[test]
    fn the_older_drafts_parse_as_well(report in arbitrary_report()) {
        for draft in [FieldsDraft::Draft03, FieldsDraft::Draft06, FieldsDraft::Draft07] {
            let mut headers = HeaderMap::new();
            ResponseFields::new().draft(draft).apply(&report, &mut headers);
            for (name, value) in &headers {
                let bytes = value.as_bytes();
                let parsed = match (draft, name.as_str()) {
                    (FieldsDraft::Draft07, "ratelimit") => Parser::new(bytes).parse::<Dictionary>().map(|d| d.len() == 3),
                    (_, "ratelimit-policy") | (FieldsDraft::Draft03, "ratelimit-limit") => {
                        Parser::new(bytes).parse::<List>().map(|list| !list.is_empty())
                    }
                    _ => Parser::new(bytes).parse::<Item>().map(|item| item.bare_item.as_integer().is_some()),
                };
                prop_assert!(matches!(parsed, Ok(true)), "{}: {:?}", name, value);
            }
        }
    }
}
