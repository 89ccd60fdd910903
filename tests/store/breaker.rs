//! What opens the breaker, and what does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keep_testing::{Log, RedisServer};
use tower_keep::store::{StoreErrorKind as Kind, StoreStatus};

use crate::fixture::*;

#[tokio::test]
async fn refusals_of_single_operations_leave_the_breaker_closed() {
    let server = RedisServer::start();
    let store = patient().connect(&server.url()).unwrap();
    server.tell(&format!("SET {} x", session_key("bad")));
    for _ in 0..50 {
        assert_eq!(refusal(read(&store, "bad").await), Kind::WrongType);
        assert_eq!(refusal(store.run(change("bad", count())).await), Kind::WrongType);
    }
    assert_eq!(store.health().await.status, StoreStatus::Up);
    make(&store, "a", "1").await;
}

#[tokio::test]
async fn changes_of_state_under_load_are_announced_once() {
    let log = Log::start();
    let server = RedisServer::start();
    let store = hasty().connect(&server.url()).unwrap();
    make(&store, "a", "1").await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..32 {
        let (store, stop) = (store.clone(), Arc::clone(&stop));
        tasks.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let refused = match task % 2 {
                    0 => read(&store, "a").await.err(),
                    _ => store.run(change("a", count())).await.err(),
                };
                if let Some(error) = refused {
                    let kind = told(&error);
                    assert!(matches!(kind, Kind::Timeout | Kind::Unavailable), "{kind:?}");
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    }
    for round in 1..=3 {
        server.freeze();
        eventually("the outage is announced", async || log.warnings().len() == 2 * round - 1).await;
        server.thaw();
        eventually("its end is announced", async || log.warnings().len() == 2 * round).await;
        eventually("it serves again", async || serves(&store).await).await;
    }
    stop.store(true, Ordering::Relaxed);
    tasks.join_all().await;
    assert_eq!(log.warnings().len(), 6, "{:#?}", log.warnings());
    assert!(!log.text().contains("canary"));
}
