//! How the store is.

use std::time::Duration;

use super::error::StoreError;

/// Which backend serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreKind {
    /// The embedded store of this process.
    Memory,
    /// Redis.
    Redis,
}

impl StoreKind {
    /// `memory` or `redis`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
        }
    }
}

/// What the breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreStatus {
    /// Everything.
    Up = 0,
    /// Reads only: the server is a replica, or answers no writes.
    ReadOnly = 1,
    /// Nothing.
    Down = 2,
    /// Some nodes of a Cluster are up and others are not: what belongs to those is refused.
    Partial = 3,
}

impl StoreStatus {
    /// `up`, `read_only`, `down` or `partial`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::ReadOnly => "read_only",
            Self::Down => "down",
            Self::Partial => "partial",
        }
    }
}

/// Connections of the pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolCounts {
    /// Open connections.
    pub connections: u32,
    /// Those that nobody holds at this moment.
    pub idle: u32,
    /// Requests that wait for a connection.
    pub waiting: usize,
}

/// The answer to [`Store::health`](super::Store::health).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// Which backend serves.
    pub kind: StoreKind,
    /// What the breaker lets through.
    pub status: StoreStatus,
    /// How long the question took, or why it failed.
    pub latency: Result<Duration, StoreError>,
    /// The pool's counts; zero for the embedded store.
    pub pool: PoolCounts,
    /// Connections that gave a reply which did not belong to its request, since the store was built; each was dropped.
    pub desyncs: u64,
}

impl Health {
    /// Whether the store answered and takes writes.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.status == StoreStatus::Up && self.latency.is_ok()
    }
}
