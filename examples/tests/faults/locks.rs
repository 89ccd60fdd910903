//! A holder of a lock that stands still.

use std::time::{Duration, Instant};

use keep_testing::RedisServer;
use tower_keep::lock::{Locks, Still};
use tower_keep::store::Store;

use crate::program::eventually;
use crate::row::{Row, ms};

/// What takes work of a lock's holder, and nothing of who held it before: the last number that it saw.
#[derive(Default)]
struct Fenced(u64);

impl Fenced {
    fn takes(&mut self, fence: u64) -> bool {
        let takes = fence >= self.0;
        self.0 = self.0.max(fence);
        takes
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f42_a_holder_that_stands_still() {
    let server = RedisServer::start();
    let locks = |_| {
        let store = Store::builder().deadline(Duration::from_secs(5)).connect(&server.url()).unwrap();
        Locks::builder(store).ttl(Duration::from_millis(300)).build().unwrap()
    };
    let [one, other] = [0, 1].map(locks);
    let (mut accepted_twice, mut rounds) = (0, 0);
    let mut resource = Fenced::default();
    let mut waited = Duration::ZERO;
    for _ in 0..5 {
        // The first holds it and does nothing for longer than it lives.
        let mut first = one.acquire("resource").await.unwrap();
        assert!(resource.takes(first.fence()));
        let begun = Instant::now();
        let second = tokio::sync::Mutex::new(None);
        eventually("the second holds it", async || {
            *second.lock().await = other.try_acquire("resource").await.unwrap();
            second.lock().await.is_some()
        })
        .await;
        waited = waited.max(begun.elapsed());
        let second = second.into_inner().unwrap();
        assert!(second.fence() > first.fence());
        assert!(resource.takes(second.fence()));
        accepted_twice += u64::from(resource.takes(first.fence()));
        assert_ne!(first.extend().await.unwrap(), Still::Held, "whoever extends hears it");
        assert_ne!(first.release().await.unwrap(), Still::Held, "and releases nobody else's");
        assert!(other.try_acquire("resource").await.unwrap().is_none(), "the second holds it still");
        assert_eq!(second.release().await.unwrap(), Still::Held);
        rounds += 1;
    }
    assert_eq!(accepted_twice, 0);
    Row::new(42, "A holder of a lock stands still for longer than the lock lives", "locks", "no two holders are accepted by what is fenced; an extension fails, typed")
        .saw("the first hears at its next extension that it has lost the lock; what it writes is refused by its number")
        .figure(format!("{rounds} rounds, {accepted_twice} accepted twice; the next holder at most {} later (the lock lives 300 ms)", ms(waited)))
        .instead("a process that is frozen by `SIGSTOP` is in `a_frozen_holder_cannot_write_with_its_old_number`; here the holder does nothing, which is the same to Redis")
        .write();
}
