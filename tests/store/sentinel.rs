//! Sentinels name the primary: the store follows, and leaves the old one alone.

use std::time::{Duration, Instant};

use keep_testing::SentinelGroup;
use tower_keep::store::{Store, StoreErrorKind as Kind};

use crate::fixture::*;

const TOGETHER: Duration = Duration::from_secs(1);

fn connected(group: &SentinelGroup) -> Store {
    hasty().connect(&group.url()).unwrap()
}

async fn count_up(store: &Store) -> Result<(), Kind> {
    store.run(change("a", count())).await.map(drop).map_err(|error| error.kind())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_no_write_reaches_the_old_primary() {
    let group = SentinelGroup::start();
    let store = connected(&group);
    eventually("it serves", async || serves(&store).await).await;
    make(&store, "a", "0").await;
    let changed = std::sync::Arc::new(std::sync::Mutex::new(None::<Instant>));
    let writes = tokio::spawn({
        let (store, changed) = (store.clone(), std::sync::Arc::clone(&changed));
        async move {
            // Each as soon as the one before is answered, until two seconds after the change.
            let (mut acknowledged, mut late) = (0, Vec::new());
            loop {
                let since = changed.lock().unwrap().map(|at| at.elapsed());
                if since.is_some_and(|since| since > 3 * TOGETHER) {
                    return (acknowledged, late);
                }
                match count_up(&store).await {
                    Ok(()) => acknowledged += u32::from(since.is_some_and(|since| since > TOGETHER)),
                    Err(kind) if since.is_some_and(|since| since > TOGETHER) => late.push(kind),
                    Err(_) => {}
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    });
    let group = tokio::task::spawn_blocking(move || {
        group.fail_over();
        group
    })
    .await
    .unwrap();
    *changed.lock().unwrap() = Some(Instant::now());
    tokio::time::sleep(TOGETHER).await;
    let before = calls(&group.first);
    let (acknowledged, late) = writes.await.unwrap();
    assert_eq!(late, [], "a second after the change nobody sees it any more");
    assert!(acknowledged > 100, "{acknowledged}");
    assert_eq!(calls(&group.first), before, "the old primary hears nothing");
    assert!(group.second.cmd::<u64>("EXISTS", session_key("a")) == 1);
}

/// Scripts that a client called, not the primary.
fn calls(server: &keep_testing::RedisServer) -> Option<u64> {
    server.calls().get("evalsha").copied()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_primary_is_left_for_the_next() {
    let group = SentinelGroup::start();
    let store = connected(&group);
    eventually("it serves", async || serves(&store).await).await;
    group.first.freeze();
    let group = tokio::task::spawn_blocking(move || {
        group.await_second();
        group
    })
    .await
    .unwrap();
    eventually("the second serves", async || serves(&store).await).await;
    group.first.thaw();
    for _ in 0..20 {
        assert!(serves(&store).await, "the old one's return disturbs nobody");
    }
}

#[tokio::test]
async fn sentinels_that_are_gone_are_not_missed_while_the_primary_serves() {
    let group = SentinelGroup::start();
    let store = connected(&group);
    eventually("it serves", async || serves(&store).await).await;
    group.freeze_sentinels(3);
    for _ in 0..50 {
        assert!(serves(&store).await);
    }
    group.first.kill_clients();
    eventually("it connects to the primary that was named last", async || serves(&store).await).await;
}

#[tokio::test]
async fn a_group_that_nobody_knows_is_an_outage_within_the_deadline() {
    let group = SentinelGroup::start();
    let url = group.url().replace("keep-group", "another");
    let store = hasty().connect(&url).unwrap();
    for _ in 0..3 {
        let kind = refusal(read(&store, "a").await);
        assert!([Kind::Timeout, Kind::Unavailable].contains(&kind), "{kind:?}");
    }
}
