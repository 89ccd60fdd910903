//! What can go wrong with locks. That somebody else holds one is not among it.

use crate::random::NoRandomness;
use crate::store::StoreError;

/// Why a lock could not be had or kept. Holds no name and no token.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// The store failed: nobody knows whether the lock is held.
    #[error("the lock's store failed")]
    Store(#[from] StoreError),
    /// Somebody else held it for the whole time that was waited.
    #[error("the lock was held by others all the time; wait longer or try again later")]
    Timeout,
    /// It was lost while the work went on, which was cancelled.
    #[error("the lock was lost; its work was cancelled")]
    Lost,
    /// A name is empty or too long.
    #[error("a lock's name must have 1 to 128 bytes once escaped; hash longer ones")]
    Name,
    /// What goes on in the background needs a tokio runtime.
    #[error("a lock is extended by a task; call this within a tokio runtime that lasts")]
    NoRuntime,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Randomness,
}

impl LockError {
    /// The status with which a request that met this error should be answered.
    #[must_use]
    pub const fn status(&self) -> http::StatusCode {
        match self {
            Self::Store(_) | Self::Timeout | Self::Lost => http::StatusCode::SERVICE_UNAVAILABLE,
            Self::Name | Self::NoRuntime | Self::Randomness => http::StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<NoRandomness> for LockError {
    fn from(_: NoRandomness) -> Self {
        Self::Randomness
    }
}

/// A setting that cannot work, found when the locks are built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockConfigError {
    /// A namespace cannot stand in a key.
    #[error("namespaces of locks must have 1 to 32 of the characters a-z 0-9 _ -")]
    Namespace,
    /// A duration is zero or beyond its documented maximum.
    #[error("{0} must be greater than zero and within its documented maximum")]
    OutOfRange(&'static str),
    /// Who waits would never look a second time.
    #[error("`retry` must be shorter than `wait`")]
    RetryBeyondWait,
}
