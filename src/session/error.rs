//! What can go wrong with a session.

use crate::store::{StoreError, StoreErrorKind};

/// Why a call on a session failed. Holds no entry, no secret and no name of a person.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The store could not be used.
    #[error("the session store failed")]
    Store(#[from] StoreError),
    /// A value could not be written as JSON.
    #[error("the entry cannot be written as json: {0}")]
    Encode(String),
    /// A stored entry is not of the type that was asked for.
    #[error("the stored entry is not of the expected type")]
    Decode,
    /// A name is empty, longer than 128 bytes or begins with `@`.
    #[error("an entry's name must have 1 to 128 bytes and not begin with @")]
    Name,
    /// A principal or label is empty, longer than 256 bytes or holds control characters.
    #[error("a principal must have 1 to 256 bytes and no control characters")]
    Principal,
    /// More entries than the limit.
    #[error("the session has as many entries as its limit allows; remove some or raise `max_entries`")]
    TooManyEntries,
    /// More bytes than the limit.
    #[error("the session would grow beyond its limit; store less in it or raise `max_bytes`")]
    TooLarge,
    /// An addition to an entry that is not an integer, or a sum beyond ±2^53.
    #[error("the entry is not an integer, or the sum is beyond 2^53")]
    NotAnInteger,
    /// The store failed while the session was loaded and the policy lets the request go on: nothing can be changed.
    #[error("the session store is unavailable; the session is anonymous and read-only")]
    ReadOnly,
    /// The session ended: it was revoked, it expired, or another request rotated it.
    #[error("the session has ended")]
    Ended,
    /// Nobody is signed in.
    #[error("nobody is signed in")]
    NotAuthenticated,
    /// The sign-in is too long ago for this action.
    #[error("the sign-in is too long ago; sign in again")]
    NotFresh,
    /// The CSRF token is missing or not this session's.
    #[error("the csrf token is not this session's")]
    CsrfMismatch,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Randomness,
}

impl SessionError {
    /// What was saved was done, and too few replicas confirmed it: a browser must get its cookie all the same.
    pub(super) const fn is_unreplicated(&self) -> bool {
        matches!(self, Self::Store(error) if matches!(error.kind(), StoreErrorKind::Unreplicated))
    }

    /// The status with which a request that met this error should be answered.
    #[must_use]
    pub const fn status(&self) -> http::StatusCode {
        use http::StatusCode as S;
        match self {
            Self::Store(_) | Self::ReadOnly => S::SERVICE_UNAVAILABLE,
            Self::Encode(_) | Self::Decode | Self::Randomness => S::INTERNAL_SERVER_ERROR,
            Self::Name | Self::Principal | Self::NotAnInteger => S::BAD_REQUEST,
            Self::TooManyEntries | Self::TooLarge => S::PAYLOAD_TOO_LARGE,
            Self::Ended | Self::NotAuthenticated | Self::NotFresh => S::UNAUTHORIZED,
            Self::CsrfMismatch => S::FORBIDDEN,
        }
    }
}

/// Why sessions cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionConfigError {
    /// A duration or a number is zero or beyond its documented maximum.
    #[error("{0} must be greater than zero and within its documented maximum")]
    OutOfRange(&'static str),
    /// The idle timer is longer than the absolute one.
    #[error("the idle timeout must not be longer than the absolute one")]
    IdleBeyondAbsolute,
    /// A namespace that cannot stand in a key.
    #[error("a namespace must have 1 to 32 of the characters a-z 0-9 _ - and not end with -index")]
    Namespace,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_its_status() {
        for (status, errors) in [
            (500, &[SessionError::Decode, SessionError::Randomness][..]),
            (400, &[SessionError::Name, SessionError::Principal, SessionError::NotAnInteger]),
            (413, &[SessionError::TooManyEntries, SessionError::TooLarge]),
            (401, &[SessionError::Ended, SessionError::NotAuthenticated, SessionError::NotFresh]),
            (403, &[SessionError::CsrfMismatch]),
            (503, &[SessionError::ReadOnly, StoreError::from(StoreErrorKind::Timeout).into()]),
        ] {
            for error in errors {
                assert_eq!(error.status().as_u16(), status, "{error}");
            }
        }
    }

    #[test]
    fn only_what_replicas_did_not_confirm_was_done() {
        let unreplicated = |kind| SessionError::from(StoreError::from(kind)).is_unreplicated();
        assert!(unreplicated(StoreErrorKind::Unreplicated));
        assert!(!unreplicated(StoreErrorKind::Timeout) && !SessionError::ReadOnly.is_unreplicated());
    }
}
