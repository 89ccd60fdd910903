//! Rejections and errors as responses: problem details (RFC 9457) that say nothing of the inside.

use axum_core::body::Body;
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use tower_keep::body::problem_response;
use tower_keep::session::SessionError;

/// Why a session could not be extracted.
#[derive(Debug)]
#[non_exhaustive]
pub enum SessionRejection {
    /// No `SessionLayer` (of that name) is outside of the handler: 500, opaque. The log says which one.
    MissingLayer(&'static str),
    /// The session could not be loaded: 503 with `Retry-After`, opaque.
    Unavailable(SessionError),
}

impl std::fmt::Display for SessionRejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::MissingLayer(name) => {
                write!(
                    f,
                    "no session layer `{name}` around this handler; add `.layer(SessionLayer::new(sessions))`"
                )
            }
            Self::Unavailable(_) => f.write_str("the session could not be loaded"),
        }
    }
}

impl std::error::Error for SessionRejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::MissingLayer(_) => None,
            Self::Unavailable(error) => Some(error),
        }
    }
}

impl IntoResponse for SessionRejection {
    fn into_response(self) -> Response {
        match &self {
            Self::MissingLayer(_) => {
                tracing::error!("{self}");
                problem(StatusCode::INTERNAL_SERVER_ERROR)
            }
            Self::Unavailable(error) => problem(error.status()),
        }
    }
}

/// Why the decision of a rate limit layer could not be extracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RateLimitRejection {
    /// No `RateLimitLayer` outside of the handler counted the request: 500, opaque. The log says so.
    MissingLayer,
}

impl std::fmt::Display for RateLimitRejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "no rate limit layer counted this request; add `.layer(RateLimitLayer::new(limiter, by))`, \
             or take `Option<RateLimitStatus>` where requests may be skipped",
        )
    }
}

impl std::error::Error for RateLimitRejection {}

impl IntoResponse for RateLimitRejection {
    fn into_response(self) -> Response {
        tracing::error!("{self}");
        problem(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// A [`SessionError`] as a response, so that handlers can use `?`. The client sees the status alone.
#[derive(Debug)]
pub struct SessionProblem(pub SessionError);

impl From<SessionError> for SessionProblem {
    fn from(error: SessionError) -> Self {
        Self(error)
    }
}

impl IntoResponse for SessionProblem {
    fn into_response(self) -> Response {
        let status = self.0.status();
        if status.is_server_error() {
            tracing::debug!(error = &self.0 as &dyn std::error::Error, "a session call failed");
        }
        problem(status)
    }
}

fn problem(status: StatusCode) -> Response {
    problem_response(status).map(Body::from)
}
