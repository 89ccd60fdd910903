//! A lock that is held.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::engine::Inner;
use super::error::LockError;
use crate::store::StoreError;
use crate::store::op::lock::{AskLock, LockAnswer, LockOutcome, LockVerb};

/// Between two tries to give a lock back.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A lock that is held until its time is over, unless it is extended. Give it back with [`release`](Self::release); one that is
/// dropped is given back in the background, as soon as the store answers.
///
/// Nothing can stop a process that stands still from going on after its time. So what the lock protects should refuse writes with a
/// [fencing number](Self::fence) lower than one that it has seen.
#[must_use = "a lock that is dropped is given back"]
pub struct Lock {
    holding: Holding,
    fence: u64,
    until: Instant,
}

/// Whether a lock was still held. The answer to [`Lock::extend`] and [`Lock::release`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Still {
    /// It was.
    Held,
    /// Its time was over, or it was broken; somebody else may have it.
    Lost,
}

impl Lock {
    pub(super) const fn new(holding: Holding, fence: u64, until: Instant) -> Self {
        Self { holding, fence, until }
    }

    /// A number larger than that of every earlier holder of this lock, below 2^53. To be sent with each write that the lock protects.
    #[must_use]
    pub const fn fence(&self) -> u64 {
        self.fence
    }

    /// For how long it is held yet by this process's monotonic clock, which is at most as long as by the store's; zero when its time is
    /// over. It may have been broken before.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Holds it for the whole time again. One script.
    ///
    /// # Errors
    ///
    /// [`LockError::Store`]: it may be extended or not.
    pub async fn extend(&mut self) -> Result<Still, LockError> {
        let asked = Instant::now();
        let still = self.holding.ask(LockVerb::Extend).await?;
        if still == Still::Held {
            self.until = asked + self.holding.locks.ttl;
        }
        Ok(still)
    }

    /// Gives it back, and tells whether it was held until now. One script.
    ///
    /// # Errors
    ///
    /// [`LockError::Store`]: it may be given back; else it ends when its time is over.
    pub async fn release(self) -> Result<Still, LockError> {
        let mut holding = self.holding;
        let still = holding.ask(LockVerb::Release).await;
        if still.is_ok() {
            holding.let_go();
            holding.locks.lines.freed(&holding.ask.key);
        }
        Ok(still?)
    }

    pub(super) fn ttl(&self) -> Duration {
        self.holding.locks.ttl
    }
}

/// Gives back what may be held, when it is dropped.
pub(super) struct Holding {
    locks: Arc<Inner>,
    ask: AskLock,
    armed: bool,
}

impl Holding {
    pub(super) const fn new(locks: Arc<Inner>, ask: AskLock) -> Self {
        Self { locks, ask, armed: true }
    }

    /// There is nothing to give back.
    pub(super) const fn let_go(&mut self) {
        self.armed = false;
    }

    async fn ask(&self, verb: LockVerb) -> Result<Still, StoreError> {
        let answer = self.locks.store.run(AskLock { verb, ..self.ask.clone() }).await?;
        Ok(still(answer))
    }
}

const fn still(answer: LockAnswer) -> Still {
    match answer.outcome {
        LockOutcome::Done => Still::Held,
        LockOutcome::Refused => Still::Lost,
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let release = AskLock { verb: LockVerb::Release, ..self.ask.clone() };
        let locks = Arc::clone(&self.locks);
        if locks.store.run_in_process(&release).is_some() {
            locks.lines.freed(&release.key);
        } else if let Some(runtime) = locks.store.background() {
            runtime.spawn(async move {
                give_back(&locks, &release).await;
                locks.lines.freed(&release.key);
            });
        }
    }
}

/// Gives a lock back as soon as the store answers: one that was asked for while it did not may be taken all the same.
async fn give_back(locks: &Inner, release: &AskLock) {
    let until = Instant::now() + locks.ttl;
    let mut pause = FIRST_PAUSE;
    while let Err(error) = locks.store.run(release).await {
        if Instant::now() + pause >= until {
            tracing::debug!(
                kind = error.kind().as_str(),
                "a lock could not be given back; it ends by itself"
            );
            return;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").field("fence", &self.fence).finish_non_exhaustive()
    }
}
