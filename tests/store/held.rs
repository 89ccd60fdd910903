//! Reads do not wait with the writes that a server holds back, where there is room for a connection more.

use std::time::Duration;

use keep_testing::RedisServer;
use tokio::task::JoinSet;
use tower_keep::store::{Store, StoreBuilder};

use crate::cancellation::drop_after;
use crate::fixture::*;

/// A store with one connection, which has read and written.
async fn used(server: &RedisServer, builder: StoreBuilder) -> Store {
    loop {
        let store = builder.clone().connect(&server.url()).unwrap();
        // Who asks before the pool has the connection of the first probe opens one beside it.
        server.probed_by(1).await;
        store.run(create("a", "1")).await.unwrap();
        assert!(is_read(&store).await);
        if store.health().await.pool.connections == 1 {
            return store;
        }
        server.reset_calls();
    }
}

async fn is_read(store: &Store) -> bool {
    read(store, "a").await.is_ok_and(|value| value.as_deref() == Some("1"))
}

fn says(admin: &mut redis::Connection, line: &str) -> bool {
    redis::cmd("INFO").query::<String>(admin).unwrap().lines().any(|it| it == line)
}

async fn write(store: Store) -> bool {
    store.run(change("a", count())).await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_do_not_wait_behind_a_write_that_is_held() {
    let server = RedisServer::start();
    let store = used(&server, patient()).await;
    let mut admin = server.admin();
    for _ in 0..3 {
        RedisServer::tell_on(&mut admin, "CLIENT PAUSE 60000 WRITE");
        let held = tokio::spawn(write(store.clone()));
        eventually("the write is held", async || says(&mut admin, "blocked_clients:1")).await;
        let reads: JoinSet<_> =
            (0..10).map(|_| store.clone()).map(async |store| is_read(&store).await).collect();
        assert!(reads.join_all().await.iter().all(|&is_read| is_read), "those that were behind it already");
        for _ in 0..100 {
            assert!(is_read(&store).await);
        }
        assert!(!held.is_finished(), "it was held all the time");
        assert_eq!(store.health().await.pool.connections, 2);
        RedisServer::tell_on(&mut admin, "CLIENT UNPAUSE");
        assert!(held.await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_fails_while_writes_are_held_and_time_out() {
    let server = RedisServer::start();
    let builder = Store::builder().probe_interval(Duration::from_millis(20)).without_self_check();
    let store = used(&server, builder.deadline(Duration::from_secs(1))).await;
    server.tell("CLIENT PAUSE 60000 WRITE");
    let (mut writes, mut reads) = (JoinSet::new(), 0);
    while !is_refused_at_once(&store).await {
        writes.spawn(write(store.clone()));
        assert!(is_read(&store).await, "after {reads}");
        reads += 1;
    }
    server.tell("CLIENT UNPAUSE");
    writes.join_all().await;
    eventually("it serves again", async || write(store.clone()).await).await;
}

async fn is_refused_at_once(store: &Store) -> bool {
    let write = tokio::time::timeout(Duration::from_millis(1), write(store.clone()));
    write.await == Ok(false)
}

/// Its answer comes although nobody waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_was_given_up_holds_nothing_up() {
    let server = RedisServer::start();
    let deadline = Duration::from_secs(1);
    let store = used(&server, Store::builder().deadline(deadline).without_self_check()).await;
    for _ in 0..5 {
        let _given_up = drop_after(1, write(store.clone())).await; // it has been sent
        tokio::time::sleep(deadline / 10).await; // from then on it would be held back
        let reads: JoinSet<_> =
            (0..5).map(|_| store.clone()).map(async |store| is_read(&store).await).collect();
        assert!(reads.join_all().await.iter().all(|&is_read| is_read));
    }
    assert_eq!(store.health().await.pool.connections, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_there_is_no_room_they_wait_with_them() {
    let server = RedisServer::start();
    let store = used(&server, patient()).await;
    let mut admin = server.admin();
    server.tell("CONFIG SET maxclients 2"); // the store's one and this test's
    RedisServer::tell_on(&mut admin, "CLIENT PAUSE 60000 WRITE");
    let held = tokio::spawn(write(store.clone()));
    eventually("the write is held", async || says(&mut admin, "blocked_clients:1")).await;
    let reader = store.clone();
    let reads = tokio::spawn(async move { is_read(&reader).await });
    eventually("another connection is tried", async || !says(&mut admin, "rejected_connections:0")).await;
    assert!(!reads.is_finished());
    RedisServer::tell_on(&mut admin, "CLIENT UNPAUSE");
    assert!(held.await.unwrap() && reads.await.unwrap());
    assert_eq!(store.health().await.pool.connections, 1);
}
