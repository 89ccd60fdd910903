//! Settings of locks.

use std::sync::Arc;
use std::time::Duration;

use super::engine::{Inner, Locks};
use super::error::LockConfigError;
use super::line::Lines;
use crate::store::key::KeySpace;
use crate::store::{Part, Store};

const DAY: Duration = Duration::from_secs(86_400);

/// What the store must have for it.
const PART: Part = Part { name: "locks", is_kept: true, commands: &["GET", "SET", "PEXPIRE", "PTTL"] };

/// Builds [`Locks`]; [`build`](Self::build) checks everything.
#[derive(Clone, Debug)]
#[must_use]
pub struct LocksBuilder {
    store: Store,
    namespace: String,
    ttl: Duration,
    wait: Duration,
    retry: Duration,
}

impl LocksBuilder {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            namespace: "default".to_owned(),
            ttl: Duration::from_secs(30),
            wait: Duration::from_secs(5),
            retry: Duration::from_millis(50),
        }
    }

    /// What sets these locks apart from others of the same names: 1 to 32 of `a-z 0-9 _ -`. Default `default`.
    pub fn namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        self
    }

    /// For how long a lock is held unless it is extended, 100 ms to one day: longer than the work takes, or [kept](super::Lock::keep).
    /// Default 30 s.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// For how long [`acquire`](Locks::acquire) waits, up to one day. Default 5 s.
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// The pause between two looks at a lock that another process holds, and up to as much again by chance. At least 1 ms and shorter
    /// than `wait`. Default 50 ms.
    pub const fn retry(mut self, retry: Duration) -> Self {
        self.retry = retry;
        self
    }

    /// The locks.
    ///
    /// # Errors
    ///
    /// The [`LockConfigError`] that says which setting cannot work.
    pub fn build(self) -> Result<Locks, LockConfigError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
        if !(1..=32).contains(&self.namespace.len()) || !self.namespace.bytes().all(allowed) {
            return Err(LockConfigError::Namespace);
        }
        if self.ttl < Duration::from_millis(100) || self.ttl > DAY {
            return Err(LockConfigError::OutOfRange("ttl"));
        }
        if self.wait.is_zero() || self.wait > DAY {
            return Err(LockConfigError::OutOfRange("wait"));
        }
        if self.retry < Duration::from_millis(1) {
            return Err(LockConfigError::OutOfRange("retry"));
        }
        if self.retry >= self.wait {
            return Err(LockConfigError::RetryBeyondWait);
        }
        self.store.serves(&PART);
        Ok(Locks(Arc::new(Inner {
            space: KeySpace::tagged(self.store.prefix(), &["lock", &self.namespace]),
            store: self.store,
            ttl: self.ttl,
            wait: self.wait,
            retry: self.retry,
            lines: Lines::default(),
        })))
    }
}
