//! Whatever asks at once, from wherever: exactly the limit is admitted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keep_testing::RedisServer;
use tower_keep::rate_limit::{Ask, Limit, Quota, RateLimiter, Slot, Verdict};
use tower_keep::store::Store;

use crate::fixture::*;

const TASKS: u64 = 40;

/// `calls` from many tasks over two limiters, each with a pool and connections of its own, as two processes have.
async fn admitted(limiters: [RateLimiter; 2], calls: u64) -> u64 {
    let admitted = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let (limiter, admitted) = (limiters[(task % 2) as usize].clone(), Arc::clone(&admitted));
        tasks.push(tokio::spawn(async move {
            for _ in 0..calls / TASKS {
                if limiter.check("everybody").await.unwrap().is_admitted() {
                    admitted.fetch_add(1, Ordering::Relaxed);
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    admitted.load(Ordering::Relaxed)
}

/// Nothing is remembered, so that each call is decided by the script.
fn forgetful(server: &RedisServer, limits: &[Limit], slot: Slot) -> RateLimiter {
    let builder = unhurried(patient(server)).remembered_refusals(0).slot(slot);
    limits.iter().cloned().fold(builder, tower_keep::rate_limit::RateLimiterBuilder::limit).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_algorithm_admits_exactly_its_limit() {
    let server = RedisServer::start();
    for quota in [
        Quota::per_day(1).burst(700),
        Quota::window(700, HOUR),
        Quota::sliding(700, HOUR),
        Quota::per(1, HOUR).burst(700),
    ] {
        let limits = [Limit::new("only", quota)];
        let limiters = [Slot::Namespace; 2].map(|slot| forgetful(&server, &limits, slot));
        assert_eq!(admitted(limiters, 2_000).await, 700, "{quota:?}");
        all_keys_end(&server);
        server.tell("FLUSHALL");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_limits_the_smaller_decides_and_refused_calls_charge_neither() {
    let server = RedisServer::start();
    let quotas = [Quota::per_day(1).burst(1500), Quota::window(700, HOUR), Quota::sliding(1500, HOUR)];
    for (large, small) in [(0, 1), (2, 1)] {
        for slot in [Slot::Namespace, Slot::Subject] {
            let limits = [Limit::new("large", quotas[large]), Limit::new("small", quotas[small])];
            let limiters = [slot; 2].map(|slot| forgetful(&server, &limits, slot));
            let asker = limiters[0].clone();
            assert_eq!(admitted(limiters, 2_000).await, 700);
            let decision = asker.peek("everybody").await.unwrap();
            let standing = |name| decision.limit(name).unwrap().standing.unwrap();
            assert_eq!(standing("large").remaining, 800);
            assert_eq!(standing("large").verdict, Verdict::Admitted);
            assert_eq!(standing("small").remaining, 0);
            let refused: Vec<_> = decision.refused().map(|status| &*status.name).collect();
            assert_eq!(refused, ["small"]);
            all_keys_end(&server);
        }
        server.tell("FLUSHALL");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_share_one_limit() {
    let server = RedisServer::start();
    let calls = || {
        let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "exact::one_of_several_processes", "--nocapture"]);
        child.env("KEEP_LIMIT_URL", server.url()).output()
    };
    let (a, b) = tokio::join!(calls(), calls());
    let admitted = [a, b].map(|output| {
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        let (_, rest) = text.split_once("admitted=").expect("the process told");
        rest.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    });
    assert_eq!(admitted.iter().sum::<u64>(), 700, "{admitted:?}");
    all_keys_end(&server);
}

/// Not a test by itself: what the processes of the one above do.
#[allow(clippy::print_stdout, reason = "how a process tells its parent")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_several_processes() {
    let Ok(url) = std::env::var("KEEP_LIMIT_URL") else { return };
    let store = Store::builder().deadline(LONG).connect(&url).unwrap();
    let limiter = one(store, Quota::window(700, HOUR));
    // Both begin when both are there.
    limiter.penalise(Ask::new("barrier")).await.unwrap();
    eventually("the other process is there", async || {
        limiter.peek("barrier").await.unwrap().remaining() <= Some(698)
    })
    .await;
    println!("admitted={} ", admitted([limiter.clone(), limiter], 1_000).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_of_thousands_a_second_admits_what_it_says() {
    let server = RedisServer::start();
    let quota = Quota::per_second(5_000).burst(50);
    let limiters = [Slot::Namespace; 2].map(|slot| forgetful(&server, &[Limit::new("only", quota)], slot));
    let begun = std::time::Instant::now();
    let admitted = admitted(limiters, 10_000).await;
    let most = 50 + (begun.elapsed() + Duration::from_millis(2)).as_micros() as u64 * 5_000 / 1_000_000;
    assert!(admitted <= most, "{admitted} of at most {most}");
    assert!(admitted >= 50);
    all_keys_end(&server);
}
