//! Errors as responses.

use std::fmt;

use actix_web::error::UrlencodedError;
use actix_web::{Error, HttpResponse, ResponseError};
use demo_site::Failure;
use http::StatusCode;

/// Whatever becomes a [`Failure`] becomes one, so that handlers can use `?`.
#[derive(Debug)]
pub struct Problem(pub Failure);

impl<E: Into<Failure>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> actix_web::http::StatusCode {
        status(self.0.0)
    }

    fn error_response(&self) -> HttpResponse {
        let response = self.0.response();
        let mut builder = HttpResponse::build(status(response.status()));
        for (name, value) in response.headers() {
            builder.insert_header((name.as_str(), value.as_bytes()));
        }
        builder.body(response.into_body())
    }
}

/// actix-web has the types of `http` 0.2.
pub fn status(status: StatusCode) -> actix_web::http::StatusCode {
    let same = actix_web::http::StatusCode::from_u16(status.as_u16());
    same.unwrap_or(actix_web::http::StatusCode::INTERNAL_SERVER_ERROR)
}

pub async fn not_found() -> Result<HttpResponse, Problem> {
    Err(StatusCode::NOT_FOUND.into())
}

pub async fn method_not_allowed() -> Result<HttpResponse, Problem> {
    Err(StatusCode::METHOD_NOT_ALLOWED.into())
}

/// What cannot be read of a request. Handlers take it as a result and ask about the session first: the order in which actix-web's
/// extractors fail is not that of the handler's parameters.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` calls")]
pub fn unreadable(error: Error) -> Problem {
    let status = match error.as_error::<UrlencodedError>() {
        Some(UrlencodedError::Parse(_)) => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::from_u16(error.as_response_error().status_code().as_u16())
            .unwrap_or(StatusCode::BAD_REQUEST),
    };
    status.into()
}
