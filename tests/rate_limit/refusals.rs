//! What is known to be refused costs Redis nothing, and is admitted again at the promised moment.

use std::time::{Duration, Instant};

use keep_testing::RedisServer;
use tower_keep::rate_limit::{Ask, Limit, Quota, Source};

use crate::fixture::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_refused_requests_cost_fewer_than_a_hundred_commands() {
    let server = RedisServer::start();
    let limiter = one(patient(&server), Quota::window(5, HOUR));
    assert!(limiter.check("k").await.unwrap().is_admitted());
    server.reset_calls();
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move {
                let mut refused = 0;
                while refused < 62_500 {
                    refused += u64::from(!limiter.check("k").await.unwrap().is_admitted());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let commands: u64 = server.calls().values().sum();
    assert!(commands < 100, "{:?}", server.calls());
    let calls = server.calls();
    let scripts = calls.get("evalsha").copied().unwrap_or(0) + calls.get("eval").copied().unwrap_or(0);
    assert!(scripts <= 4 + 16, "{calls:?}");
}

#[tokio::test]
async fn a_client_that_waits_as_told_is_admitted() {
    let server = RedisServer::start();
    for quota in [
        Quota::per_second(50).burst(3),
        Quota::window(3, Duration::from_millis(60)),
        Quota::sliding(3, Duration::from_millis(40)),
    ] {
        let limiter = one(patient(&server), quota);
        for _ in 0..5 {
            let retry = loop {
                let decision = limiter.check("k").await.unwrap();
                if let Some(retry) = decision.retry_after() {
                    break retry;
                }
            };
            let promised = Instant::now() + retry;
            let decision = limiter.check("k").await.unwrap();
            if Instant::now() + Duration::from_millis(1) < promised {
                assert!(!decision.is_admitted(), "{quota:?} admits early");
            }
            tokio::time::sleep_until((promised + Duration::from_millis(1)).into()).await;
            assert!(limiter.check("k").await.unwrap().is_admitted(), "{quota:?} breaks its promise");
        }
    }
}

#[tokio::test]
async fn a_known_refusal_tells_what_the_first_one_told_and_names_its_limit() {
    let server = RedisServer::start();
    let limiter = unhurried(patient(&server))
        .limit(Limit::new("large", Quota::window(100, HOUR)))
        .limit(Limit::new("small", Quota::window(1, HOUR)))
        .build()
        .unwrap();
    assert!(limiter.check("k").await.unwrap().is_admitted());
    let first = limiter.check("k").await.unwrap();
    let again = limiter.check("k").await.unwrap();
    assert_eq!(first.limit("small").unwrap().source, Source::Store);
    assert_eq!(again.limit("small").unwrap().source, Source::Remembered);
    assert_eq!(again.limit("large").unwrap().source, Source::Nobody);
    assert!(again.retry_after().unwrap() <= first.retry_after().unwrap());
    assert!(again.retry_after().unwrap() + LONG > first.retry_after().unwrap());
    // Another key, and the same key with the limit left out, are asked.
    assert!(limiter.check("other").await.unwrap().is_admitted());
    assert!(limiter.check(Ask::new("k").without("small")).await.unwrap().is_admitted());
}

#[tokio::test]
async fn smaller_costs_are_asked_when_they_may_fit() {
    let server = RedisServer::start();
    let limiter = one(patient(&server), Quota::window(10, HOUR));
    assert!(limiter.check_n("k", 7).await.unwrap().is_admitted());
    assert!(!limiter.check_n("k", 5).await.unwrap().is_admitted());
    assert!(!limiter.check_n("k", 4).await.unwrap().is_admitted());
    assert!(limiter.check_n("k", 3).await.unwrap().is_admitted());
    assert!(!limiter.check_n("k", 1).await.unwrap().is_admitted());
    let never = limiter.check_n("k", 11).await.unwrap();
    assert!(!never.is_admitted() && never.retry_after().is_none());
}

#[tokio::test]
async fn changes_from_this_process_count_at_once() {
    let server = RedisServer::start();
    let limiter = one(patient(&server), Quota::window(2, HOUR));
    let exhaust = async || while limiter.check("k").await.unwrap().is_admitted() {};
    exhaust().await;
    let standing = limiter.refund("k").await.unwrap()[0].standing.unwrap();
    assert_eq!(standing.remaining, 1);
    assert!(limiter.check("k").await.unwrap().is_admitted());
    exhaust().await;
    assert_eq!(limiter.reset("k").await.unwrap(), 1);
    assert_eq!(limiter.check("k").await.unwrap().remaining(), Some(1));
    exhaust().await;
    let banned = limiter.ban("k", 2 * HOUR).await.unwrap();
    assert!(banned[0].is_refused());
    assert!(limiter.check("k").await.unwrap().retry_after() > Some(HOUR));
    limiter.ban("k", Duration::ZERO).await.unwrap();
    assert!(limiter.check("k").await.unwrap().retry_after() <= Some(HOUR), "what was counted stays counted");
    assert_eq!(limiter.reset("k").await.unwrap(), 1);
    assert!(limiter.check("k").await.unwrap().is_admitted());
    all_keys_end(&server);
}

#[tokio::test]
async fn what_is_remembered_is_bounded() {
    let server = RedisServer::start();
    let limiter = unhurried(patient(&server))
        .limit(Limit::new("only", Quota::window(1, HOUR)))
        .remembered_refusals(10)
        .build()
        .unwrap();
    for key in (0..100).map(|n| n.to_string()) {
        assert!(limiter.check(key.as_str()).await.unwrap().is_admitted());
        assert!(!limiter.check(key.as_str()).await.unwrap().is_admitted());
    }
    let mut remembered = 0;
    for key in (0..100).rev().map(|n| n.to_string()) {
        let decision = limiter.check(key.as_str()).await.unwrap();
        assert!(!decision.is_admitted(), "forgetting a refusal costs a question and nothing else");
        remembered += u64::from(decision.limits()[0].source == Source::Remembered);
    }
    assert!((1..=10).contains(&remembered), "{remembered}");
}
