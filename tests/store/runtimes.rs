//! One store, several runtimes: a worker that stops or is busy breaks no other.

use std::sync::mpsc;
use std::time::Duration;

use keep_testing::{Fault, Proxy, RedisServer};
use tokio::runtime::{Builder, Runtime};
use tower_keep::store::Store;

use crate::fixture::*;

fn long_lived() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn worker() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// The store of each kind, whose connections go through the proxy.
fn stores(home: &Runtime, proxy: &Proxy) -> [Store; 2] {
    let _inside = home.enter();
    let manager = bb8_redis::RedisConnectionManager::new(proxy.url()).unwrap();
    let pool = bb8::Pool::builder().max_size(1).test_on_check_out(true).build_unchecked(manager);
    let settings = || patient().pool_size(1).deadline(Duration::from_millis(500));
    [settings().connect(&proxy.url()).unwrap(), settings().from_pool(pool).unwrap()]
}

/// Reads until it works, on a runtime of its own.
fn works_on_a_worker(store: &Store) {
    worker().block_on(eventually("a worker reads", async || {
        read(store, "a").await.is_ok_and(|value| value.as_deref() == Some("1"))
    }));
}

#[test]
fn a_worker_that_stops_takes_no_connection_along() {
    let server = RedisServer::start();
    let home = long_lived();
    let proxy = home.block_on(Proxy::start(server.port()));
    for store in stores(&home, &proxy) {
        home.block_on(eventually("it serves", async || serves(&store).await));
        home.block_on(async { drop(store.run(create("a", "1")).await.unwrap()) });
        for _ in 0..5 {
            // The worker is the first to need a connection, and stops with requests in flight.
            server.kill_clients();
            works_on_a_worker(&store);
            let stopping = worker();
            stopping.block_on(async {
                for _ in 0..50 {
                    let store = store.clone();
                    tokio::spawn(async move { read(&store, "a").await });
                }
                tokio::task::yield_now().await;
            });
            drop(stopping);
            works_on_a_worker(&store);
        }
        // No new connection was needed because of a worker's end.
        let accepted = proxy.accepted();
        for _ in 0..5 {
            works_on_a_worker(&store);
        }
        assert_eq!(proxy.accepted(), accepted);
    }
}

#[test]
fn a_worker_that_stops_while_a_connection_is_opened_leaves_the_pool_whole() {
    let server = RedisServer::start();
    let home = long_lived();
    let proxy = home.block_on(Proxy::start(server.port()));
    for store in stores(&home, &proxy) {
        home.block_on(eventually("it serves", async || serves(&store).await));
        home.block_on(async { drop(store.run(create("a", "1")).await.unwrap()) });
        for _ in 0..3 {
            proxy.set(Fault::BlackHole);
            server.kill_clients();
            let stopping = worker();
            stopping.block_on(async {
                for _ in 0..50 {
                    let store = store.clone();
                    tokio::spawn(async move { read(&store, "a").await });
                }
                settle().await;
            });
            drop(stopping);
            proxy.set(Fault::None);
            works_on_a_worker(&store);
        }
        home.block_on(eventually("it serves", async || serves(&store).await));
        assert_eq!(home.block_on(store.health()).pool.waiting, 0);
    }
}

#[test]
fn a_busy_worker_disturbs_nobody_else() {
    let server = RedisServer::start();
    let home = long_lived();
    let proxy = home.block_on(Proxy::start(server.port()));
    for store in stores(&home, &proxy) {
        home.block_on(eventually("it serves", async || serves(&store).await));
        home.block_on(async { drop(store.run(create("a", "1")).await.unwrap()) });
        // Its requests wait for connections and replies; then its thread has no time for them.
        proxy.set(Fault::BlackHole);
        server.kill_clients();
        let (busy, is_busy) = mpsc::channel();
        let (free, is_free) = mpsc::channel::<()>();
        let thread = std::thread::spawn({
            let store = store.clone();
            move || {
                worker().block_on(async {
                    let mut tasks = tokio::task::JoinSet::new();
                    for _ in 0..50 {
                        let store = store.clone();
                        tasks.spawn(async move { drop(read(&store, "a").await) });
                    }
                    settle().await;
                    busy.send(()).unwrap();
                    is_free.recv().unwrap();
                    tasks.join_all().await;
                });
            }
        });
        is_busy.recv().unwrap();
        proxy.set(Fault::None);
        works_on_a_worker(&store);
        home.block_on(eventually("it serves", async || serves(&store).await));
        free.send(()).unwrap();
        thread.join().unwrap();
        works_on_a_worker(&store);
    }
}

#[test]
fn a_store_whose_runtime_has_ended_refuses_and_neither_hangs_nor_panics() {
    let server = RedisServer::start();
    for n in 0..2 {
        let home = long_lived();
        let proxy = home.block_on(Proxy::start(server.port()));
        let store = stores(&home, &proxy).into_iter().nth(n).unwrap();
        home.block_on(eventually("it serves", async || serves(&store).await));
        drop(home);
        worker().block_on(async {
            for _ in 0..20 {
                refusal(read(&store, "a").await);
                refusal(store.run(change("a", count())).await);
                assert!(!serves(&store).await);
            }
        });
        drop(store);
    }
}
