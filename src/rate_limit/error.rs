//! What can go wrong with a limiter. A refusal is not an error.

use super::quota::QuotaError;
use crate::store::StoreError;

/// Why a limiter gave no decision. Holds no key.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// The store failed, and the policy of a limit is [`FailurePolicy::Closed`](super::FailurePolicy::Closed); or a change could not be
    /// written. Never answer it with 429.
    #[error("the limiter's store failed")]
    Store(#[from] StoreError),
    /// A key is empty: it would make one shared count of everybody without one.
    #[error("a limit's key must not be empty; decide what becomes of requests without one")]
    EmptyKey,
    /// The question names a limit that this limiter does not have.
    #[error("the question names a limit that this limiter does not have")]
    UnknownLimit,
    /// Limits of different subjects cannot be decided together under [`Slot::Subject`](super::Slot::Subject).
    #[error("limits of different subjects need `slot(Slot::Namespace)` to be decided together")]
    DifferentSlots,
    /// A quota given with the question cannot work.
    #[error("the quota for this request cannot work")]
    Quota(#[from] QuotaError),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Randomness,
    /// What goes on in the background needs a tokio runtime.
    #[error("a place is renewed by a task; call this within a tokio runtime that lasts")]
    NoRuntime,
}

impl LimitError {
    /// The status with which a request that met this error should be answered.
    #[must_use]
    pub const fn status(&self) -> http::StatusCode {
        match self {
            Self::Store(_) => http::StatusCode::SERVICE_UNAVAILABLE,
            Self::EmptyKey
            | Self::UnknownLimit
            | Self::DifferentSlots
            | Self::Quota(_)
            | Self::Randomness
            | Self::NoRuntime => http::StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Why a limiter cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitConfigError {
    /// A namespace or a limit's name cannot stand in a key.
    #[error("namespaces and names of limits must have 1 to 32 of the characters a-z 0-9 _ -")]
    Name,
    /// Two limits have the same name.
    #[error("two limits are called {0}; give each a name of its own")]
    Duplicate(String),
    /// There is no limit, or more than 16.
    #[error("a limiter must have 1 to 16 limits")]
    Count,
    /// A quota cannot work.
    #[error("the quota of limit {limit} cannot work: {error}")]
    Quota {
        /// The limit's name.
        limit: String,
        /// What is wrong with it.
        error: QuotaError,
    },
    /// Charging ahead is for limits that refuse.
    #[error("limits in shadow mode cannot be charged ahead; leave charge_ahead out or enforce them")]
    ShadowAhead,
    /// A settlement names a limit that the limiter does not have.
    #[error("the settlement names limit {0}, which the limiter does not have")]
    UnknownLimit(String),
    /// A network on the allow list is not one.
    #[error("the allow list holds something that is not a network: {0}")]
    Network(#[from] super::client::NetworkError),
    /// A duration or a number is zero or beyond its documented maximum.
    #[error("{0} must be greater than zero and within its documented maximum")]
    OutOfRange(&'static str),
}
