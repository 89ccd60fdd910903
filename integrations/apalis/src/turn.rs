//! One job in a worker's hands: its attempts, and how it ends.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use apalis_core::error::{AbortError, BoxDynError};
use tokio::task::JoinHandle;
use tower_keep::kv::{KvError, Ttl, Update};

use crate::jobs::{JobId, Queue};
use crate::status::{JobState, JobStatus};
use crate::worker::{Handler, Hook};

const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// A job as its handler gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Job<T> {
    /// Its name.
    pub id: JobId,
    /// What was queued.
    pub args: T,
    /// The how manieth attempt this is, counted from 1.
    pub attempt: u32,
}

/// A job that failed for good.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dead {
    /// Its name.
    pub id: JobId,
    /// How often it was begun.
    pub attempts: u32,
    /// What its handler said last; `panicked`, or `abandoned` when its worker died in the last attempt.
    pub error: String,
}

/// A task that ends with whoever waits for it.
struct Spawned(JoinHandle<Result<(), String>>);

impl Drop for Spawned {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a worker does with one job, to its end.
pub(crate) struct Turn<T> {
    pub(crate) queue: Arc<Queue>,
    pub(crate) handler: Handler<T>,
    pub(crate) hook: Hook,
}

impl<T: Clone + Send + 'static> Turn<T> {
    /// An error that is no [`AbortError`] leaves the job to apalis, which queues it again after a second or more.
    pub(crate) async fn run(self, id: JobId, args: T) -> Result<(), BoxDynError> {
        loop {
            let attempt = match self.begin(&id).await? {
                Begun::Attempt(attempt) => attempt,
                Begun::Ended => return Ok(()),
                Begun::Spent => return self.dead(id, self.queue.attempts, "abandoned".to_owned()).await,
            };
            let job = Job { id: id.clone(), args: args.clone(), attempt };
            // A task of its own: a handler that computes for long must not keep the worker from its signs of life.
            let mut task = Spawned(tokio::spawn((self.handler)(job)));
            let error = match (&mut task.0).await {
                Ok(Ok(())) => return Ok(self.note(&id, JobState::Done).await?),
                Ok(Err(error)) => error,
                Err(_) => "panicked".to_owned(),
            };
            if attempt >= self.queue.attempts {
                return self.dead(id, attempt, error).await;
            }
            self.note(&id, JobState::Waiting).await?;
            tokio::time::sleep(self.pause(attempt)).await;
        }
    }

    fn pause(&self, attempt: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
        self.queue.backoff.saturating_mul(doubled).min(LONGEST_PAUSE)
    }

    /// Counts an attempt, before it is made.
    async fn begin(&self, id: &JobId) -> Result<Begun, KvError> {
        let (most, ttl) = (self.queue.attempts, Ttl::After(self.queue.keep));
        let mut begun = Begun::Ended;
        let updater = |current: Option<&JobStatus>| {
            let attempts = current.map_or(0, |status| status.attempts);
            begun = match current {
                Some(status) if status.state.is_final() => Begun::Ended,
                _ if attempts >= most => Begun::Spent,
                _ => Begun::Attempt(attempts + 1),
            };
            match begun {
                Begun::Attempt(attempt) => Update::Set(JobStatus::now(JobState::Running, attempt), ttl),
                Begun::Ended | Begun::Spent => Update::Keep,
            }
        };
        self.queue.status.update(&self.queue.key(id), updater).await?;
        Ok(begun)
    }

    /// Gives what the state was changed to; whoever comes later than another one changes nothing.
    async fn note(&self, id: &JobId, state: JobState) -> Result<(), KvError> {
        self.change(id, state).await.map(drop)
    }

    async fn change(&self, id: &JobId, state: JobState) -> Result<bool, KvError> {
        let ttl = Ttl::After(self.queue.keep);
        let mut changed = false;
        let updater = |current: Option<&JobStatus>| {
            changed = !current.is_some_and(|status| status.state.is_final());
            let attempts = current.map_or(self.queue.attempts, |status| status.attempts);
            if changed { Update::Set(JobStatus::now(state, attempts), ttl) } else { Update::Keep }
        };
        self.queue.status.update(&self.queue.key(id), updater).await?;
        Ok(changed)
    }

    /// Who makes it dead tells the hook, so that the hook hears of it once.
    async fn dead(&self, id: JobId, attempts: u32, error: String) -> Result<(), BoxDynError> {
        if self.change(&id, JobState::Dead).await? {
            (self.hook)(Dead { id, attempts, error });
        }
        Err(Box::new(AbortError::new("the job failed for good")))
    }
}

#[derive(Clone, Copy)]
enum Begun {
    Attempt(u32),
    /// It has ended already; only its removal from the queue was lost.
    Ended,
    /// Its last attempt was lost with its worker.
    Spent,
}

impl<T> fmt::Debug for Turn<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").finish_non_exhaustive()
    }
}
