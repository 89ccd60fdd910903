//! Locks that extend themselves, and what happens when they are lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keep_testing::RedisServer;
use tokio::sync::oneshot;
use tower_keep::lock::{LockError, Locks, Still};
use tower_keep::store::Store;

use super::{eventually, on_both, on_redis, patient};

const TTL: Duration = Duration::from_millis(300);

#[tokio::test]
async fn kept_it_is_held_for_as_long_as_the_work_takes() {
    on_both(async |store| {
        // Long enough for a busy machine to extend it in time.
        let ttl = TTL * 5;
        let locks = patient(&store).ttl(ttl).build().unwrap();
        let kept = locks.acquire("a").await.unwrap().keep().unwrap();
        tokio::time::sleep(ttl * 2).await;
        assert_eq!(kept.still(), Still::Held);
        assert!(locks.try_acquire("a").await.unwrap().is_none());
        assert_eq!(kept.release().await.unwrap(), Still::Held);
        assert!(locks.try_acquire("a").await.unwrap().is_some());
    })
    .await;
}

#[tokio::test]
async fn dropped_it_is_given_back() {
    on_both(async |store| {
        let locks = patient(&store).build().unwrap();
        drop(locks.acquire("a").await.unwrap().keep().unwrap());
        eventually("it is free", async || locks.try_acquire("a").await.unwrap().is_some()).await;
    })
    .await;
}

#[tokio::test]
async fn a_lock_that_is_taken_away_is_lost_and_said_to_be() {
    on_both(async |store| {
        let locks = patient(&store).ttl(TTL).build().unwrap();
        let kept = locks.acquire("a").await.unwrap().keep().unwrap();
        assert!(locks.force_release("a").await.unwrap());
        let next = locks.acquire("a").await.unwrap();
        kept.lost().await;
        assert_eq!((kept.still(), kept.release().await.unwrap()), (Still::Lost, Still::Lost));
        assert_eq!(next.release().await.unwrap(), Still::Held, "the next holder's is untouched");
    })
    .await;
}

#[tokio::test]
async fn work_is_cancelled_when_its_lock_is_removed_by_hand() {
    let server = RedisServer::start();
    let locks = patient(&on_redis(&server)).ttl(TTL).build().unwrap();
    struct Dropped(Arc<AtomicBool>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let cancelled = Arc::new(AtomicBool::new(false));
    let guard = Dropped(Arc::clone(&cancelled));
    let (entered, begun) = oneshot::channel();
    let work = tokio::spawn(async move {
        locks
            .run("a", async |_| {
                let _guard = guard;
                entered.send(()).unwrap();
                std::future::pending::<()>().await;
            })
            .await
    });
    begun.await.unwrap();
    let _: u64 = server.cmd("DEL", "keep:lock:default:{a}");
    assert!(matches!(work.await.unwrap(), Err(LockError::Lost)));
    assert!(cancelled.load(Ordering::SeqCst));
}

#[tokio::test]
async fn work_that_ends_fails_or_panics_gives_its_lock_back() {
    on_both(async |store| {
        let locks = patient(&store).build().unwrap();
        assert!(locks.run("a", async |fence| fence > 0).await.unwrap());
        let failed: Result<(), &str> = locks.run("a", async |_| Err("no")).await.unwrap();
        assert_eq!(failed, Err("no"));
        let panicking = locks.clone();
        let task = tokio::spawn(async move { panicking.run("a", async |_| panic!("at work")).await });
        assert!(task.await.unwrap_err().is_panic());
        let _ = locks.acquire("a").await.unwrap().release().await.unwrap();
    })
    .await;
}

/// A store that fails costs the lock only when its whole time passes.
#[tokio::test]
async fn an_outage_shorter_than_its_time_costs_nothing_and_a_longer_one_the_lock() {
    let server = RedisServer::start();
    let store = Store::builder()
        .deadline(Duration::from_millis(50))
        .probe_interval(Duration::from_millis(20))
        .connect(&server.url())
        .unwrap();
    let locks = Locks::builder(store.clone()).ttl(Duration::from_secs(3)).build().unwrap();
    let kept = locks.acquire("a").await.unwrap().keep().unwrap();
    server.freeze();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    server.thaw();
    eventually("redis is back", async || store.health().await.is_up()).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(kept.still(), Still::Held);
    server.freeze();
    kept.lost().await;
    server.thaw();
}

/// The number that a holder had is below that of everybody after it, also if Redis was restarted, or has lost it.
#[tokio::test]
async fn fences_only_grow_over_expiry_force_and_restarts() {
    let mut server = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let store = on_redis(&server);
    let locks = patient(&store).ttl(Duration::from_millis(100)).build().unwrap();
    let mut fences = Vec::new();
    for round in 0..12 {
        let lock = locks.acquire("a").await.unwrap();
        fences.push(lock.fence());
        match round % 4 {
            0 => drop(lock.release().await.unwrap()),
            1 => assert!(locks.force_release("a").await.unwrap()),
            2 => eventually("it is over", async || lock.remaining().is_zero()).await,
            _ => {
                server.restart();
                eventually("redis is back", async || store.health().await.is_up()).await;
            }
        }
    }
    server.tell("FLUSHALL");
    fences.push(locks.acquire("a").await.unwrap().fence());
    assert!(fences.windows(2).all(|pair| pair[0] < pair[1]), "{fences:?}");
}

/// Whatever the store does: it does not answer at all here, and its deadline is far away.
#[tokio::test]
async fn that_its_time_is_over_is_told_then_and_not_when_the_store_answers() {
    let server = RedisServer::start();
    let locks = patient(&on_redis(&server)).ttl(TTL).build().unwrap();
    let kept = locks.acquire("a").await.unwrap().keep().unwrap();
    server.freeze();
    kept.lost().await;
    assert_eq!(kept.still(), Still::Lost);
    server.thaw();
    eventually("it is free", async || locks.try_acquire("a").await.unwrap().is_some()).await;
}

/// Redis carries out what it was sent before it stood still, also for those who are gone.
#[tokio::test]
async fn a_lock_that_was_asked_for_in_vain_is_free_when_redis_is_back() {
    let server = RedisServer::start();
    let impatient = Store::builder().deadline(Duration::from_millis(50)).connect(&server.url()).unwrap();
    let impatient = patient(&impatient).ttl(Duration::from_secs(3600)).build().unwrap();
    drop(impatient.acquire("a").await.unwrap());
    let locks = patient(&on_redis(&server)).build().unwrap();
    for _ in 0..5 {
        eventually("it is free", async || locks.try_acquire("a").await.unwrap().is_some()).await;
        server.freeze();
        assert!(matches!(impatient.try_acquire("a").await, Err(LockError::Store(_))));
        server.thaw();
    }
    eventually("it is free", async || locks.try_acquire("a").await.unwrap().is_some()).await;
}
