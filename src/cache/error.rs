//! What can go wrong with a cache. Requests never see it: they go to the handler.

use crate::store::StoreError;

/// A setting that cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CacheConfigError {
    /// The namespace is not a word.
    #[error("the namespace must be 1 to 32 of a-z, 0-9 and -")]
    Namespace,
    /// The name does not fit into `Cache-Status`.
    #[error("the name must be 1 to 64 visible ascii characters")]
    Name,
    /// The lease is too short or too long.
    #[error("the lease must be from 100 ms to 60 s")]
    Lease,
    /// A time is zero or too long.
    #[error("wait, deadline and retention must be more than zero, and all times less than ten years")]
    Time,
    /// A bound is zero.
    #[error("bounds must be at least 1, and fill_bytes at least 1024")]
    Bound,
    /// The eagerness is not a number.
    #[error("the eagerness of the early refresh must be a finite number that is not negative")]
    EarlyRefresh,
}

/// Why a purge failed. What was to be purged may still be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The store failed.
    #[error("the purge did not reach the store; try again when it is back")]
    Store(#[from] StoreError),
    /// The system has no random bytes.
    #[error("the operating system gave no random bytes")]
    Randomness,
    /// There were more tags or paths than one purge takes.
    #[error("purge at most {most} tags or paths at once")]
    TooMany {
        /// How many it takes.
        most: usize,
    },
}
