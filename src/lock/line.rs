//! Who waits for a lock in this process: one after another, so that only the first of each line asks the store.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::store::key::Key;

/// So many times in a row a lock may go from hand to hand within this process. Then another process has a chance.
const MOST_IN_A_ROW: u32 = 32;

#[derive(Debug, Default)]
pub(super) struct Lines(Mutex<HashMap<Key, (Arc<Line>, usize)>>);

#[derive(Debug, Default)]
pub(super) struct Line {
    /// First come, first served.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// Somebody in this process gave the lock back.
    pub(super) freed: Notify,
    in_a_row: AtomicU32,
}

/// A place in a line.
#[derive(Debug)]
pub(super) struct Place<'a> {
    lines: &'a Lines,
    key: Key,
    pub(super) line: Arc<Line>,
}

impl Lines {
    /// Nothing panics while the lock is held.
    fn map(&self) -> MutexGuard<'_, HashMap<Key, (Arc<Line>, usize)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self, key: &Key) -> bool {
        !self.map().contains_key(key)
    }

    pub(super) fn enter(&self, key: &Key) -> Place<'_> {
        let mut map = self.map();
        let (line, waiting) = map.entry(key.clone()).or_default();
        *waiting += 1;
        Place { lines: self, key: key.clone(), line: Arc::clone(line) }
    }

    /// Tells the first in line that the lock may be free.
    pub(super) fn freed(&self, key: &Key) {
        if let Some((line, _)) = self.map().get(key) {
            line.freed.notify_one();
        }
    }
}

impl Line {
    /// Whether the next one may be woken by the one before.
    pub(super) fn may_hand_over(&self) -> bool {
        self.in_a_row.load(Ordering::Relaxed) < MOST_IN_A_ROW
    }

    /// Counts who had the lock from hand to hand; others begin the count anew.
    pub(super) fn taken(&self, handed_over: bool) {
        let count = if handed_over { self.in_a_row.load(Ordering::Relaxed) + 1 } else { 0 };
        self.in_a_row.store(count, Ordering::Relaxed);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut map = self.lines.map();
        if let Some((_, waiting)) = map.get_mut(&self.key) {
            *waiting -= 1;
            if *waiting == 0 {
                map.remove(&self.key);
            }
        }
    }
}
