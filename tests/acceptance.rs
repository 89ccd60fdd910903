//! Both stores pass the one acceptance suite.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests fail by panicking")]

use std::time::Duration;

use keep_testing::{RedisCluster, RedisServer};
use tower_keep::clock::Clock;
use tower_keep::store::{MemoryLimits, Store};
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_cluster_is_accepted() {
    let cluster = tokio::task::spawn_blocking(RedisCluster::start).await.unwrap();
    let store = Store::builder().deadline(Duration::from_secs(5)).connect(&cluster.url()).unwrap();
    accept_store(&store, async |by| tokio::time::sleep(by).await).await;
}
