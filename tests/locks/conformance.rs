//! What a lock must do, as the conformance suites of others ask it, and the settings.

use std::time::Duration;

use keep_testing::RedisServer;
use tower_keep::lock::{LockConfigError, LockError, Locks, Still};
use tower_keep::store::{Store, StoreErrorKind};

use super::{eventually, on_both, on_redis, patient};

#[tokio::test]
async fn one_holds_it_and_only_that_one_gives_it_back() {
    on_both(async |store| {
        let locks = patient(&store).build().unwrap();
        let first = locks.try_acquire("k1").await.unwrap().unwrap();
        let second = locks.try_acquire("k2").await.unwrap().unwrap();
        assert!(locks.try_acquire("k1").await.unwrap().is_none(), "not even for the one who holds it");
        assert_eq!(first.release().await.unwrap(), Still::Held);
        let again = locks.try_acquire("k1").await.unwrap().unwrap();
        assert_eq!(second.release().await.unwrap(), Still::Held);
        drop(again);
        eventually("what is dropped is given back", async || {
            locks.try_acquire("k1").await.unwrap().is_some()
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn what_is_over_is_free_and_not_given_back_from_the_next_holder() {
    on_both(async |store| {
        let locks = patient(&store).ttl(Duration::from_millis(100)).build().unwrap();
        let mut old = locks.acquire("a").await.unwrap();
        let new = locks.acquire("a").await.unwrap();
        assert!(new.fence() > old.fence());
        assert!(old.remaining().is_zero());
        assert_eq!(old.extend().await.unwrap(), Still::Lost);
        assert_eq!(old.release().await.unwrap(), Still::Lost);
        assert_eq!(new.release().await.unwrap(), Still::Held);
    })
    .await;
}

#[tokio::test]
async fn extended_it_is_held_on() {
    on_both(async |store| {
        let locks = Locks::builder(store).ttl(Duration::from_millis(400)).build().unwrap();
        let mut lock = locks.acquire("a").await.unwrap();
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(150)).await;
            assert_eq!(lock.extend().await.unwrap(), Still::Held);
            assert!(locks.try_acquire("a").await.unwrap().is_none());
        }
    })
    .await;
}

#[tokio::test]
async fn an_administrator_can_break_it() {
    on_both(async |store| {
        let locks = patient(&store).build().unwrap();
        assert!(!locks.force_release("a").await.unwrap(), "nobody holds it");
        let old = locks.acquire("a").await.unwrap();
        assert!(locks.force_release("a").await.unwrap());
        let new = locks.try_acquire("a").await.unwrap().unwrap();
        assert!(new.fence() > old.fence());
        assert_eq!(old.release().await.unwrap(), Still::Lost);
        assert_eq!(new.release().await.unwrap(), Still::Held);
    })
    .await;
}

#[tokio::test]
async fn who_waits_in_vain_is_told_after_its_time_and_not_before() {
    on_both(async |store| {
        let locks = Locks::builder(store).wait(Duration::from_millis(100)).build().unwrap();
        let _held = locks.acquire("a").await.unwrap();
        let begun = std::time::Instant::now();
        assert!(matches!(locks.acquire("a").await, Err(LockError::Timeout)));
        assert!(begun.elapsed() >= Duration::from_millis(100));
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_is_down_is_not_a_lock_that_is_held() {
    let mut server = RedisServer::start();
    let store = Store::connect(&server.url()).unwrap();
    let locks = Locks::builder(store).build().unwrap();
    server.stop();
    for result in [locks.try_acquire("a").await.map(drop), locks.acquire("a").await.map(drop)] {
        let Err(LockError::Store(error)) = result else { panic!("{result:?}") };
        assert!(error.is_outage());
    }
}

#[tokio::test]
async fn something_else_under_the_key_is_told() {
    let server = RedisServer::start();
    let locks = patient(&on_redis(&server)).build().unwrap();
    let _: u64 = server.cmd("SADD", &["keep:lock:default:{a}", "x"]);
    let Err(LockError::Store(error)) = locks.try_acquire("a").await else { panic!("it is no lock") };
    assert_eq!(error.kind(), StoreErrorKind::WrongType);
    let _: () = server.cmd("SET", &["keep:lock:default:{a}", "somebody else's"]);
    assert!(locks.try_acquire("a").await.unwrap().is_none(), "whatever it is, it is held");
    assert!(locks.force_release("a").await.unwrap());
    assert!(locks.try_acquire("a").await.unwrap().is_some());
}

#[tokio::test]
async fn settings_that_cannot_work_are_found_when_they_are_built() {
    let ms = Duration::from_millis;
    let build = || Locks::builder(Store::in_memory());
    for (builder, error) in [
        (build().ttl(Duration::ZERO), LockConfigError::OutOfRange("ttl")),
        (build().ttl(ms(86_400_001)), LockConfigError::OutOfRange("ttl")),
        (build().wait(Duration::ZERO), LockConfigError::OutOfRange("wait")),
        (build().retry(Duration::ZERO), LockConfigError::OutOfRange("retry")),
        (build().wait(ms(50)).retry(ms(50)), LockConfigError::RetryBeyondWait),
        (build().namespace("a:b"), LockConfigError::Namespace),
        (build().namespace(""), LockConfigError::Namespace),
    ] {
        assert_eq!(builder.build().unwrap_err(), error);
    }
    let locks = build().build().unwrap();
    for name in ["", &"x".repeat(129)] {
        assert!(matches!(locks.try_acquire(name).await, Err(LockError::Name)));
    }
}
