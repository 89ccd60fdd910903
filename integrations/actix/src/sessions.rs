//! Sessions.

use std::rc::Rc;

use actix_web::dev::{ServiceRequest, ServiceResponse};
use http::StatusCode;
use tower_keep::body::problem_response;
use tower_keep::session::Sessions;

use crate::answered::{join, split};
use crate::head::{Section, View, own, with_extensions};
use crate::middleware::{Answered, Inner};

/// Gives each request a session, and saves it after the handler and before the response goes out. See the
/// [core's module](tower_keep::session) for what sessions are and what they cost.
#[derive(Clone, Debug)]
#[must_use]
pub struct SessionMiddleware(Sessions);

impl SessionMiddleware {
    /// A middleware over an engine, which other middlewares and tasks may share.
    pub const fn new(sessions: Sessions) -> Self {
        Self(sessions)
    }
}

crate::middleware::middleware!(SessionMiddleware, SessionService, Sessions, handle);

async fn handle<S: Inner>(sessions: Sessions, inner: Rc<S>, request: ServiceRequest) -> Answered<S> {
    if !sessions.allows_origin(&View::of(request.request())) {
        return Ok(request.into_response(own(problem_response(StatusCode::FORBIDDEN))));
    }
    let session = sessions.begin(&View::of(request.request()));
    with_extensions(request.request(), |extensions| session.enter(extensions));
    let (origin, mut response) = split(inner.call(request).await);
    let finish = match session.finish_now() {
        Some(finish) => finish,
        None => session.finish().await,
    };
    if let Some(failure) = &finish.failure {
        response = own(problem_response(failure.status()));
    }
    if finish.failure.is_none() || finish.set_cookie.is_some() {
        finish.write(&mut Section(response.headers_mut()));
    }
    join(origin, response)
}
