//! Settings of `RateLimiter`, checked when they are built.

use std::sync::Arc;
use std::time::Duration;

use super::ahead::Ahead;
use super::engine::{Configured, Engine, Hook, RateLimiter};
use super::error::LimitConfigError;
use super::event::LimitEvent;
use super::limit::{Limit, LimitMode};
use super::refusals::Refusals;
use super::warnings::Warnings;
use crate::clock::Clock;
use crate::store::key::{LimitKeys, Slot};
use crate::store::{MemoryLimits, Part, Store};

const MAX_LIMITS: usize = 16;
const MAX_REMEMBERED: usize = 1_000_000;
const MAX_DEADLINE: Duration = Duration::from_secs(60);
/// The bounds of what one process counts for [`FailurePolicy::Local`](super::FailurePolicy::Local).
const LOCAL: MemoryLimits = MemoryLimits::new(10_000, 4 << 20);

/// What the store must have for it.
const PART: Part = Part { name: "limits", is_kept: true, commands: &["GET", "SET"] };

/// Builds a [`RateLimiter`].
#[must_use]
pub struct RateLimiterBuilder {
    store: Store,
    namespace: String,
    limits: Vec<Limit>,
    slot: Slot,
    deadline: Duration,
    remembered: usize,
    ahead: Option<(u64, Duration)>,
    hook: Option<Hook>,
}

impl RateLimiterBuilder {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            namespace: "default".to_owned(),
            limits: Vec::new(),
            slot: Slot::default(),
            deadline: Duration::from_millis(50),
            remembered: 10_000,
            ahead: None,
            hook: None,
        }
    }

    /// The word in keys that sets this limiter's counts apart: 1 to 32 of `a-z 0-9 _ -`. Default `default`.
    ///
    /// Limiters with the same namespace on the same store share their counts, wherever they run: two that both have a limit of the same
    /// name and quota charge **one** count for the same key. That is meant for the processes of one site. Limiters for different
    /// purposes, such as two routes, need a namespace each; whoever leaves it out shares `default` with all who do so.
    pub fn namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        self
    }

    /// Adds a limit; there may be 16. A request is admitted if all of them admit it, and charged to all or none.
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limits.push(limit);
        self
    }

    /// Which counts share a Redis Cluster slot. Default [`Slot::Namespace`]: limits of different subjects can be decided together,
    /// and all counts of this namespace lie on one node. A change of it begins all counts anew.
    pub const fn slot(mut self, slot: Slot) -> Self {
        self.slot = slot;
        self
    }

    /// How long a request may wait for the store before the limits' failure policies decide, up to 60 s. The store's own deadline
    /// holds as well. Default 50 ms.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How many refusals this process remembers, up to a million; 0: none. Each takes about 300 bytes. Default 10,000.
    pub const fn remembered_refusals(mut self, refusals: usize) -> Self {
        self.remembered = refusals;
        self
    }

    /// Charges for `requests` requests at once (2 to 10,000) and admits the others without asking, for up to `keep` (at most 60 s) and
    /// within the same window: for a limiter whose keys are few and always busy. Default: each request is charged by itself.
    ///
    /// Never more than the limit is admitted in all. What one process does not use in time is lost, so a limit should be large beside
    /// `requests` times the number of processes; a bucket can admit what it kept on top of a burst. When so many are not there any more,
    /// requests are charged one by one. Up to 1,000 keys at once; the embedded store needs none of it.
    pub const fn charge_ahead(mut self, requests: u64, keep: Duration) -> Self {
        self.ahead = Some((requests, keep));
        self
    }

    /// Calls `hook` with each event, on the task that met it: it must be quick and must not block.
    pub fn on_event(mut self, hook: impl Fn(&LimitEvent) + Send + Sync + 'static) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// The [`LimitConfigError`] that says which setting cannot work.
    pub fn build(self) -> Result<RateLimiter, LimitConfigError> {
        self.store.serves(&PART);
        check_word(&self.namespace)?;
        if !(1..=MAX_LIMITS).contains(&self.limits.len()) {
            return Err(LimitConfigError::Count);
        }
        if self.deadline.is_zero() || self.deadline > MAX_DEADLINE {
            return Err(LimitConfigError::OutOfRange("deadline"));
        }
        if self.remembered > MAX_REMEMBERED {
            return Err(LimitConfigError::OutOfRange("remembered_refusals"));
        }
        if let Some((requests, keep)) = self.ahead
            && (!(2..=10_000).contains(&requests) || keep.is_zero() || keep > MAX_DEADLINE)
        {
            return Err(LimitConfigError::OutOfRange("charge_ahead"));
        }
        if self.ahead.is_some() && self.limits.iter().any(|limit| limit.mode == LimitMode::Shadow) {
            return Err(LimitConfigError::ShadowAhead);
        }
        let mut limits: Vec<Configured> = Vec::with_capacity(self.limits.len());
        for limit in self.limits {
            check_word(&limit.name)?;
            if limits.iter().any(|other| other.limit.name == limit.name) {
                return Err(LimitConfigError::Duplicate(limit.name.to_string()));
            }
            let rule = limit
                .quota
                .rule()
                .map_err(|error| LimitConfigError::Quota { limit: limit.name.to_string(), error })?;
            let words = [&self.namespace, &*limit.name, &rule.word()];
            let keys = LimitKeys::new(self.store.prefix(), words, self.slot);
            limits.push(Configured { keys, rule, limit });
        }
        Ok(RateLimiter(Arc::new(Engine {
            local: Store::in_memory_with(LOCAL, Clock::system()).with_prefix(self.store.prefix().clone()),
            store: self.store,
            namespace: self.namespace,
            limits,
            slot: self.slot,
            deadline: self.deadline,
            refusals: Refusals::new(self.remembered),
            ahead: self.ahead.map(|(requests, keep)| Ahead::new(requests, keep)),
            hook: self.hook,
            warnings: Warnings::default(),
        })))
    }
}

pub(super) fn check_word(word: &str) -> Result<(), LimitConfigError> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    let fits = (1..=32).contains(&word.len()) && word.bytes().all(allowed);
    if fits { Ok(()) } else { Err(LimitConfigError::Name) }
}

impl std::fmt::Debug for RateLimiterBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RateLimiterBuilder")
            .field("namespace", &self.namespace)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
