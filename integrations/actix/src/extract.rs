//! Extractors, and what they and handlers are answered with when they fail: problem details (RFC 9457) that say nothing of the inside.

use std::pin::Pin;

use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError};
use tower_keep::adapter::Extracted;
use tower_keep::body::error_response;
use tower_keep::view::RequestView;

use crate::head::{View, old_status, own};

tower_keep::adapter_types!();

macro_rules! extractors {
    ($([$($generics:tt)*] $name:ty),+) => {$(
        impl<$($generics)*> FromRequest for $name {
            type Error = <Self as Extracted>::Rejection;
            type Future = Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

            fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
                Box::pin(Self::find(View::of(request).extensions()))
            }
        }
    )+};
}

extractors!(
    [] Session, [] RequiredSession, [] OptionalSession, [T: 'static] Typed<T>, [N: SessionName + 'static] Named<N>,
    [] RateLimitStatus
);

macro_rules! responses {
    ($($name:ty),+) => {$(
        impl ResponseError for $name {
            fn status_code(&self) -> actix_web::http::StatusCode {
                old_status(self.0.status())
            }

            fn error_response(&self) -> HttpResponse {
                own::<BoxBody>(error_response(self.0.status(), &self.0)).map_into_boxed_body()
            }
        }
    )+};
}

responses!(SessionRejection, RateLimitRejection, SessionProblem);
