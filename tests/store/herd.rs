//! Many instances that come back together.

use std::time::{Duration, Instant};

use keep_testing::RedisServer;
use tower_keep::store::Store;

use crate::fixture::*;

const STORES: u64 = 20;
const POOL: u32 = 10;

fn accepted(server: &RedisServer) -> u64 {
    let info: String = server.cmd("INFO", "stats");
    info.lines().find_map(|line| line.strip_prefix("total_connections_received:")).unwrap().parse().unwrap()
}

/// Each store with requests as long as it lives.
fn crowd(server: &RedisServer) -> (Vec<Store>, tokio::task::JoinSet<()>) {
    let store = |_| Store::builder().pool_size(POOL).without_self_check().connect(&server.url()).unwrap();
    let stores: Vec<_> = (0..STORES).map(store).collect();
    let mut load = tokio::task::JoinSet::new();
    for store in &stores {
        for _ in 0..10 {
            let store = store.clone();
            load.spawn(async move {
                loop {
                    drop(read(&store, "a").await);
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            });
        }
    }
    (stores, load)
}

async fn all_serve(stores: &[Store]) {
    for store in stores {
        eventually("each serves", async || serves(store).await).await;
    }
}

/// How many connections come within the first second, and until all serve.
async fn herd(server: &RedisServer, stores: &[Store], before: u64) {
    let begun = Instant::now();
    all_serve(stores).await;
    tokio::time::sleep(Duration::from_secs(1).saturating_sub(begun.elapsed())).await;
    let connects = accepted(server) - before;
    assert!(connects <= 2 * STORES * u64::from(POOL), "{connects} connects");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_stores_that_come_back_after_a_restart_open_few_connections() {
    let mut server = RedisServer::start();
    let (stores, _load) = crowd(&server);
    all_serve(&stores).await;
    server.stop();
    tokio::time::sleep(Duration::from_secs(2)).await;
    server.restart();
    herd(&server, &stores, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_stores_that_come_back_after_a_freeze_open_few_connections() {
    let server = RedisServer::start();
    let (stores, _load) = crowd(&server);
    all_serve(&stores).await;
    let before = accepted(&server);
    server.freeze();
    tokio::time::sleep(Duration::from_secs(5)).await;
    server.thaw();
    herd(&server, &stores, before).await;
}
