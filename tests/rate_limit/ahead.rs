//! Charging ahead asks less, and never admits more.

use std::time::Duration;

use keep_testing::RedisServer;
use tower_keep::rate_limit::{Limit, Quota, RateLimiter, Source};

use crate::fixture::*;

fn ahead(server: &RedisServer, quota: Quota, keep: Duration) -> RateLimiter {
    let limits = unhurried(patient(server)).limit(Limit::new("only", quota));
    limits.charge_ahead(20, keep).build().unwrap()
}

async fn drain(limiter: RateLimiter) -> u64 {
    let mut admitted = 0;
    while limiter.check("k").await.unwrap().is_admitted() {
        admitted += 1;
    }
    admitted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_together_admit_no_more_and_ask_far_less() {
    let server = RedisServer::start();
    for quota in [Quota::window(1005, HOUR), Quota::per_day(1).burst(1005), Quota::sliding(1005, HOUR)] {
        let limiters = [(); 2].map(|()| ahead(&server, quota, Duration::from_secs(60)));
        eventually("both are connected", async || {
            let [a, b] = &limiters;
            a.peek("k").await.unwrap().is_admitted() && b.peek("k").await.unwrap().is_admitted()
        })
        .await;
        server.reset_calls();
        let tasks: Vec<_> =
            limiters.iter().cycle().take(8).cloned().map(|limiter| tokio::spawn(drain(limiter))).collect();
        let mut admitted = 0;
        for task in tasks {
            admitted += task.await.unwrap();
        }
        assert_eq!(admitted, 1005, "all that was charged is handed out: {quota:?}");
        let calls = server.calls();
        let scripts = calls.get("evalsha").copied().unwrap_or(0) + calls.get("eval").copied().unwrap_or(0);
        assert!(scripts < 200, "{calls:?}");
        all_keys_end(&server);
        server.tell("FLUSHALL");
    }
}

#[tokio::test]
async fn what_was_charged_ahead_ends_with_its_time_its_window_or_a_change() {
    let server = RedisServer::start();
    let source = async |limiter: &RateLimiter| limiter.check("k").await.unwrap().limits()[0].source;
    // Its window is over before its time is.
    let limiter = ahead(&server, Quota::window(100, Duration::from_millis(100)), Duration::from_secs(60));
    assert_eq!((source(&limiter).await, source(&limiter).await), (Source::Store, Source::Ahead));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(source(&limiter).await, Source::Store);
    // Its time is over first.
    let limiter = ahead(&server, Quota::window(100, HOUR), Duration::from_millis(50));
    assert_eq!((source(&limiter).await, source(&limiter).await), (Source::Store, Source::Ahead));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(source(&limiter).await, Source::Store);
    // A ban holds at once.
    assert!(limiter.ban("k", HOUR).await.unwrap()[0].is_refused());
    assert!(!limiter.check("k").await.unwrap().is_admitted());
}
