//! Both stores pass the one acceptance suite, Redis in each of its forms.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests fail by panicking")]

use std::time::Duration;

use keep_testing::{RedisCluster, RedisServer, SentinelGroup, eventually};
use tower_keep::clock::Clock;
use tower_keep::store::op::{MarkRevoked, PrincipalAt};
use tower_keep::store::{MemoryLimits, Replicas, Store, StoreBuilder};
use tower_keep::test_util::accept_store;

#[tokio::test]
async fn the_embedded_store_is_accepted() {
    let clock = Clock::manual(1_700_000_000_000);
    let store = Store::in_memory_with(MemoryLimits::default(), clock.clone());
    accept_store(&store, async |by| clock.advance(by)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_accepted() {
    let server = RedisServer::start();
    let store = Store::builder().connect(&server.url()).unwrap();
    accept_store(&store, async |by| tokio::time::sleep(by).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_by_resp3_is_accepted() {
    let server = RedisServer::start();
    let store = Store::connect(&format!("{}/?protocol=resp3", server.url())).unwrap();
    accept_store(&store, async |by| tokio::time::sleep(by).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_by_a_pool_of_the_user_is_accepted() {
    let server = RedisServer::start();
    let manager = bb8_redis::RedisConnectionManager::new(server.url()).unwrap();
    let pool = bb8_redis::bb8::Pool::builder().max_size(3).build(manager).await.unwrap();
    let store = Store::from_pool(pool.clone()).unwrap();
    accept_store(&store, async |by| tokio::time::sleep(by).await).await;
    drop(store);
    assert!(pool.get().await.is_ok(), "the user's pool is never closed");
}

/// A server that must serve the whole of it, on a machine that is busy with others.
async fn accept(builder: StoreBuilder, url: &str) -> Store {
    let store = builder.deadline(Duration::from_secs(5)).connect(url).unwrap();
    accept_store(&store, async |by| tokio::time::sleep(by).await).await;
    store
}

fn confirmed() -> StoreBuilder {
    Store::builder().replicas(Replicas::at_least(1).within(Duration::from_secs(2)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_cluster_is_accepted() {
    let cluster = tokio::task::spawn_blocking(RedisCluster::start).await.unwrap();
    accept(Store::builder(), &cluster.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_cluster_with_replicas_is_accepted() {
    let cluster = tokio::task::spawn_blocking(RedisCluster::start_replicated).await.unwrap();
    accept(Store::builder(), &cluster.url()).await;
    accept(confirmed(), &cluster.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentinel_group_is_accepted_before_and_after_a_failover() {
    let group = tokio::task::spawn_blocking(SentinelGroup::start).await.unwrap();
    let store = accept(Store::builder(), &group.url()).await;
    accept(confirmed(), &group.url()).await;
    let group = tokio::task::spawn_blocking(move || {
        group.fail_over();
        group
    })
    .await
    .unwrap();
    let mut tries = 0;
    eventually("the store writes to the other one", async || {
        tries += 1;
        let principal = format!("nobody{tries}");
        let of = PrincipalAt { namespace: "session".into(), principal: principal.as_str().into() };
        let keys = || group.second.cmd::<Vec<String>>("KEYS", format!("*:{principal}"));
        store.run(MarkRevoked(of)).await.is_ok() && !keys().is_empty()
    })
    .await;
    accept_store(&store, async |by| tokio::time::sleep(by).await).await;
}
