//! What can go wrong with messages.

use std::error::Error as StdError;
use std::sync::Arc;

use crate::store::StoreError;

/// Why a message could not be sent, or a subscription not be made. Holds no channel and no message.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PubSubError {
    /// The store failed. [`Forbidden`](crate::store::StoreErrorKind::Forbidden): the Redis user may not use this channel or pattern;
    /// [`Unsupported`](crate::store::StoreErrorKind::Unsupported): the store stands on a pool of yours, which cannot subscribe.
    #[error("the store of the messages failed")]
    Store(#[from] StoreError),
    /// A channel or pattern is empty or too long.
    #[error("a channel must have 1 to 128 bytes once escaped; hash longer ones")]
    Channel,
    /// A message cannot be written as JSON.
    #[error("the message cannot be written as json: {0}")]
    Encode(Arc<dyn StdError + Send + Sync>),
    /// A message is longer than `max_bytes`.
    #[error("the message is larger than its bound; send less, or send where it lies")]
    TooLarge,
}

impl PubSubError {
    /// The status with which a request that met this error should be answered.
    #[must_use]
    pub const fn status(&self) -> http::StatusCode {
        match self {
            Self::Store(_) => http::StatusCode::SERVICE_UNAVAILABLE,
            Self::Channel | Self::Encode(_) | Self::TooLarge => http::StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// What a subscription missed. It goes on after each of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Missed {
    /// A message was not of the expected form.
    #[error("a message is not of the expected form")]
    Undecodable,
    /// So many messages were let go, oldest first, because nobody took them in time.
    #[error("{0} messages were let go because nobody took them in time")]
    Lagged(u64),
    /// The connection was lost and is back: nobody knows what was sent in between.
    #[error("the connection was lost for a while; messages in between were missed")]
    Interrupted,
}

/// A setting that cannot work, found when the handle is built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PubSubConfigError {
    /// A number is zero or beyond its documented maximum.
    #[error("{0} must be greater than zero and within its documented maximum")]
    OutOfRange(&'static str),
}
