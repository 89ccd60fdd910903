//! Errors as JSON problems (RFC 9457). A 5xx says nothing of the inside.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tower_keep_axum::body::problem_json;
use tower_keep_axum::cache::CacheError;
use tower_keep_axum::session::SessionError;
use tower_keep_axum::{SessionProblem, SessionRejection};

pub struct Problem(Response);

impl From<StatusCode> for Problem {
    fn from(status: StatusCode) -> Self {
        let body = (status, [(header::CONTENT_TYPE, "application/problem+json")], problem_json(status));
        Self(body.into_response())
    }
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        Self(SessionProblem(error).into_response())
    }
}

/// What was to be purged may still be there: whoever asked should ask again.
impl From<CacheError> for Problem {
    fn from(error: CacheError) -> Self {
        match error {
            CacheError::TooMany { .. } => StatusCode::BAD_REQUEST.into(),
            _ => StatusCode::SERVICE_UNAVAILABLE.into(),
        }
    }
}

impl From<SessionRejection> for Problem {
    fn from(rejection: SessionRejection) -> Self {
        Self(rejection.into_response())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.0
    }
}

pub async fn not_found() -> Problem {
    StatusCode::NOT_FOUND.into()
}

pub async fn method_not_allowed() -> Problem {
    StatusCode::METHOD_NOT_ALLOWED.into()
}
