//! The Tower service.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::engine::Sessions;
use super::future::ResponseFuture;
use crate::body::KeepBody;

/// Gives each request a session. See the [module docs](crate::session).
#[derive(Clone, Debug)]
#[must_use]
pub struct SessionService<S> {
    inner: S,
    sessions: Sessions,
}

impl<S> SessionService<S> {
    pub(super) const fn new(inner: S, sessions: Sessions) -> Self {
        Self { inner, sessions }
    }

    /// The inner service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SessionService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes>,
{
    type Response = Response<KeepBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        if !self.sessions.allows_origin(&request) {
            return ResponseFuture::refused();
        }
        let session = self.sessions.begin(&request);
        session.enter(request.extensions_mut());
        // Called on the service that was polled ready; no clone is made, so none can be unready.
        ResponseFuture::new(self.inner.call(request), session)
    }
}
