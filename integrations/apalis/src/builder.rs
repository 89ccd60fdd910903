//! Settings of a queue, and their checks.

use std::marker::PhantomData;
use std::time::Duration;

use apalis_redis::Config;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower_keep::kv::KeyValue;
use tower_keep::store::Store;

use crate::error::JobsConfigError;
use crate::jobs::{Jobs, Queue};

const DAY: Duration = Duration::from_secs(86_400);
/// How often a worker says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Builds [`Jobs`]; [`build`](Self::build) checks everything.
#[derive(Debug)]
#[must_use]
pub struct JobsBuilder<T> {
    store: Store,
    name: String,
    attempts: u32,
    backoff: Duration,
    poll: Duration,
    keep: Duration,
    abandoned_after: Duration,
    concurrency: usize,
    grace: Duration,
    args: PhantomData<fn() -> T>,
}

impl<T> JobsBuilder<T> {
    pub(crate) fn new(store: Store, name: &str) -> Self {
        Self {
            store,
            name: name.to_owned(),
            attempts: 3,
            backoff: Duration::from_secs(2),
            poll: Duration::from_millis(100),
            keep: DAY,
            abandoned_after: Duration::from_secs(10),
            concurrency: 10,
            grace: Duration::from_secs(30),
            args: PhantomData,
        }
    }

    /// How often a job is begun at most, 1 to 100. Default 3.
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The pause after the first attempt; it doubles with each further one, up to an hour. 1 ms to one hour. Default 2 s.
    pub const fn backoff(mut self, first: Duration) -> Self {
        self.backoff = first;
        self
    }

    /// How often a worker looks for jobs, 10 ms to 1 s. Default 100 ms.
    pub const fn poll(mut self, every: Duration) -> Self {
        self.poll = every;
        self
    }

    /// For how long a job's status is kept after its last change, on top of a delay. Longer than jobs wait in the queue: without the status
    /// attempts are counted anew. 1 s to 30 days. Default one day.
    pub const fn keep(mut self, time: Duration) -> Self {
        self.keep = time;
        self
    }

    /// After how long without a sign of life a worker's jobs are given to others, 2 s to one hour, in whole seconds. Default 10 s.
    pub const fn abandoned_after(mut self, time: Duration) -> Self {
        self.abandoned_after = time;
        self
    }

    /// How many jobs a worker has in hand at most, those that wait for their next attempt among them, 1 to 10,000. Default 10.
    pub const fn concurrency(mut self, jobs: usize) -> Self {
        self.concurrency = jobs;
        self
    }

    /// How long a worker that is told to stop waits for the jobs in its hands, up to one hour. Default 30 s.
    pub const fn grace(mut self, time: Duration) -> Self {
        self.grace = time;
        self
    }

    fn check(&self) -> Result<(), JobsConfigError> {
        let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        if !(1..=32).contains(&self.name.len()) || !self.name.bytes().all(word) {
            return Err(JobsConfigError::Name);
        }
        let (ms, second, hour) =
            (Duration::from_millis(1), Duration::from_secs(1), Duration::from_secs(3600));
        for (name, fits) in [
            ("attempts", (1..=100).contains(&self.attempts)),
            ("backoff", (ms..=hour).contains(&self.backoff)),
            ("poll", (ms * 10..=second).contains(&self.poll)),
            ("keep", (second..=DAY * 30).contains(&self.keep)),
            ("abandoned_after", (second * 2..=hour).contains(&self.abandoned_after)),
            ("concurrency", (1..=10_000).contains(&self.concurrency)),
            ("grace", self.grace <= hour),
        ] {
            if !fits {
                return Err(JobsConfigError::OutOfRange(name));
            }
        }
        Ok(())
    }
}

impl<T: Serialize + DeserializeOwned + Send + Sync + Unpin + 'static> JobsBuilder<T> {
    /// The queue.
    ///
    /// # Errors
    ///
    /// The [`JobsConfigError`] that says which setting cannot work.
    pub fn build(self) -> Result<Jobs<T>, JobsConfigError> {
        self.check()?;
        let raw = self.store.raw().ok_or(JobsConfigError::Embedded)?;
        if self.store.is_cluster() {
            return Err(JobsConfigError::Cluster);
        }
        let missed = usize::try_from(self.abandoned_after.as_secs()).unwrap_or(usize::MAX);
        let config = Config::default()
            .queue(format!("{}:jobs:{{{}}}", self.store.prefix().as_str(), self.name))
            .heartbeat_interval(HEARTBEAT)
            .missed_heartbeats(missed)
            // Its messages lie on channels outside of the prefix, and jobs that are due at once send none.
            .emit_events(false)
            // A job's lock that is late ends the worker; being in a worker's hands is lock enough.
            .lock_tasks(false);
        Ok(Jobs::new(Queue {
            raw,
            config,
            status: KeyValue::new(self.store, "jobs")?,
            name: self.name,
            attempts: self.attempts,
            backoff: self.backoff,
            poll: self.poll,
            keep: self.keep,
            concurrency: self.concurrency,
            grace: self.grace,
        }))
    }
}
