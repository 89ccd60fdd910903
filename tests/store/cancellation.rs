//! Requests that are given up at any point leave sound connections and whole values.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use keep_testing::RedisServer;
use tower_keep::store::Store;
use tower_keep::store::op::{LoadSession, Loaded, PeekSession};

use crate::fixture::*;

/// Drops a future after its `polls`-th poll.
pub async fn drop_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        let polled = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

async fn all_is_right(store: &Store) {
    for name in ["a", "b", "a"] {
        assert_eq!(read(store, name).await.unwrap().as_deref(), Some(name));
    }
}

#[tokio::test]
async fn an_operation_dropped_after_any_poll_leaves_the_next_ones_right() {
    let server = RedisServer::start();
    let store = patient().pool_size(1).connect(&server.url()).unwrap();
    for name in ["a", "b"] {
        make(&store, name, name).await;
    }
    let mut most = 0;
    for polls in 0..=40 {
        drop(drop_after(polls, store.run(LoadSession(session("a")))).await);
        all_is_right(&store).await;
        drop(drop_after(polls, store.run(change("a", count()))).await);
        all_is_right(&store).await;
        let batch =
            (PeekSession(session("b")), change("a", count()), LoadSession(session("a")), enter("p", "b"));
        drop(drop_after(polls, store.batch(batch)).await);
        all_is_right(&store).await;
        server.tell("SCRIPT FLUSH");
        drop(drop_after(polls, store.run(change("a", count()))).await);
        all_is_right(&store).await;
        most += 3;
    }
    let last = done(store.run(change("a", count())).await.unwrap())[0];
    assert!((2..=most + 1).contains(&last), "each ran at most once: {last} of {most}");
    let counts = store.health().await.pool;
    assert_eq!((counts.connections, counts.idle, counts.waiting), (1, 1, 0));
    let calls = server.calls();
    assert!(["ping", "multi", "watch", "select"].iter().all(|name| !calls.contains_key(*name)), "{calls:?}");
}

#[tokio::test]
async fn an_operation_dropped_while_connections_are_opened_leaves_the_pool_whole() {
    let server = RedisServer::start();
    let first = patient().connect(&server.url()).unwrap();
    for name in ["a", "b"] {
        make(&first, name, name).await;
    }
    for polls in 0..=40 {
        let store = patient().pool_size(1).connect(&server.url()).unwrap();
        let (one, two) = (store.run(LoadSession(session("a"))), store.run(change("a", set("a"))));
        tokio::join!(async { drop(drop_after(polls, one).await) }, async {
            drop(drop_after(polls / 2, two).await)
        });
        all_is_right(&store).await;
        let counts = store.health().await.pool;
        assert_eq!((counts.connections, counts.idle, counts.waiting), (1, 1, 0), "after {polls} polls");
    }
}

#[tokio::test]
async fn requests_given_up_at_a_frozen_server_leave_the_next_ones_right() {
    let server = RedisServer::start();
    let store = patient().pool_size(2).connect(&server.url()).unwrap();
    for name in ["a", "b"] {
        make(&store, name, name).await;
    }
    for polls in 1..=10 {
        server.freeze();
        for _ in 0..20 {
            assert!(drop_after(polls, read(&store, "a")).await.is_none());
            assert!(drop_after(polls, store.run(change("b", set("b")))).await.is_none());
        }
        server.thaw();
        all_is_right(&store).await;
    }
}

/// 100,000 reads of 50 sessions, most of them aborted at some point of their way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_aborted_reads_leaves_the_pool_whole_and_every_value_right() {
    const READS: usize = 100_000;
    const AT_ONCE: usize = 64;
    const SESSIONS: usize = 50;
    let server = RedisServer::start();
    let store = patient().connect(&server.url()).unwrap();
    for n in 0..SESSIONS {
        make(&store, &n.to_string(), &n.to_string()).await;
    }
    let mut random: u64 = 1;
    let mut tasks = tokio::task::JoinSet::new();
    let (mut aborted, mut read_to_end) = (0, 0);
    for n in 0..READS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (store, name) = (store.clone(), (n % SESSIONS).to_string());
        let handle = tasks.spawn(async move {
            let loaded = store.run(LoadSession(session(&name))).await.unwrap();
            assert_eq!(entry(loaded), Some(name), "a reply reached another request");
        });
        for _ in 0..(random >> 60) {
            tokio::task::yield_now().await;
        }
        if !(random >> 33).is_multiple_of(8) {
            handle.abort();
        }
        let most = if n + 1 < READS { AT_ONCE } else { 0 };
        while tasks.len() > most {
            match tasks.join_next().await.unwrap() {
                Ok(()) => read_to_end += 1,
                Err(error) => {
                    assert!(error.is_cancelled(), "{error}");
                    aborted += 1;
                }
            }
        }
    }
    assert!(aborted > READS / 10 && read_to_end > 100, "{aborted} aborted, {read_to_end} read");
    for n in 0..SESSIONS {
        assert_eq!(read(&store, &n.to_string()).await.unwrap(), Some(n.to_string()));
    }
    let counts = store.health().await.pool;
    assert!((1..=4).contains(&counts.connections), "{counts:?}");
    assert_eq!((counts.idle, counts.waiting), (counts.connections, 0));
    assert_eq!(store.run(LoadSession(session("none"))).await.unwrap(), Loaded::Missing);
}
