//! What is known of a job.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Where a job is. As JSON: `{"state":"running","attempts":1,"since_ms":1700000000000}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobStatus {
    /// What is being done with it.
    pub state: JobState,
    /// How often it was begun.
    pub attempts: u32,
    /// Since when, in milliseconds since the Unix epoch, by the clock of the process that wrote it.
    pub since_ms: u64,
}

/// The stations of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum JobState {
    /// Nobody has begun it.
    Queued,
    /// An attempt is under way, or its worker was lost.
    Running,
    /// The last attempt failed, and the next one comes after a pause.
    Waiting,
    /// It succeeded.
    Done,
    /// It failed for good.
    Dead,
}

impl JobState {
    /// Whether nothing will change any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Dead)
    }
}

impl JobStatus {
    pub(crate) fn now(state: JobState, attempts: u32) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { state, attempts, since_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX) }
    }
}
