//! The embedded store: one process, bounded, expiring, with the same semantics as Redis.

mod blobs;
mod db;
mod values;

use std::sync::{Arc, Mutex, PoisonError};

pub use db::{Db, Value};

use super::key::KeyPrefix;
use super::operation::{Applied, Batch};
use crate::clock::Clock;

/// The bounds of the embedded store. What would exceed them is refused with
/// [`StoreErrorKind::Full`](super::StoreErrorKind::Full) after expired entries have been dropped; nothing that lives is evicted, so
/// that no visitor can push another one's session out. The response cache has a bound of its own, and there new responses push
/// out those that nobody asked for lately.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct MemoryLimits {
    /// The number of keys. Default 100,000.
    pub entries: usize,
    /// The bytes of all keys and values, without the maps' own overhead (roughly as much again for small
    /// values). Default 64 MiB.
    pub bytes: usize,
    /// The bytes of all keys and values of the response cache. Default 64 MiB.
    pub cache_bytes: usize,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self::new(100_000, 64 << 20)
    }
}

impl MemoryLimits {
    /// Bounds of `entries` keys and `bytes` bytes.
    #[must_use]
    pub const fn new(entries: usize, bytes: usize) -> Self {
        Self { entries, bytes, cache_bytes: 64 << 20 }
    }

    /// The same with another bound for the response cache, in bytes. A response needs room for its body and its head.
    #[must_use]
    pub const fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }
}

#[derive(Debug)]
pub(super) struct Memory {
    db: Mutex<Db>,
    clock: Clock,
}

impl Memory {
    pub(super) fn new(limits: MemoryLimits, clock: Clock) -> Arc<Self> {
        Arc::new(Self { db: Mutex::new(Db::new(limits)), clock })
    }

    /// Runs a whole batch under one lock, so that it is atomic here.
    pub(super) fn execute(&self, prefix: &KeyPrefix, batch: &impl Batch) -> Vec<Applied> {
        self.run(|db| {
            let mut replies = Vec::new();
            batch.apply_all(prefix, db, &mut replies);
            replies
        })
    }

    /// Runs `work` under the lock, at the time of now.
    pub(super) fn run<T>(&self, work: impl FnOnce(&mut Db) -> T) -> T {
        // A panic while the lock was held cannot leave an entry half-written: each is put in place whole.
        let mut db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        db.set_time(self.clock.now_us());
        work(&mut db)
    }

    pub(super) fn usage(&self) -> (usize, usize) {
        self.db.lock().unwrap_or_else(PoisonError::into_inner).usage()
    }
}
