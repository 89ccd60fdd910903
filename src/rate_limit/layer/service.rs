//! The Tower service.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::body::RateLimitBody;
use super::future::ResponseFuture;
use super::gate::{Gate, Step};

/// Asks a limiter about each request. See [`RateLimitLayer`](super::RateLimitLayer).
#[derive(Clone, Debug)]
#[must_use]
pub struct RateLimitService<S> {
    inner: S,
    gate: Arc<Gate>,
}

impl<S> RateLimitService<S> {
    pub(super) const fn new(inner: S, gate: Arc<Gate>) -> Self {
        Self { inner, gate }
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

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for RateLimitService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ResBody: Body<Data = Bytes>,
{
    type Response = Response<RateLimitBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        match self.gate.start(&request) {
            Step::Pass => ResponseFuture::passed(self.inner.call(request)),
            Step::Answer(response) => ResponseFuture::answered(response),
            Step::Admit(limits) => {
                request.extensions_mut().insert(limits.clone());
                ResponseFuture::admitted(self.inner.call(request), Arc::clone(&self.gate), limits)
            }
            Step::Later(deciding) => {
                // The service that was polled ready goes along with the request; the clone must be asked anew.
                let clone = self.inner.clone();
                let ready = std::mem::replace(&mut self.inner, clone);
                ResponseFuture::deciding(ready, request, Arc::clone(&self.gate), deciding)
            }
        }
    }
}
