//! Errors as JSON problems (RFC 9457). A 5xx says nothing of the inside.

use std::fmt;

use bytes::Bytes;
use http::{Response, StatusCode};
use tower_keep::body::problem_response;
use tower_keep::cache::CacheError;
use tower_keep::session::SessionError;

/// Why a request is not answered as it was meant: a status, and nothing else for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure(pub StatusCode);

impl Failure {
    /// The response.
    #[must_use]
    pub fn response(self) -> Response<Bytes> {
        problem_response(self.0)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<StatusCode> for Failure {
    fn from(status: StatusCode) -> Self {
        Self(status)
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        Self(error.status())
    }
}

/// What was to be purged may still be there: whoever asked should ask again.
impl From<CacheError> for Failure {
    fn from(error: CacheError) -> Self {
        match error {
            CacheError::TooMany { .. } => StatusCode::BAD_REQUEST.into(),
            _ => StatusCode::SERVICE_UNAVAILABLE.into(),
        }
    }
}
