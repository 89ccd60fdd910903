//! Waiting for a connection: bounded, in order, within the deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bb8_redis::RedisConnectionManager;
use keep_testing::{Proxy, RedisServer};
use tower_keep::store::StoreErrorKind as Kind;

use crate::fixture::*;

async fn pool_of_two(server: &RedisServer, tested: bool) -> bb8::Pool<RedisConnectionManager> {
    let manager = RedisConnectionManager::new(server.url()).unwrap();
    bb8::Pool::builder().max_size(2).min_idle(2).test_on_check_out(tested).build(manager).await.unwrap()
}

#[tokio::test]
async fn who_would_wait_beyond_the_bound_is_refused_at_once() {
    let server = RedisServer::start();
    let pool = pool_of_two(&server, false).await;
    let store = patient().deadline(Duration::from_secs(1)).max_waiting(3).from_pool(pool.clone()).unwrap();
    make(&store, "a", "1").await;
    eventually("it serves", async || serves(&store).await).await;
    let held = (pool.get().await.unwrap(), pool.get().await.unwrap());

    let begun = Instant::now();
    let mut waiters = tokio::task::JoinSet::new();
    for _ in 0..2 + 3 {
        let store = store.clone();
        waiters.spawn(async move { refusal(read(&store, "a").await) });
    }
    settle().await;
    for _ in 0..100 {
        assert_eq!(refusal(read(&store, "a").await), Kind::Overloaded);
    }
    assert!(!waiters.is_empty() && waiters.try_join_next().is_none(), "the others still wait");
    for kind in waiters.join_all().await {
        assert_eq!(kind, Kind::Timeout);
    }
    assert!(begun.elapsed() < Duration::from_secs(6));
    drop(held);
    eventually("it serves again", async || serves(&store).await).await;
    assert_eq!(read(&store, "a").await.unwrap().as_deref(), Some("1"));
    assert_eq!(store.health().await.pool.waiting, 0);
}

#[tokio::test]
async fn waiters_are_served_as_soon_as_the_owner_gives_back() {
    let server = RedisServer::start();
    let pool = pool_of_two(&server, false).await;
    let store = patient().from_pool(pool.clone()).unwrap();
    make(&store, "a", "1").await;
    eventually("it serves", async || serves(&store).await).await;
    let held = (pool.get().await.unwrap(), pool.get().await.unwrap());
    let mut waiters = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let store = store.clone();
        waiters.spawn(async move { read(&store, "a").await.unwrap() });
    }
    settle().await;
    assert!(waiters.try_join_next().is_none());
    drop(held);
    assert_eq!(waiters.join_all().await, vec![Some("1".to_owned()); 100]);
}

/// A pool with a test on check-out holds each connection for a round trip, so that all others wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_starves_where_hundreds_come_again_and_again() {
    const TASKS: usize = 300;
    const EACH: usize = 15;
    let server = RedisServer::start();
    let store = patient().from_pool(pool_of_two(&server, true).await).unwrap();
    make(&store, "a", "1").await;
    let total = Arc::new(AtomicUsize::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..TASKS {
        let (store, total) = (store.clone(), Arc::clone(&total));
        tasks.spawn(async move {
            let mut own = 0;
            while total.fetch_add(1, Ordering::Relaxed) < TASKS * EACH {
                read(&store, "a").await.unwrap();
                own += 1;
            }
            own
        });
    }
    let served = tasks.join_all().await;
    let (least, most) = (served.iter().min().unwrap(), served.iter().max().unwrap());
    assert!(least * 3 >= EACH, "one had {least}, another {most}, {EACH} would be even");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_at_a_cold_pool_is_served() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    proxy.set(keep_testing::Fault::Delay(20));
    let store = patient().pool_size(2).connect(&proxy.url()).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..500 {
        let store = store.clone();
        tasks.spawn(async move { read(&store, "a").await });
    }
    for value in tasks.join_all().await {
        assert_eq!(value.unwrap(), None);
    }
    assert!(proxy.accepted() <= 3, "two, and one on which the first probe writes");
}
