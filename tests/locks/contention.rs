//! Many who want the same lock.

use std::sync::Arc;
use std::time::Duration;

use keep_testing::RedisServer;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tower_keep::kv::{KeyValue, Ttl};
use tower_keep::lock::Locks;
use tower_keep::store::Store;

use super::{LONG, on_both, on_redis, patient};

/// Reads, waits a moment, and writes what it read and one more: without a lock, most of it would be lost.
async fn increment(locks: &Locks, numbers: &KeyValue<u64>) {
    let lock = locks.acquire("n").await.unwrap();
    let n = numbers.get("n").await.unwrap().unwrap_or(0);
    tokio::task::yield_now().await;
    numbers.set("n", &(n + 1), Ttl::Never).await.unwrap();
    let _ = lock.release().await.unwrap();
}

async fn two_times_a_thousand(stores: [Store; 2], tasks_each: u32) {
    let mut tasks = JoinSet::new();
    for store in &stores {
        let locks =
            Locks::builder(store.clone()).wait(LONG * 4).retry(Duration::from_millis(2)).build().unwrap();
        let numbers = KeyValue::<u64>::new(store.clone(), "numbers").unwrap();
        for _ in 0..tasks_each {
            let (locks, numbers) = (locks.clone(), numbers.clone());
            tasks.spawn(async move {
                for _ in 0..1000 / tasks_each {
                    increment(&locks, &numbers).await;
                }
            });
        }
    }
    tasks.join_all().await;
    let numbers = KeyValue::<u64>::new(stores[0].clone(), "numbers").unwrap();
    assert_eq!(numbers.get("n").await.unwrap(), Some(2000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_with_a_thousand_increments_each_lose_none() {
    for tasks_each in [1, 20] {
        let server = RedisServer::start();
        two_times_a_thousand([on_redis(&server), on_redis(&server)], tasks_each).await;
    }
    let store = Store::in_memory();
    two_times_a_thousand([store.clone(), store], 20).await;
}

#[tokio::test]
async fn within_a_process_who_came_first_is_first() {
    on_both(async |store| {
        let locks = patient(&store).retry(Duration::from_millis(1)).build().unwrap();
        let held = locks.acquire("a").await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        for n in 0..10 {
            let (locks, order) = (locks.clone(), Arc::clone(&order));
            tasks.spawn(async move {
                let lock = locks.acquire("a").await.unwrap();
                order.lock().await.push((n, lock.fence()));
                let _ = lock.release().await.unwrap();
            });
            // On one thread the task gets as far as its place in the line.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let _ = held.release().await.unwrap();
        tasks.join_all().await;
        let order = order.lock().await;
        assert!(order.iter().map(|(n, _)| *n).eq(0..10), "{order:?}");
        assert!(order.windows(2).all(|pair| pair[0].1 < pair[1].1), "{order:?}");
    })
    .await;
}

#[tokio::test]
async fn who_gives_up_waiting_leaves_its_place() {
    on_both(async |store| {
        let locks = patient(&store).build().unwrap();
        let held = locks.acquire("a").await.unwrap();
        let (first, second) = (locks.clone(), locks.clone());
        let first = tokio::spawn(async move { first.acquire("a").await });
        tokio::task::yield_now().await;
        let second = tokio::spawn(async move { second.acquire("a").await });
        tokio::time::sleep(Duration::from_millis(20)).await;
        first.abort();
        let _ = held.release().await.unwrap();
        let _ = second.await.unwrap().unwrap().release().await.unwrap();
    })
    .await;
}
