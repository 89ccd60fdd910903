//! Whether a server holds writes back (`CLIENT PAUSE WRITE`, the planned failover of a Cluster's master). It then holds back all that
//! follows them on their connection, reads too.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The writes that are under way on one connection.
pub(super) struct Writes {
    awaited: AtomicU32,
    /// Nobody waits any more for the answer to one, which may be still to come.
    abandoned: AtomicBool,
    opened: Instant,
    /// When the first of them began, or the last one before was answered: in milliseconds after `opened`.
    since: AtomicU64,
}

/// A write that waits for its answer.
#[must_use = "a write that is dropped was not answered"]
pub(super) struct Write<'a> {
    writes: &'a Writes,
    is_answered: bool,
}

impl Writes {
    pub(super) fn new() -> Self {
        let (awaited, abandoned, since) = (AtomicU32::new(0), AtomicBool::new(false), AtomicU64::new(0));
        Self { awaited, abandoned, opened: Instant::now(), since }
    }

    pub(super) fn begin(&self) -> Write<'_> {
        if self.awaited.fetch_add(1, Ordering::AcqRel) == 0 && !self.abandoned.load(Ordering::Acquire) {
            self.restart();
        }
        Write { writes: self, is_answered: false }
    }

    /// Whether there are some, and none has been answered for so long.
    pub(super) fn are_held(&self, long: Duration) -> bool {
        let any = self.awaited.load(Ordering::Acquire) > 0 || self.abandoned.load(Ordering::Acquire);
        any && u128::from(self.age().saturating_sub(self.since.load(Ordering::Acquire))) >= long.as_millis()
    }

    /// All answers have come.
    pub(super) fn forget_abandoned(&self) {
        self.abandoned.store(false, Ordering::Release);
    }

    fn restart(&self) {
        self.since.store(self.age(), Ordering::Release);
    }

    fn age(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Write<'_> {
    /// Answers come in order: with this one, those to writes that were abandoned before it was sent have come.
    pub(super) fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        self.writes.abandoned.store(!self.is_answered, Ordering::Release);
        self.writes.awaited.fetch_sub(1, Ordering::AcqRel);
        if self.is_answered {
            self.writes.restart();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn writes_are_held_when_none_is_answered_for_a_while() {
        let writes = Writes::new();
        tokio::time::advance(100 * MS).await;
        assert!(!writes.are_held(MS), "there is none");
        let (first, second) = (writes.begin(), writes.begin());
        tokio::time::advance(9 * MS).await;
        assert!(!writes.are_held(10 * MS));
        first.answered();
        tokio::time::advance(9 * MS).await;
        assert!(!writes.are_held(10 * MS), "one was answered since");
        tokio::time::advance(MS).await;
        assert!(writes.are_held(10 * MS));
        drop(second);
        assert!(writes.are_held(10 * MS), "its answer is still to come");
        let third = writes.begin();
        assert!(writes.are_held(10 * MS), "behind the one that nobody waits for");
        third.answered();
        tokio::time::advance(100 * MS).await;
        assert!(!writes.are_held(MS));
        drop(writes.begin());
        tokio::time::advance(10 * MS).await;
        assert!(writes.are_held(10 * MS));
        writes.forget_abandoned();
        assert!(!writes.are_held(MS));
    }
}
