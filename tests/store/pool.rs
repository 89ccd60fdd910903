//! A pool that knows which of its connections live.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use keep_testing::RedisServer;
use tower_keep::store::Store;
use tower_keep::store::op::LoadSession;

use crate::fixture::*;

const POOL: u32 = 4;

/// Many at once, so that a cold pool opens all that it may.
async fn crowd(store: &Store) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let store = store.clone();
        tasks.spawn(async move { store.run(LoadSession(session("a"))).await.unwrap() });
    }
    tasks.join_all().await;
}

#[tokio::test]
async fn idle_connections_that_were_killed_cost_no_request() {
    let server = RedisServer::start();
    let store = patient().pool_size(POOL).connect(&server.url()).unwrap();
    make(&store, "a", "1").await;
    probed(&server).await;
    for round in 1..=20 {
        server.kill_clients();
        settle().await;
        assert_eq!(read(&store, "a").await.unwrap().as_deref(), Some("1"));
        server.kill_clients();
        settle().await;
        crowd(&store).await;
        server.kill_clients();
        settle().await;
        assert_eq!(done(store.run(change("a", count())).await.unwrap()), [round]);
        assert!(server.clients().len() <= POOL as usize, "broken connections left the pool");
        assert!(store.health().await.pool.connections <= POOL);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_see_nothing_of_connections_that_are_killed_under_load() {
    let server = RedisServer::start();
    let store = patient().pool_size(POOL).connect(&server.url()).unwrap();
    for task in 0..16 {
        make(&store, &task.to_string(), &task.to_string()).await;
    }
    probed(&server).await;
    let stop = Arc::new(AtomicBool::new(false));
    let reads = Arc::new(AtomicU64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..16 {
        let (store, stop, reads) = (store.clone(), Arc::clone(&stop), Arc::clone(&reads));
        tasks.spawn(async move {
            let name = task.to_string();
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(read(&store, &name).await.unwrap().as_ref(), Some(&name));
                reads.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for _ in 0..60 {
        server.kill_clients();
        let before = reads.load(Ordering::Relaxed);
        eventually("reads go on", async || reads.load(Ordering::Relaxed) > before + 300).await;
    }
    stop.store(true, Ordering::Relaxed);
    tasks.join_all().await;
}

#[tokio::test]
async fn connections_that_the_server_closes_for_being_idle_cost_no_request() {
    let server = RedisServer::start();
    let store = patient().pool_size(POOL).connect(&server.url()).unwrap();
    make(&store, "a", "1").await;
    crowd(&store).await;
    server.tell("CONFIG SET timeout 1");
    for sum in 1..=2 {
        eventually("the server closes idle connections", async || server.clients().is_empty()).await;
        settle().await;
        if sum == 1 {
            assert_eq!(read(&store, "a").await.unwrap().as_deref(), Some("1"));
        }
        assert_eq!(done(store.run(change("a", count())).await.unwrap()), [sum]);
    }
}

#[tokio::test]
async fn an_operation_is_one_command_and_nothing_else() {
    let server = RedisServer::start();
    let store = patient().pool_size(POOL).connect(&server.url()).unwrap();
    make(&store, "a", "1").await;
    crowd(&store).await;
    probed(&server).await;
    server.reset_calls();
    for _ in 0..200 {
        read(&store, "a").await.unwrap();
        done(store.run(change("a", count())).await.unwrap());
    }
    let mut calls = server.calls();
    assert_eq!((calls.remove("hgetall"), calls.remove("evalsha")), (Some(200), Some(200)));
    calls.retain(|name, _| !["time", "hget", "hincrby", "hlen"].contains(&name.as_str())); // the script's own
    assert!(calls.is_empty(), "{calls:?}");
}

#[tokio::test]
async fn writes_that_met_a_killed_connection_ran_at_most_once() {
    let server = RedisServer::start();
    let store = patient().pool_size(1).connect(&server.url()).unwrap();
    make(&store, "a", "1").await;
    probed(&server).await;
    let (mut fine, mut unclear) = (0, 0);
    for _ in 0..200 {
        server.kill_clients(); // nobody lets the connection's task see it
        match store.run(change("a", count())).await {
            Ok(committed) => fine += done(committed).len(),
            Err(error) => {
                told(&error);
                unclear += 1;
                eventually("the breaker is closed", async || serves(&store).await).await;
            }
        }
    }
    let last = done(store.run(change("a", count())).await.unwrap())[0];
    let last = usize::try_from(last).unwrap() - 1;
    assert!(fine <= last && last <= fine + unclear, "{fine} done, {unclear} unclear, {last} counted");
    tokio::time::timeout(Duration::from_secs(5), read(&store, "a")).await.unwrap().unwrap();
}
