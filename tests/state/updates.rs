//! Many who change the same value.

use std::sync::atomic::{AtomicU32, Ordering};

use keep_testing::RedisServer;
use tokio::task::JoinSet;
use tower_keep::kv::{KeyValue, Remainder, Ttl, Update, UpdateError};
use tower_keep::store::Store;

use crate::fixture::*;

fn counts(store: &Store) -> KeyValue<u64> {
    KeyValue::new(store.clone(), "counts").unwrap()
}

async fn fifty_times_a_hundred(stores: &[Store]) {
    let mut tasks = JoinSet::new();
    for n in 0..50 {
        let counts = counts(&stores[n % stores.len()]);
        tasks.spawn(async move {
            for _ in 0..100 {
                counts.update("a", |n| Update::Set(n.unwrap_or(&0) + 1, Ttl::Never)).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(counts(&stores[0]).get("a").await.unwrap(), Some(5000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_tasks_with_a_hundred_updates_each_lose_none() {
    fifty_times_a_hundred(&[Store::in_memory()]).await;
    let server = RedisServer::start();
    fifty_times_a_hundred(&[on_redis(&server), on_redis(&server)]).await;
}

#[tokio::test]
async fn an_updater_says_what_becomes_of_the_value_and_for_how_long() {
    on_both(async |store| {
        let counts = counts(&store);
        assert_eq!(counts.update("a", |_| Update::Remove).await.unwrap(), None);
        assert_eq!(counts.update("a", |_| Update::Set(1, HOUR)).await.unwrap(), Some(1));
        assert!(matches!(counts.remaining("a").await.unwrap(), Some(Remainder::For(_))));
        assert_eq!(counts.update("a", |_| Update::Set(2, Ttl::KeepRemaining)).await.unwrap(), Some(2));
        assert!(matches!(counts.remaining("a").await.unwrap(), Some(Remainder::For(_))));
        let before = counts.get_versioned("a").await.unwrap();
        assert_eq!(counts.update("a", |_| Update::Keep).await.unwrap(), Some(2));
        assert_eq!(counts.get_versioned("a").await.unwrap(), before, "nothing was written");
        assert_eq!(
            counts.update("a", |n| if n == Some(&2) { Update::Remove } else { Update::Keep }).await.unwrap(),
            None
        );
        assert_eq!(counts.get("a").await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn an_updater_that_fails_or_panics_blocks_nobody() {
    on_both(async |store| {
        let counts = counts(&store);
        counts.set("a", &1, HOUR).await.unwrap();
        let failed = counts.try_update("a", |_| Err::<Update<u64>, _>("no")).await;
        assert!(matches!(failed, Err(UpdateError::Updater("no"))));
        let panicking = counts.clone();
        let task = tokio::spawn(async move { panicking.update("a", |_| panic!("in the updater")).await });
        assert!(task.await.unwrap_err().is_panic());
        assert_eq!(counts.update("a", |n| Update::Set(n.unwrap_or(&0) + 1, HOUR)).await.unwrap(), Some(2));
    })
    .await;
}

/// Any other writer is seen, not only updates.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_sees_every_other_write() {
    on_both(async |store| {
        let counts = counts(&store);
        counts.set("a", &1, HOUR).await.unwrap();
        let calls = AtomicU32::new(0);
        let store = &store;
        // The first call is overtaken by a write that goes past the update.
        let updated = counts
            .update("a", |n| {
                if calls.fetch_add(1, Ordering::Relaxed) == 0 {
                    let other = super::updates::counts(store);
                    std::thread::scope(|scope| {
                        scope.spawn(|| {
                            let runtime =
                                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                            runtime.block_on(other.set("a", &100, HOUR)).unwrap();
                        });
                    });
                }
                Update::Set(n.unwrap_or(&0) + 1, HOUR)
            })
            .await;
        assert_eq!((updated.unwrap(), calls.into_inner()), (Some(101), 2));
    })
    .await;
}
