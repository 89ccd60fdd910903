//! Locks as an application uses them, on both stores.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

mod conformance;
mod contention;
mod loss;

use std::time::Duration;

use keep_testing::{RedisServer, eventually};
use tower_keep::lock::{Locks, LocksBuilder};
use tower_keep::store::Store;

const LONG: Duration = Duration::from_secs(30);

fn on_redis(server: &RedisServer) -> Store {
    Store::builder()
        .deadline(LONG)
        .probe_interval(Duration::from_millis(20))
        .without_self_check()
        .connect(&server.url())
        .unwrap()
}

/// Both stores, one after the other.
async fn on_both(test: impl AsyncFn(Store)) {
    test(Store::in_memory()).await;
    let server = RedisServer::start();
    test(on_redis(&server)).await;
}

fn patient(store: &Store) -> LocksBuilder {
    Locks::builder(store.clone()).wait(LONG)
}
