//! Taking locks, and breaking them.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::builder::LocksBuilder;
use super::error::LockError;
use super::guard::{Holding, Lock};
use super::line::Lines;
use crate::clock::millis;
use crate::race::{First, race};
use crate::random;
use crate::store::Store;
use crate::store::key::{Key, KeySpace};
use crate::store::op::lock::{AskLock, LockOutcome, LockVerb};

/// Locks by name, over all processes. Cheap to clone. See the [module](super).
#[derive(Clone)]
pub struct Locks(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) store: Store,
    pub(super) space: KeySpace,
    pub(super) ttl: Duration,
    pub(super) wait: Duration,
    pub(super) retry: Duration,
    pub(super) lines: Lines,
}

/// What one look at a lock found.
enum Look {
    Taken(Lock),
    /// Somebody else holds it, for so long unless it is extended; zero when nobody knows.
    Held(Duration),
}

impl Locks {
    /// Settings of locks.
    pub fn builder(store: Store) -> LocksBuilder {
        LocksBuilder::new(store)
    }

    fn key(&self, name: &str) -> Result<Key, LockError> {
        self.0.space.of(name).ok_or(LockError::Name)
    }

    /// Takes a lock if it is free; `None` when somebody holds it, also if that is this process. One script.
    ///
    /// # Errors
    ///
    /// [`LockError::Store`], which does not mean that it is held; [`LockError::Name`], [`LockError::Randomness`].
    ///
    /// # Cancel safety
    ///
    /// A lock that may have been taken for a dropped future is given back in the background, as far as that is possible; else it ends
    /// when its time is over.
    pub async fn try_acquire(&self, name: &str) -> Result<Option<Lock>, LockError> {
        match self.look(&self.key(name)?).await? {
            Look::Taken(lock) => Ok(Some(lock)),
            Look::Held(_) => Ok(None),
        }
    }

    /// Takes a lock, and waits for it for up to `wait`. Within this process whoever came first is first; among processes chance
    /// decides, and after 32 times in a row within one process others have theirs. One script for each look.
    ///
    /// # Errors
    ///
    /// [`LockError::Timeout`] when others held it all the time; [`LockError::Store`] as soon as the store fails; [`LockError::Name`],
    /// [`LockError::Randomness`].
    ///
    /// # Cancel safety
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub async fn acquire(&self, name: &str) -> Result<Lock, LockError> {
        let key = self.key(name)?;
        let acquired = self.wait_for(&key, Instant::now() + self.0.wait).await;
        if matches!(acquired, Err(LockError::Timeout)) {
            count("timeout");
        }
        acquired
    }

    async fn wait_for(&self, key: &Key, until: Instant) -> Result<Lock, LockError> {
        if self.0.lines.is_empty(key)
            && let Look::Taken(lock) = self.look(key).await?
        {
            return Ok(lock);
        }
        let place = self.0.lines.enter(key);
        let Ok(_turn) = timeout_at(until, place.line.turn.lock()).await else {
            // The one before may be a future that nobody polls.
            return match self.look(key).await? {
                Look::Taken(lock) => Ok(lock),
                Look::Held(_) => Err(LockError::Timeout),
            };
        };
        let mut handed_over = false;
        loop {
            let held = match self.look(key).await? {
                Look::Taken(lock) => {
                    place.line.taken(handed_over);
                    return Ok(lock);
                }
                Look::Held(held) => held,
            };
            let now = Instant::now();
            if now >= until {
                return Err(LockError::Timeout);
            }
            let pause = (self.0.retry + random::up_to(self.0.retry)).min(until - now);
            // It may end before, with its holder.
            let pause = if held.is_zero() { pause } else { pause.min(held) };
            handed_over =
                place.line.may_hand_over() && timeout(pause, place.line.freed.notified()).await.is_ok();
            if !handed_over && !place.line.may_hand_over() {
                place.line.taken(false);
                tokio::time::sleep(pause).await;
            }
        }
    }

    async fn look(&self, key: &Key) -> Result<Look, LockError> {
        let ask = AskLock {
            verb: LockVerb::Take,
            key: key.clone(),
            token: random::token()?,
            ttl_ms: millis(self.0.ttl),
            not_after_ms: self.0.store.not_after_ms(),
        };
        let asked = Instant::now();
        // From here on it may be ours, whatever becomes of the answer: dropped, it is given back.
        let mut holding = Holding::new(Arc::clone(&self.0), ask.clone());
        let answer = self.0.store.run(ask).await?;
        if answer.outcome == LockOutcome::Refused {
            holding.let_go();
            return Ok(Look::Held(Duration::from_millis(answer.held_ms)));
        }
        let until = asked + self.0.ttl;
        if until <= Instant::now() {
            return Ok(Look::Held(Duration::ZERO)); // the answer took as long as the lock lives: it is given back
        }
        count("acquired");
        Ok(Look::Taken(Lock::new(holding, answer.fence, until)))
    }

    /// Does work while it holds a lock: [acquires](Self::acquire) it, hands its fencing number to `work`, extends it each third of its
    /// time, and gives it back when the work is done, has failed or panics. When the lock is lost, the work is cancelled: its future is
    /// dropped at its next await.
    ///
    /// ```
    /// use tower_keep::lock::Locks;
    /// use tower_keep::store::Store;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let locks = Locks::builder(Store::in_memory()).build()?;
    /// let fence = locks.run("nightly-report", async |fence| fence).await?;
    /// assert!(fence > 0);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`LockError::Lost`]; otherwise as [`acquire`](Self::acquire) and [`Lock::keep`].
    pub async fn run<T, F, Fut>(&self, name: &str, work: F) -> Result<T, LockError>
    where
        F: FnOnce(u64) -> Fut,
        Fut: Future<Output = T>,
    {
        let kept = self.acquire(name).await?.keep()?;
        match race(work(kept.fence()), kept.lost()).await {
            First::Left(done) => {
                // It ends by itself; what the work did stays done.
                if let Err(error) = kept.release().await {
                    tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "a lock could not be given back"
                    );
                }
                Ok(done)
            }
            First::Right(()) => Err(LockError::Lost),
        }
    }

    /// Takes a lock away from whoever holds it; tells whether somebody did. For administrators: the holder goes on until it notices, and
    /// only its old fencing number keeps it from writing. One script.
    ///
    /// # Errors
    ///
    /// [`LockError::Store`], [`LockError::Name`].
    pub async fn force_release(&self, name: &str) -> Result<bool, LockError> {
        let key = self.key(name)?;
        let ask = AskLock {
            verb: LockVerb::Break,
            key: key.clone(),
            token: "".into(),
            ttl_ms: 0,
            not_after_ms: None,
        };
        let broken = self.0.store.run(ask).await?.outcome == LockOutcome::Done;
        if broken {
            count("broken");
            self.0.lines.freed(&key);
        }
        Ok(broken)
    }
}

pub(super) fn count(what: &'static str) {
    crate::metric::count("tower_keep_locks_total", what);
}

impl fmt::Debug for Locks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locks").field("ttl", &self.0.ttl).field("wait", &self.0.wait).finish_non_exhaustive()
    }
}
