//! What the engine promises besides, on both stores.

use std::time::Duration;

use keep_testing::{Monitor, RedisServer};
use tower_keep::clock::Clock;
use tower_keep::rate_limit::{
    Ask, ClientAddress, FailurePolicy, KeyPart, Limit, LimitConfigError, LimitError, Network, Quota,
    QuotaError, RateLimiter, Slot, Verdict,
};
use tower_keep::store::{MemoryLimits, Store};

use crate::fixture::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_with_several_limits_is_one_command() {
    let server = RedisServer::start();
    let limiter = unhurried(patient(&server))
        .namespace("api")
        .limit(Limit::new("per-address", Quota::per_second(100)))
        .limit(Limit::new("per-user", Quota::window(100, HOUR)))
        .limit(Limit::new("per-route", Quota::sliding(100, HOUR)))
        .build()
        .unwrap();
    let ask = || Ask::new("203.0.113.7").key_for("per-user", "user:7").key_for("per-route", "/a{b}");
    assert!(limiter.check(ask()).await.unwrap().is_admitted());
    let mut monitor = Monitor::start(&server).await;
    let decision = limiter.check(ask()).await.unwrap();
    assert_eq!(decision.limits().len(), 3);
    assert!(decision.limits().iter().all(|status| status.standing.unwrap().remaining >= 98));
    let mut heard = monitor.heard(&server).await;
    heard.retain(|line| !line.contains(" lua]") && !line.contains(":probe:") && !line.ends_with("\"TIME\""));
    assert_eq!(heard.len(), 1, "{heard:?}");
    for key in
        ["b100.1.10000:text=203.0.113.7", "w100.3600000000:text=user%3A7", "s100.3600000:text=%2Fa%7Bb%7D"]
    {
        assert!(heard[0].contains(key) && heard[0].contains("keep:limit:{api}:"), "{heard:?}");
    }
    all_keys_end(&server);
}

#[tokio::test]
async fn a_changed_quota_begins_anew_and_plans_are_counted_apart() {
    let server = RedisServer::start();
    let store = patient(&server);
    let small = one(store.clone(), Quota::window(2, HOUR));
    while small.check("k").await.unwrap().is_admitted() {}
    let large = one(store, Quota::window(10, HOUR));
    assert_eq!(large.check("k").await.unwrap().remaining(), Some(9));
    let plan = || Ask::new("k").quota_for("only", Quota::window(50, HOUR));
    assert_eq!(large.check(plan()).await.unwrap().remaining(), Some(49));
    assert_eq!(large.check("k").await.unwrap().remaining(), Some(8));
    assert!(!small.check("k").await.unwrap().is_admitted());
    let bad = Ask::new("k").quota_for("only", Quota::per_second(0));
    assert!(matches!(large.check(bad).await, Err(LimitError::Quota(QuotaError::Zero))));
}

#[tokio::test]
async fn whatever_makes_a_key_is_a_question_and_the_answer_needs_no_digging() {
    let limiter = one(Store::in_memory(), Quota::window(10, HOUR));
    let client = ClientAddress::new("192.0.2.1".parse().unwrap());
    let network: Network = "192.0.2.1".parse().unwrap();
    for left in [9, 7] {
        let decision = limiter.check(client).await.unwrap();
        let only = decision.limit("only").unwrap();
        assert_eq!((only.remaining(), only.retry_after()), (Some(left), None));
        assert!(only.reset_after().is_some_and(|after| after <= HOUR && after > HOUR / 2));
        assert_eq!(limiter.check(network).await.unwrap().remaining(), Some(left - 1), "the same key");
    }
    for left in [9, 8] {
        let login = limiter.check((client, "login")).await.unwrap();
        assert_eq!(login.remaining(), Some(left), "a key of two parts is another one");
    }
    assert_eq!(limiter.check(KeyPart::principal("alice")).await.unwrap().remaining(), Some(9));
    let refused = limiter.check(Ask::new(client).cost(7)).await.unwrap();
    let wait = refused.limit("only").unwrap().retry_after().unwrap();
    assert!(Some(wait) == refused.retry_after() && wait <= HOUR);
    let never = limiter.check(Ask::new(client).cost(11)).await.unwrap();
    assert_eq!(never.limit("only").unwrap().retry_after(), None);
}

#[tokio::test]
async fn questions_that_cannot_be_asked_are_errors() {
    let build = |slot| {
        RateLimiter::builder(Store::in_memory())
            .limit(Limit::new("a", Quota::per_second(1)))
            .limit(Limit::new("b", Quota::per_second(1)))
            .slot(slot)
            .build()
            .unwrap()
    };
    let limiter = build(Slot::Namespace);
    assert!(matches!(limiter.check("").await, Err(LimitError::EmptyKey)));
    assert!(matches!(limiter.check(Ask::new("k").cost_for("x", 1)).await, Err(LimitError::UnknownLimit)));
    let nothing = limiter.check(Ask::new("k").without("a").without("b")).await.unwrap();
    assert!(nothing.is_admitted() && nothing.limits().is_empty());
    assert_eq!(limiter.reset(Ask::new("k").without("a").without("b")).await.unwrap(), 0);
    let spread = build(Slot::Subject);
    let different = Ask::new("k").key_for("b", "other");
    assert!(limiter.check(different.clone()).await.is_ok());
    assert!(matches!(spread.check(different).await, Err(LimitError::DifferentSlots)));
    assert!(spread.check(Ask::new("k").key_for("b", "k")).await.is_ok());
}

#[test]
fn settings_that_cannot_work_are_found_when_built() {
    let limit = |name: &str| Limit::new(name, Quota::per_second(1));
    let builder = || RateLimiter::builder(Store::in_memory());
    for (builder, error) in [
        (builder(), LimitConfigError::Count),
        (builder().limit(limit("A")), LimitConfigError::Name),
        (builder().limit(limit("")), LimitConfigError::Name),
        (builder().limit(limit("a")).namespace("{x}"), LimitConfigError::Name),
        (builder().limit(limit("a")).limit(limit("a")), LimitConfigError::Duplicate("a".to_owned())),
        (builder().limit(limit("a")).deadline(Duration::ZERO), LimitConfigError::OutOfRange("deadline")),
        (
            builder().limit(Limit::new("a", Quota::per_second(0))),
            LimitConfigError::Quota { limit: "a".to_owned(), error: QuotaError::Zero },
        ),
    ] {
        assert_eq!(builder.build().unwrap_err(), error);
    }
    let many = (0..17).fold(builder(), |builder, n| builder.limit(limit(&n.to_string())));
    assert_eq!(many.build().unwrap_err(), LimitConfigError::Count);
}

/// The embedded store on a clock that steps back by an hour: nobody is locked out, and one burst more is admitted at most.
#[tokio::test]
async fn a_clock_that_steps_back_locks_nobody_out() {
    const START: u64 = 1_700_000_000_000_000;
    for quota in [
        Quota::per_second(1).burst(10),
        Quota::window(10, Duration::from_secs(10)),
        Quota::sliding(10, Duration::from_secs(10)),
    ] {
        let clock = Clock::manual(START / 1000);
        let limiter = one(Store::in_memory_with(MemoryLimits::default(), clock.clone()), quota);
        assert!(limiter.check_n("k", 10).await.unwrap().is_admitted());
        clock.turn_to(START - HOUR.as_micros() as u64);
        let retry = limiter.check("k").await.unwrap().retry_after().expect("what was counted stays counted");
        assert!(retry <= Duration::from_secs(20), "{quota:?}: {retry:?}");
        clock.advance(retry);
        assert!(limiter.check("k").await.unwrap().is_admitted(), "{quota:?}");
        clock.turn_to(START);
        let mut admitted = 0;
        while limiter.check("k").await.unwrap().is_admitted() {
            admitted += 1;
        }
        assert!(admitted <= 10, "{quota:?}: {admitted}");
    }
}

#[tokio::test]
async fn an_embedded_store_that_is_full_charges_all_or_nothing() {
    let store = Store::in_memory_with(MemoryLimits::new(1, 10_000), Clock::system());
    let both = unhurried(store.clone())
        .limit(Limit::new("a", Quota::window(5, HOUR)))
        .limit(Limit::new("b", Quota::window(5, HOUR)))
        .build()
        .unwrap();
    let decision = both.check("k").await.unwrap();
    assert!(decision.is_admitted() && decision.limits()[0].standing.is_none(), "full: the policy decides");
    let peeked = both.peek("k").await.unwrap();
    for status in peeked.limits() {
        let standing = status.standing.unwrap();
        assert_eq!((standing.remaining, standing.verdict), (5, Verdict::Admitted));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_that_are_decided_together_lie_in_one_cluster_slot() {
    let server = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    server.tell("CLUSTER ADDSLOTSRANGE 0 16383");
    eventually("the cluster is up", async || {
        let info: String = server.cmd("CLUSTER", "INFO");
        info.contains("cluster_state:ok")
    })
    .await;
    for slot in [Slot::Namespace, Slot::Subject] {
        let limiter = unhurried(patient(&server))
            .limit(Limit::new("day", Quota::per_day(100)))
            .limit(Limit::new("hour", Quota::window(100, HOUR)).on_failure(FailurePolicy::Closed))
            .slot(slot)
            .build()
            .unwrap();
        for subject in ["alice", "b{o}b", "", "192.0.2.1"].map(|subject| format!("x{subject}")) {
            let ask = Ask::new(subject.as_str());
            let ask = if slot == Slot::Namespace { ask.key_for("hour", "other") } else { ask };
            assert!(limiter.check(ask.clone()).await.unwrap().is_admitted());
            assert_eq!(limiter.reset(ask).await.unwrap(), 2);
        }
    }
}
