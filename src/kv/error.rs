//! What can go wrong with typed state.

use std::error::Error as StdError;
use std::sync::Arc;

use crate::random::NoRandomness;
use crate::store::{StoreError, StoreErrorKind};

/// An error of somebody else's, shared by all whom it concerns.
pub type SharedError = Arc<dyn StdError + Send + Sync>;

/// Why a call on typed state failed. Holds no key and no value.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KvError {
    /// The store failed. [`StoreErrorKind::WrongType`]: something else lies under the key, and stays there.
    #[error("the state's store failed")]
    Store(#[from] StoreError),
    /// A key is empty or too long.
    #[error("a key must have 1 to 128 bytes once escaped; hash longer ones")]
    Key,
    /// A time to live is zero or longer than a hundred years; or there can be nothing to keep.
    #[error("a time to live must be 1 ms to 100 years; say `Ttl::Never` where none is meant")]
    Ttl,
    /// A value cannot be written by the codec.
    #[error("the value cannot be encoded: {0}")]
    Encode(SharedError),
    /// What is stored was not written by this crate for this key, or the codec cannot read it. It stays as it is.
    #[error("the stored value cannot be read; remove it or write over it")]
    Decode(#[source] Option<SharedError>),
    /// A value does not pass the validation: it was not written; or, when it was read, it stays as it is.
    #[error("the value is not valid: {0}")]
    Invalid(Arc<str>),
    /// The encoded value is longer than `max_bytes`, or a member of a set than 1,024 bytes.
    #[error("the value is larger than its bound; store less or raise `max_bytes`")]
    TooLarge,
    /// More keys or writes than one call may have, 1,000.
    #[error("one call may concern at most 1000 keys; divide it")]
    TooMany,
    /// Something is there already.
    #[error("there is a value already")]
    Exists,
    /// The revision is not the current one, or the value is gone.
    #[error("the value was changed or removed since this revision; read it again")]
    Mismatch,
    /// There is nothing whose remaining time could be kept.
    #[error("there is no value whose remaining time could be kept; say how long it shall live")]
    Missing,
    /// A write of a transaction was refused, so nothing was written.
    #[error("write {index} of the transaction was refused, nothing was written: {error}")]
    Transaction {
        /// Which one, counted from 0.
        index: usize,
        /// Why.
        error: Box<Self>,
    },
    /// Others were always quicker to change the value.
    #[error("the value changes too often to be updated; try again later")]
    Contended,
    /// What is under the key is no whole number, or the sum is beyond 64 bits.
    #[error("the counter holds no whole number, or the sum is beyond 64 bits")]
    NotAnInteger,
    /// A set has as many members as it may have.
    #[error("the set has as many members as its limit allows")]
    Full,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Randomness,
}

impl KvError {
    /// The status with which a request that met this error should be answered: 503 where it may succeed later, 412 where somebody else was
    /// first (RFC 9110, section 15.5.13), otherwise 500.
    #[must_use]
    pub fn status(&self) -> http::StatusCode {
        match self {
            Self::Transaction { error, .. } => error.status(),
            Self::Exists | Self::Mismatch => http::StatusCode::PRECONDITION_FAILED,
            error if error.is_transient() => http::StatusCode::SERVICE_UNAVAILABLE,
            _ => http::StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether the store was at fault and the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_outage() || error.kind() == StoreErrorKind::Overloaded,
            Self::Contended => true,
            _ => false,
        }
    }
}

impl From<NoRandomness> for KvError {
    fn from(_: NoRandomness) -> Self {
        Self::Randomness
    }
}

/// Why [`KeyValue::try_update`](super::KeyValue::try_update) failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError<E> {
    /// The updater refused; nothing was written.
    #[error("the updater refused")]
    Updater(E),
    /// The state failed.
    #[error(transparent)]
    State(#[from] KvError),
}

/// Why [`KeyValue::get_or_fetch`](super::KeyValue::get_or_fetch) failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The fetcher failed: this call's own, or that of another call for the same key for which this one waited.
    #[error("the value could not be fetched: {0}")]
    Fetch(SharedError),
    /// The key, the time to live or the value cannot be used. Never a store that fails.
    #[error(transparent)]
    State(#[from] KvError),
}

/// A setting that cannot work, found when the handle is built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KvConfigError {
    /// A name cannot stand in a key.
    #[error("names of state must have 1 to 32 of the characters a-z 0-9 _ -")]
    Name,
    /// A group is empty or too long.
    #[error("a group must have 1 to 128 bytes once escaped; hash longer ones")]
    Group,
    /// A duration or a number is zero or beyond its documented maximum.
    #[error("{0} must be greater than zero and within its documented maximum")]
    OutOfRange(&'static str),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Randomness,
}

impl From<NoRandomness> for KvConfigError {
    fn from(_: NoRandomness) -> Self {
        Self::Randomness
    }
}
