//! Errors as responses.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use demo_site::Failure;

/// Whatever becomes a [`Failure`] becomes one, so that handlers can use `?`.
pub struct Problem(Failure);

impl<E: Into<Failure>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.0.response().map(Body::from)
    }
}

pub async fn not_found() -> Problem {
    StatusCode::NOT_FOUND.into()
}

pub async fn method_not_allowed() -> Problem {
    StatusCode::METHOD_NOT_ALLOWED.into()
}
