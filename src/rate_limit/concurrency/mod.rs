//! How many at once: places that are held for a time, renewed, and given back.

mod kept;

use std::sync::Arc;
use std::time::Duration;

pub use kept::Kept;

use super::builder::check_word;
use super::error::{LimitConfigError, LimitError};
use super::key::LimitKey;
use super::limit::FailurePolicy;
use crate::clock::{Clock, micros};
use crate::random;
use crate::store::key::Key;
use crate::store::op::{Lease, LeaseAnswer, LeaseOutcome, LeaseVerb};
use crate::store::{MemoryLimits, Part, Store, StoreError};

const MAX_TTL: Duration = Duration::from_secs(86_400);
const MAX_PLACES: u64 = 10_000;

/// What the store must have for it.
const PART: Part = Part {
    name: "places",
    is_kept: true,
    commands: &["ZADD", "ZREM", "ZSCORE", "ZCARD", "ZRANGE", "ZRANGEBYSCORE", "ZREMRANGEBYSCORE", "PEXPIRE"],
};

/// A limit on how many may be at work at once for one subject, over all processes. Cheap to clone.
///
/// Each holds a place for a time and renews it while it works; a place that nobody renews is free when its time is over, so a
/// process that dies blocks nobody for longer. A clock that steps back prolongs no place beyond its time; one that steps
/// forward frees them all, once.
///
/// ```
/// use std::time::Duration;
/// use tower_keep::rate_limit::{Acquired, Concurrency};
/// use tower_keep::store::Store;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let exports = Concurrency::new(Store::in_memory(), "exports", 1, Duration::from_secs(30))?;
/// let Acquired::Held(permit) = exports.acquire("alice").await? else { return Ok(()) };
/// assert!(matches!(exports.acquire("alice").await?, Acquired::Full { .. }));
/// permit.renew().await?; // before the 30 seconds are over, as often as it takes
/// let kept = permit.keep()?; // or in the background, until the guard is dropped
/// kept.release().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Concurrency {
    store: Store,
    local: Store,
    kind: Arc<str>,
    most: u64,
    ttl: Duration,
    deadline: Duration,
    failure: FailurePolicy,
}

/// The answer to [`Concurrency::acquire`].
#[derive(Debug)]
#[must_use]
pub enum Acquired {
    /// There was a place.
    Held(Permit),
    /// All places are taken.
    Full {
        /// When the first place is free unless it is renewed: the latest time by which to try again.
        retry_after: Duration,
    },
}

/// The answer to [`Permit::renew`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Renewed {
    /// The place is held for the whole time again.
    Held,
    /// It was not renewed in time; somebody else may have it.
    Lost,
}

/// A place. Give it back with [`release`](Self::release); one that is merely dropped is free when its time is over.
/// [`keep`](Self::keep) renews it in the background and gives it back by itself.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    /// Where the place is; none when the store failed and the policy is open.
    store: Option<Store>,
    lease: Lease,
    deadline: Duration,
}

impl Concurrency {
    /// `places` for each subject, 1 to 10,000, each held for `ttl` (1 ms to one day) unless it is renewed. `name`: 1 to 32 of
    /// `a-z 0-9 _ -`; limits of the same name share their places.
    ///
    /// # Errors
    ///
    /// The [`LimitConfigError`] that says which setting cannot work.
    pub fn new(store: Store, name: &str, places: u64, ttl: Duration) -> Result<Self, LimitConfigError> {
        check_word(name)?;
        if !(1..=MAX_PLACES).contains(&places) {
            return Err(LimitConfigError::OutOfRange("places"));
        }
        if ttl < Duration::from_millis(1) || ttl > MAX_TTL {
            return Err(LimitConfigError::OutOfRange("ttl"));
        }
        store.serves(&PART);
        let local = Store::in_memory_with(MemoryLimits::new(10_000, 4 << 20), Clock::system())
            .with_prefix(store.prefix().clone());
        let (kind, deadline) = (format!("lease:{name}").into(), Duration::from_millis(50));
        Ok(Self { store, local, kind, most: places, ttl, deadline, failure: FailurePolicy::default() })
    }

    /// What happens when the store fails. Default [`FailurePolicy::Open`].
    #[must_use]
    pub const fn on_failure(mut self, policy: FailurePolicy) -> Self {
        self.failure = policy;
        self
    }

    /// How long a call may wait for the store. Default 50 ms.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Takes a place if there is one. One round trip.
    ///
    /// # Errors
    ///
    /// [`LimitError::Store`] when the store fails and the policy is [`FailurePolicy::Closed`], [`LimitError::EmptyKey`].
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, a place may be taken until its time is over.
    pub async fn acquire(&self, key: impl Into<LimitKey> + Send) -> Result<Acquired, LimitError> {
        let key = key.into();
        if key.is_empty() {
            return Err(LimitError::EmptyKey);
        }
        let lease = Lease {
            verb: LeaseVerb::Take,
            key: Key::new(self.store.prefix(), &self.kind, key.as_str()),
            token: random::token().map_err(|_| LimitError::Randomness)?,
            most: self.most,
            ttl_us: micros(self.ttl),
        };
        let permit = |store| Permit { store, lease: lease.clone(), deadline: self.deadline };
        let (store, answer) = match send(&self.store, &lease, self.deadline).await {
            Ok(answer) => (&self.store, answer),
            Err(error) => {
                crate::metric::count("tower_keep_limit_failures_total", self.failure.as_str());
                let local = match self.failure {
                    FailurePolicy::Closed => return Err(error.into()),
                    FailurePolicy::Local => self.local.run_in_process(&lease).and_then(Result::ok),
                    FailurePolicy::Open => None,
                };
                match local {
                    Some(answer) => (&self.local, answer),
                    // Open; or a local memory that is full: a failure is never a refusal.
                    None => return Ok(Acquired::Held(permit(None))),
                }
            }
        };
        Ok(match answer.outcome {
            LeaseOutcome::Done => Acquired::Held(permit(Some(store.clone()))),
            LeaseOutcome::Refused => Acquired::Full { retry_after: Duration::from_micros(answer.next_us) },
        })
    }
}

impl Permit {
    /// Holds the place for the whole time again. One round trip.
    ///
    /// # Errors
    ///
    /// [`LimitError::Store`] when the store fails: the place may be held or lost.
    pub async fn renew(&self) -> Result<Renewed, LimitError> {
        match self.ask(LeaseVerb::Renew).await? {
            Some(LeaseAnswer { outcome: LeaseOutcome::Refused, .. }) => Ok(Renewed::Lost),
            _ => Ok(Renewed::Held),
        }
    }

    /// Gives the place back. One round trip.
    ///
    /// # Errors
    ///
    /// [`LimitError::Store`] when the store fails: the place is free when its time is over.
    pub async fn release(self) -> Result<(), LimitError> {
        self.ask(LeaseVerb::Release).await.map(drop)
    }

    async fn ask(&self, verb: LeaseVerb) -> Result<Option<LeaseAnswer>, LimitError> {
        let Some(store) = &self.store else { return Ok(None) };
        let lease = Lease { verb, ..self.lease.clone() };
        Ok(Some(send(store, &lease, self.deadline).await?))
    }
}

async fn send(store: &Store, lease: &Lease, deadline: Duration) -> Result<LeaseAnswer, StoreError> {
    store.batch_within(lease, deadline).await?
}
