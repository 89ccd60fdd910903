//! Never more at once than there are places; a place that nobody renews is free in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keep_testing::RedisServer;
use tower_keep::rate_limit::{Acquired, Concurrency, FailurePolicy, LimitError, Permit, Renewed};
use tower_keep::store::Store;

use crate::fixture::*;

fn places(server: &RedisServer, places: u64, ttl: Duration) -> Concurrency {
    Concurrency::new(patient(server), "jobs", places, ttl).unwrap().deadline(LONG)
}

async fn held(places: &Concurrency) -> Option<Permit> {
    match places.acquire("k").await.unwrap() {
        Acquired::Held(permit) => Some(permit),
        Acquired::Full { .. } => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_more_at_once_than_there_are_places() {
    let server = RedisServer::start();
    let limiters = [places(&server, 5, HOUR), places(&server, 5, HOUR)];
    let (now, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = (0..40)
        .map(|task| {
            let (limiter, now, most) = (limiters[task % 2].clone(), Arc::clone(&now), Arc::clone(&most));
            tokio::spawn(async move {
                let mut worked = 0;
                while worked < 5 {
                    let Some(permit) = held(&limiter).await else {
                        tokio::task::yield_now().await;
                        continue;
                    };
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    worked += 1;
                    permit.release().await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!((1..=5).contains(&most.load(Ordering::SeqCst)));
    all_keys_end(&server);
    let permits = [held(&limiters[0]).await, held(&limiters[1]).await];
    assert!(permits.iter().all(Option::is_some), "all places were given back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_nobody_renews_is_free_and_a_renewed_one_is_not() {
    let server = RedisServer::start();
    let ttl = Duration::from_secs(2);
    let limiter = places(&server, 2, ttl);
    let (kept, forgotten) = (held(&limiter).await.unwrap(), held(&limiter).await.unwrap());
    let Acquired::Full { retry_after } = limiter.acquire("k").await.unwrap() else { panic!("two are held") };
    assert!(retry_after <= ttl && !retry_after.is_zero());
    eventually("the forgotten place is free", async || {
        assert_eq!(kept.renew().await.unwrap(), Renewed::Held);
        held(&limiter).await.is_some()
    })
    .await;
    assert_eq!(forgotten.renew().await.unwrap(), Renewed::Lost);
    assert!(held(&limiter).await.is_none());
    forgotten.release().await.unwrap();
    assert!(held(&limiter).await.is_none(), "who lost a place gives none back");
    kept.release().await.unwrap();
    assert!(held(&limiter).await.is_some());
    all_keys_end(&server);
}

/// Both stores: one on Redis, which lives as long as the server, and the embedded one.
async fn on_both_stores(talk: impl AsyncFn(Store)) {
    let server = RedisServer::start();
    talk(patient(&server)).await;
    all_keys_end(&server);
    talk(Store::in_memory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_is_kept_outlives_its_time_and_is_given_back_on_drop() {
    on_both_stores(async |store| {
        let ttl = Duration::from_millis(600);
        let jobs = Concurrency::new(store, "jobs", 2, ttl).unwrap().deadline(LONG);
        let (kept, forgotten) = (held(&jobs).await.unwrap().keep().unwrap(), held(&jobs).await.unwrap());
        // Twice as long as a place lasts, the other one is free and this one is not.
        for _ in 0..2 {
            eventually("the forgotten place is free", async || held(&jobs).await.is_some()).await;
            assert!(held(&jobs).await.is_none());
        }
        assert_eq!(forgotten.renew().await.unwrap(), Renewed::Lost);
        assert!(kept.is_held());
        drop(kept);
        let mut places = Vec::new();
        eventually("both places are free", async || {
            places.extend(held(&jobs).await);
            places.len() >= 2
        })
        .await;
        for permit in places {
            permit.keep().unwrap().release().await.unwrap();
        }
        let places = [held(&jobs).await, held(&jobs).await];
        assert!(places.iter().all(Option::is_some), "a release waits until the place is free");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_loses_a_kept_place_hears_of_it() {
    let mut server = RedisServer::start();
    let jobs = places(&server, 1, Duration::from_millis(300));
    let kept = held(&jobs).await.unwrap().keep().unwrap();
    let lease: Vec<String> = server.cmd("KEYS", "keep:lease:*");
    let _: i64 = server.cmd("DEL", &lease[0]); // as an eviction would
    kept.lost().await;
    assert!(!kept.is_held());
    kept.release().await.unwrap();

    let jobs = jobs.deadline(Duration::from_millis(30));
    let kept = held(&jobs).await.unwrap().keep().unwrap();
    server.stop();
    kept.lost().await;
    assert!(kept.release().await.is_err());
}

#[test]
fn a_place_is_kept_by_a_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let jobs = Concurrency::new(Store::in_memory(), "jobs", 1, HOUR).unwrap();
    let permit = runtime.block_on(held(&jobs)).unwrap();
    assert!(matches!(permit.keep(), Err(LimitError::NoRuntime)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_goes_by_the_policy() {
    let mut server = RedisServer::start();
    let limiter = places(&server, 1, HOUR).deadline(Duration::from_millis(30));
    server.stop();
    let (open, closed, local) = (
        limiter.clone(),
        limiter.clone().on_failure(FailurePolicy::Closed),
        limiter.on_failure(FailurePolicy::Local),
    );
    let open = [held(&open).await.unwrap(), held(&open).await.unwrap()];
    assert_eq!(open[0].renew().await.unwrap(), Renewed::Held);
    assert!(closed.acquire("k").await.is_err());
    let permit = held(&local).await.unwrap();
    assert!(held(&local).await.is_none());
    permit.release().await.unwrap();
    assert!(held(&local).await.is_some());
}
