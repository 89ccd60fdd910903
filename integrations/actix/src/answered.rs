//! What an inner service gave: a response, or an error that becomes one. Errors carry cookies and fields as responses do.

use std::cell::Cell;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::{Error, HttpRequest, HttpResponse};

/// Where a response belongs: to a request, or to an error of an inner middleware. Handlers' errors are responses already.
pub(crate) type Origin = Result<HttpRequest, Error>;

/// An inner service's response, or that of its error, and where it belongs.
pub(crate) fn split<B>(answered: Result<ServiceResponse<B>, Error>) -> (Origin, HttpResponse<EitherBody<B>>) {
    match answered {
        Ok(response) => {
            let (request, response) = response.into_parts();
            (Ok(request), response.map_into_left_body())
        }
        Err(error) => {
            let response = error.error_response().map_into_right_body();
            (Err(error), response)
        }
    }
}

/// The response in its place. An error stays that error, for middlewares outside to look at, and becomes this response: also when somebody
/// asks twice, then with the body that it would have had.
pub(crate) fn join<B: MessageBody + 'static>(
    origin: Origin,
    response: HttpResponse<EitherBody<B>>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    match origin {
        Ok(request) => Ok(ServiceResponse::new(request, response)),
        Err(mut error) => {
            let (status, headers) = (response.status(), response.headers().clone());
            let body = Cell::new(Some(response.into_body().boxed()));
            error.add_response_mapper(move |mut plain| {
                *plain.status_mut() = status;
                *plain.headers_mut() = headers.clone();
                match body.take() {
                    Some(body) => plain.set_body(body),
                    None => plain,
                }
            });
            Err(error)
        }
    }
}
