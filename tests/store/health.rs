//! What the store says about itself, and the embedded store's bounds.

use std::time::Duration;

use keep_testing::{RedisServer, free_port};
use tower_keep::clock::Clock;
use tower_keep::store::op::{LoadSession, RemoveSession};
use tower_keep::store::{MemoryLimits, Store, StoreErrorKind as Kind, StoreKind, StoreStatus};

use crate::fixture::*;

#[tokio::test]
async fn a_redis_store_tells_its_status_latency_and_connections() {
    let server = RedisServer::start();
    let store = patient().pool_size(3).connect(&server.url()).unwrap();
    let health = store.health().await;
    assert_eq!((health.kind, health.status), (StoreKind::Redis, StoreStatus::Up));
    assert!(health.latency.as_ref().is_ok_and(|latency| *latency < LONG));
    assert!((1..=3).contains(&health.pool.connections));
    assert_eq!((health.pool.idle, health.pool.waiting), (health.pool.connections, 0));
    assert_eq!((health.desyncs, health.is_up()), (0, true));
}

#[tokio::test]
async fn a_redis_store_without_a_server_says_so() {
    let store = patient().connect(&format!("redis://127.0.0.1:{}", free_port())).unwrap();
    eventually("it is down", async || {
        let health = store.health().await;
        assert_eq!(refusal(health.latency.clone()), Kind::Refused);
        assert!(!health.is_up());
        health.status == StoreStatus::Down
    })
    .await;
    assert_eq!(store.health().await.pool.connections, 0);
}

#[tokio::test]
async fn an_embedded_store_is_up() {
    let health = Store::in_memory().health().await;
    assert_eq!((health.kind, health.status, health.is_up()), (StoreKind::Memory, StoreStatus::Up, true));
    assert_eq!((health.pool.connections, health.desyncs), (0, 0));
}

#[tokio::test]
async fn an_embedded_store_that_holds_its_entries_refuses_more_and_drops_none() {
    let clock = Clock::manual(1_000_000);
    let store = Store::in_memory_with(MemoryLimits::new(3, 1 << 20), clock.clone());
    for name in ["a", "b", "c"] {
        make(&store, name, name).await;
    }
    for _ in 0..3 {
        assert_eq!(refusal(store.run(create("d", "d")).await), Kind::Full);
        assert_eq!(refusal(store.run(enter("p", "a")).await), Kind::Full, "an index is an entry as well");
        done(store.run(change("a", set("other"))).await.unwrap());
        done(store.run(change("a", set("a"))).await.unwrap());
    }
    for name in ["a", "b", "c"] {
        assert_eq!(read(&store, name).await.unwrap().as_deref(), Some(name));
    }
    assert!(store.run(RemoveSession(session("b"))).await.unwrap());
    make(&store, "d", "d").await;
    assert_eq!(refusal(store.run(create("e", "e")).await), Kind::Full);
    clock.advance(Duration::from_millis(HOUR_MS));
    for name in ["e", "f", "g"] {
        make(&store, name, name).await;
    }
    assert!(store.health().await.is_up(), "a full store is no outage");
}

#[tokio::test]
async fn an_embedded_store_that_holds_its_bytes_refuses_more_and_keeps_the_old_value() {
    let store = Store::in_memory_with(MemoryLimits::new(1_000, 4_096), Clock::manual(1_000_000));
    make(&store, "a", "small").await;
    make(&store, "b", &"x".repeat(2_000)).await;
    let (a, b) = store
        .batch((change("a", set(&"y".repeat(3_000))), change("b", set(&"z".repeat(2_500)))))
        .await
        .unwrap();
    assert_eq!(refusal(a), Kind::Full);
    assert!(done(b.unwrap()).is_empty(), "it replaces what it had");
    assert_eq!(read(&store, "a").await.unwrap().as_deref(), Some("small"), "all or nothing");
    assert_eq!(entry(store.run(LoadSession(session("b"))).await.unwrap()), Some("z".repeat(2_500)));
    done(store.run(change("b", set("small"))).await.unwrap());
    done(store.run(change("a", set(&"y".repeat(3_000)))).await.unwrap());
}
