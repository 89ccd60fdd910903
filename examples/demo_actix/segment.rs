//! The last segment of a path, as text.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use demo_site::Failure;
use http::StatusCode;

use crate::problem::Problem;

/// The last segment of the path, percent-decoded. Unlike `web::Path`, which replaces what is not UTF-8, it refuses that with 400: two
/// paths are not to mean the same entry.
pub struct Segment(pub String);

impl FromRequest for Segment {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let last = request.uri().path().rsplit('/').next().unwrap_or_default();
        let text = percent_encoding::percent_decode_str(last).decode_utf8();
        ready(match text {
            Ok(text) => Ok(Self(text.into_owned())),
            Err(_) => Err(Problem(Failure(StatusCode::BAD_REQUEST))),
        })
    }
}
