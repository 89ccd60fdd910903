//! Queueing jobs, and asking for their status.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use apalis_core::backend::{TaskSink, TaskSinkError};
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::TaskId;
use apalis_redis::{Config, RedisStorage};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tower_keep::kv::{KeyValue, Ttl};
use tower_keep::store::{RawConnection, Store};
use ulid::Ulid;

use crate::builder::JobsBuilder;
use crate::error::JobsError;
use crate::status::{JobState, JobStatus};
use crate::turn::Job;
use crate::worker::Worker;

const LONGEST_DELAY: Duration = Duration::from_secs(366 * 86_400);

/// The name of a job: 26 letters and digits, in the order of queueing by the millisecond. Not a secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(String);

impl JobId {
    /// The id of which this is the text. Whether there is such a job shows when it is asked for.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Ulid::from_string(text).ok().map(|id| Self(id.to_string()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A queue of jobs of one type. Cheap to clone. See the [crate docs](crate).
pub struct Jobs<T> {
    pub(crate) queue: Arc<Queue>,
    args: PhantomData<fn() -> T>,
}

pub(crate) struct Queue {
    pub(crate) raw: RawConnection,
    pub(crate) config: Config,
    pub(crate) status: KeyValue<JobStatus>,
    pub(crate) name: String,
    pub(crate) attempts: u32,
    pub(crate) backoff: Duration,
    pub(crate) poll: Duration,
    pub(crate) keep: Duration,
    pub(crate) concurrency: usize,
    pub(crate) grace: Duration,
}

impl Queue {
    /// Where a job's status lies.
    pub(crate) fn key(&self, id: &JobId) -> String {
        format!("{}:{id}", self.name)
    }
}

impl<T> Jobs<T> {
    pub(crate) fn new(queue: Queue) -> Self {
        Self { queue: Arc::new(queue), args: PhantomData }
    }

    /// Settings of the queue `name`, 1 to 32 characters of `a-z 0-9 - _`. Queues of the same name hold the same type.
    pub fn builder(store: Store, name: &str) -> JobsBuilder<T> {
        JobsBuilder::new(store, name)
    }

    /// Where a job is; `None` when it was never queued, or ended longer than `keep` ago. One `GET`.
    ///
    /// # Errors
    ///
    /// [`JobsError::Status`].
    pub async fn status(&self, id: &JobId) -> Result<Option<JobStatus>, JobsError> {
        Ok(self.queue.status.get(&self.queue.key(id)).await?)
    }
}

impl<T: Serialize + DeserializeOwned + Send + Sync + Unpin + 'static> Jobs<T> {
    /// Queues a job, to be begun at once. One `SET` by a script for its status, and one script.
    ///
    /// # Errors
    ///
    /// [`JobsError::Status`]: it was not queued. [`JobsError::Queue`]: after a time-out it may have been.
    pub async fn enqueue(&self, args: T) -> Result<JobId, JobsError> {
        self.enqueue_after(args, Duration::ZERO).await
    }

    /// Queues a job, to be begun after a delay of up to a year. Delays count in whole seconds, rounded up, and may end up to one early.
    ///
    /// # Errors
    ///
    /// As [`enqueue`](Self::enqueue), and [`JobsError::Delay`].
    pub async fn enqueue_after(&self, args: T, delay: Duration) -> Result<JobId, JobsError> {
        if delay > LONGEST_DELAY {
            return Err(JobsError::Delay);
        }
        let queue = &self.queue;
        let id = JobId(Ulid::generate().to_string());
        let status = JobStatus::now(JobState::Queued, 0);
        // First, so that no worker can be quicker.
        queue.status.create(&queue.key(&id), &status, Ttl::After(queue.keep + delay)).await?;
        let mut task = TaskBuilder::new(args).task_id(TaskId::from_string(id.as_str()));
        if !delay.is_zero() {
            task = task.run_after(Duration::from_secs(delay.as_secs() + u64::from(delay.subsec_nanos() > 0)));
        }
        let pushed = self.storage().push_task(task.build()).await;
        pushed.map(|()| id).map_err(|error| {
            JobsError::Queue(match error {
                TaskSinkError::CodecError(error) => error,
                error => Box::new(error),
            })
        })
    }

    /// A worker that does what is queued by `handler`. It does nothing until it is [run](Worker::run_until).
    pub fn worker<H, F, E>(&self, handler: H) -> Worker<T>
    where
        H: Fn(Job<T>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
        T: Clone,
    {
        Worker::new(self.clone(), handler)
    }

    pub(crate) fn storage(&self) -> RedisStorage<T, RawConnection> {
        RedisStorage::new(self.queue.raw.clone()).with_config(self.queue.config.clone())
    }
}

impl<T> Clone for Jobs<T> {
    fn clone(&self) -> Self {
        Self { queue: Arc::clone(&self.queue), args: PhantomData }
    }
}

impl<T> fmt::Debug for Jobs<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").field("queue", &self.queue.name).finish_non_exhaustive()
    }
}
