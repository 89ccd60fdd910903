//! Extractors, and what they and handlers are answered with when they fail: problem details (RFC 9457) that say nothing of the inside.

use std::convert::Infallible;

use axum_core::body::Body;
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;
use tower_keep::adapter::Extracted;
use tower_keep::body::error_response;
use tower_keep::session::NoSession;

tower_keep::adapter_types!();

macro_rules! extractors {
    ($([$($generics:tt)*] $name:ty),+) => {$(
        impl<S: Send + Sync, $($generics)*> FromRequestParts<S> for $name {
            type Rejection = <Self as Extracted>::Rejection;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
                Self::find(Some(&parts.extensions)).await
            }
        }
    )+};
}

extractors!(
    [] Session, [] RequiredSession, [] OptionalSession, [T] Typed<T>, [N: SessionName] Named<N>, [] RateLimitStatus
);

/// `None` without a session layer.
impl<S: Send + Sync> OptionalFromRequestParts<S> for Session {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, SessionRejection> {
        match Self::find(Some(&parts.extensions)).await {
            Err(SessionRejection(NoSession::MissingLayer(_))) => Ok(None),
            found => found.map(Some),
        }
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for RateLimitStatus {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(Self::find(Some(&parts.extensions)).await.ok())
    }
}

macro_rules! responses {
    ($($name:ty),+) => {$(
        impl IntoResponse for $name {
            fn into_response(self) -> Response {
                error_response(self.0.status(), &self.0).map(Body::from)
            }
        }
    )+};
}

responses!(SessionRejection, RateLimitRejection, SessionProblem);
