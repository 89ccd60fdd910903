//! What can go wrong with jobs.

use tower_keep::kv::{KvConfigError, KvError};

/// Why a job could not be queued, or its status not be read. Holds no id and nothing of the job.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobsError {
    /// The job's status could not be read or written.
    #[error("the status of the job failed: {0}")]
    Status(#[from] KvError),
    /// The queue could not be reached or refused the job; after a time-out it may have taken it.
    #[error("the queue failed: {0}")]
    Queue(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A delay is longer than a year.
    #[error("a job can be delayed by at most a year")]
    Delay,
}

/// A setting that cannot work, found when the handle is built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JobsConfigError {
    /// The store is embedded: its jobs would be lost with the process.
    #[error("jobs need a store on redis")]
    Embedded,
    /// The store is on a Redis Cluster: apalis keeps its list of queues in another slot than a queue.
    #[error("jobs do not work on a redis cluster; give them a store on one server or on sentinels")]
    Cluster,
    /// The queue's name.
    #[error("a queue's name must be 1 to 32 characters of a-z, 0-9, - and _")]
    Name,
    /// A number or time is zero or beyond its documented bounds.
    #[error("{0} must be within its documented bounds")]
    OutOfRange(&'static str),
    /// The state of which the status is made.
    #[error(transparent)]
    Status(#[from] KvConfigError),
}
