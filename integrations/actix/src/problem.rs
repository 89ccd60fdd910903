//! Rejections and errors as responses: problem details (RFC 9457) that say nothing of the inside.

use std::error::Error;

use actix_web::body::BoxBody;
use actix_web::{HttpResponse, ResponseError};
use http::StatusCode;
use tower_keep::body::problem_response;
use tower_keep::session::SessionError;

use crate::head::{old_status, own};

/// Why a session could not be extracted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionRejection {
    /// No `SessionMiddleware` (of that name) is outside of the handler: 500, opaque. The log says which one.
    #[error(
        "no session middleware `{0}` around this handler; add `.wrap(SessionMiddleware::new(sessions))`, after \
         the `wrap` of all that uses the session"
    )]
    MissingMiddleware(&'static str),
    /// The session could not be loaded: 503 with `Retry-After`, opaque.
    #[error("the session could not be loaded")]
    Unavailable(#[source] SessionError),
}

/// Why the decision of a rate limit middleware could not be extracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RateLimitRejection {
    /// No `RateLimitMiddleware` outside of the handler counted the request: 500, opaque. The log says so.
    #[error(
        "no rate limit middleware counted this request; add `.wrap(RateLimitMiddleware::new(limiter, by))`, \
         or take `Option<RateLimitStatus>` where requests may be skipped"
    )]
    MissingMiddleware,
}

/// A [`SessionError`] as a response, so that handlers can use `?`. The client sees the status alone.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SessionProblem(#[from] pub SessionError);

/// A missing middleware and what failed inside are told to the log alone.
macro_rules! problems {
    ($($name:ty, $this:ident => $status:expr;)+) => {$(
        impl ResponseError for $name {
            fn status_code(&self) -> actix_web::http::StatusCode {
                let $this = self;
                old_status($status)
            }

            fn error_response(&self) -> HttpResponse {
                let ($this, error): (_, &dyn Error) = (self, self);
                match $status {
                    StatusCode::INTERNAL_SERVER_ERROR => tracing::error!("{self}"),
                    _ => tracing::debug!(error, "a session call failed"),
                }
                own::<BoxBody>(problem_response($status)).map_into_boxed_body()
            }
        }
    )+};
}

problems! {
    SessionRejection, this => match this {
        Self::MissingMiddleware(_) => StatusCode::INTERNAL_SERVER_ERROR,
        Self::Unavailable(error) => error.status(),
    };
    RateLimitRejection, _this => StatusCode::INTERNAL_SERVER_ERROR;
    SessionProblem, this => this.0.status();
}
