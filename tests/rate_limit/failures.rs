//! When Redis fails, each limit goes by its policy, and nobody is refused because of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use keep_testing::RedisServer;
use tower_keep::rate_limit::{
    FailurePolicy, Limit, LimitError, LimitEvent, Quota, RateLimiter, RateLimiterBuilder, Source,
};
use tower_keep::store::{Store, StoreErrorKind};

use crate::fixture::*;

fn hasty(server: &RedisServer) -> RateLimiterBuilder {
    let store = Store::builder().probe_interval(Duration::from_millis(20)).connect(&server.url()).unwrap();
    RateLimiter::builder(store).deadline(Duration::from_millis(30))
}

fn with(server: &RedisServer, policy: FailurePolicy) -> RateLimiter {
    let limit = Limit::new("only", Quota::window(3, HOUR)).on_failure(policy);
    hasty(server).limit(limit).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_redis_is_never_a_refusal() {
    let server = RedisServer::start();
    let [open, closed, local] = [FailurePolicy::Open, FailurePolicy::Closed, FailurePolicy::Local]
        .map(|policy| with(&server, policy));
    for limiter in [&open, &closed, &local] {
        eventually("the store serves", async || {
            matches!(limiter.check("k").await, Ok(decision) if decision.limits()[0].source == Source::Store)
        })
        .await;
        limiter.reset("k").await.unwrap();
    }
    server.freeze();
    let mut local_admitted = 0;
    for _ in 0..50 {
        let decision = open.check("k").await.unwrap();
        assert!(decision.is_admitted() && decision.limits()[0].source == Source::Nobody);
        let error = closed.check("k").await.unwrap_err();
        assert!(matches!(&error, LimitError::Store(_)) && error.status() == 503, "{error:?}");
        let decision = local.check("k").await.unwrap();
        assert_eq!(decision.limits()[0].source, Source::Local);
        local_admitted += u64::from(decision.is_admitted());
    }
    assert_eq!(local_admitted, 3, "this process decides alone, by the same quota");
    assert!(matches!(open.refund("k").await, Err(LimitError::Store(_))), "a change says that it failed");
    server.thaw();
    for limiter in [&open, &closed, &local] {
        eventually("the store serves again", async || {
            matches!(limiter.check("k2").await, Ok(decision) if decision.limits()[0].source == Source::Store)
        })
        .await;
    }
}

/// The limiter's short deadline does not stand for the store's: the breaker opens when the probe says so, and then nobody waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_breaker_opens_although_the_limiter_gives_up_earlier() {
    nobody_waits_for_a_frozen_redis(Duration::from_millis(250)).await;
}

/// Where the probe itself may wait for long, it is known before that it waits for longer than the limiter would.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_while_a_probe_has_waited_for_as_long() {
    let deadline = Duration::from_secs(60);
    let known = tokio::time::timeout(deadline / 2, nobody_waits_for_a_frozen_redis(deadline)).await;
    assert!(known.is_ok(), "not before the probe gave up");
}

async fn nobody_waits_for_a_frozen_redis(deadline: Duration) {
    let server = RedisServer::start();
    let kinds = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&kinds);
    let store = Store::builder().probe_interval(Duration::from_millis(20)).deadline(deadline);
    let limiter = RateLimiter::builder(store.connect(&server.url()).unwrap())
        .deadline(Duration::from_millis(30))
        .limit(Limit::new("only", Quota::window(3, HOUR)))
        .on_event(move |event| {
            if let LimitEvent::Failed { kind, .. } = event {
                heard.lock().unwrap().push(*kind);
            }
        })
        .build()
        .unwrap();
    server.probed_by(1).await; // a probe that is under way would have to give up first
    server.freeze();
    eventually("nobody waits", async || {
        assert!(limiter.check("k").await.unwrap().is_admitted());
        kinds.lock().unwrap().last() == Some(&StoreErrorKind::Unavailable)
    })
    .await;
    assert_eq!(kinds.lock().unwrap()[0], StoreErrorKind::Timeout);
    server.thaw();
    eventually("the store serves again", async || {
        limiter.check("k").await.unwrap().limits()[0].source == Source::Store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_of_one_request_each_have_their_policy() {
    let mut server = RedisServer::start();
    let limiter = |first| {
        hasty(&server)
            .limit(Limit::new("first", Quota::window(100, HOUR)).on_failure(first))
            .limit(Limit::new("second", Quota::window(2, HOUR)).on_failure(FailurePolicy::Local))
            .build()
            .unwrap()
    };
    let (open, closed) = (limiter(FailurePolicy::Open), limiter(FailurePolicy::Closed));
    server.stop();
    for admitted in [true, true, false] {
        let decision = open.check("k").await.unwrap();
        assert_eq!(decision.is_admitted(), admitted);
        assert_eq!(decision.limit("first").unwrap().source, Source::Nobody);
        assert_eq!(decision.limit("second").unwrap().source, Source::Local);
        assert!(closed.check("k").await.is_err(), "one closed limit closes");
    }
    server.restart();
    eventually("the store serves", async || {
        open.check("k").await.unwrap().limits()[0].source == Source::Store
    })
    .await;
}
