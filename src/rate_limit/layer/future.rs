//! The future of a response: the decision, the inner service's response, the settlement.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::body::RateLimitBody;
use super::gate::{Boxed, Gate, Outcome, Step};
use super::limits::RateLimits;

pin_project_lite::pin_project! {
    /// Future of a [`RateLimitService`](super::RateLimitService).
    #[must_use]
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B, S::Future, S::Response>,
        // None for a request with which the layer has nothing to do.
        gate: Option<Arc<Gate>>,
        limits: Option<RateLimits>,
    }
}

pin_project_lite::pin_project! {
    #[project = Projected]
    enum State<S, B, F, R> {
        Deciding { pending: Option<(S, Request<B>)>, deciding: Boxed<Outcome> },
        Running { #[pin] inner: F },
        Settling { response: Option<R>, settling: Boxed<()> },
        Answered { response: Option<Response<Bytes>> },
    }
}

impl<S: Service<Request<B>>, B> ResponseFuture<S, B> {
    pub(super) const fn passed(inner: S::Future) -> Self {
        Self { state: State::Running { inner }, gate: None, limits: None }
    }

    pub(super) const fn answered(response: Response<Bytes>) -> Self {
        Self { state: State::Answered { response: Some(response) }, gate: None, limits: None }
    }

    pub(super) const fn admitted(inner: S::Future, gate: Arc<Gate>, limits: RateLimits) -> Self {
        Self { state: State::Running { inner }, gate: Some(gate), limits: Some(limits) }
    }

    pub(super) const fn deciding(
        service: S,
        request: Request<B>,
        gate: Arc<Gate>,
        deciding: Boxed<Outcome>,
    ) -> Self {
        let pending = Some((service, request));
        Self { state: State::Deciding { pending, deciding }, gate: Some(gate), limits: None }
    }
}

impl<S, B, ResBody> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    ResBody: Body<Data = Bytes>,
{
    type Output = Result<Response<RateLimitBody<ResBody>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                Projected::Deciding { pending, deciding } => {
                    let outcome = ready!(deciding.as_mut().poll(cx));
                    let (Some(gate), Some((mut service, mut request))) = (this.gate.as_ref(), pending.take())
                    else {
                        return Poll::Pending; // polled again after it was ready
                    };
                    match gate.go_on(outcome, &request) {
                        Step::Later(next) => {
                            *pending = Some((service, request));
                            *deciding = next;
                        }
                        Step::Answer(response) => {
                            this.state.set(State::Answered { response: Some(response) });
                        }
                        Step::Pass => {
                            *this.gate = None;
                            this.state.set(State::Running { inner: service.call(request) });
                        }
                        Step::Admit(limits) => {
                            request.extensions_mut().insert(limits.clone());
                            *this.limits = Some(limits);
                            this.state.set(State::Running { inner: service.call(request) });
                        }
                    }
                }
                Projected::Running { inner } => {
                    let response = ready!(inner.poll(cx))?;
                    let (Some(gate), Some(limits)) = (this.gate.as_ref(), this.limits.as_ref()) else {
                        return Poll::Ready(Ok(response.map(RateLimitBody::inner)));
                    };
                    match finish(gate, limits, response) {
                        ControlFlow::Continue(response) => return Poll::Ready(Ok(response)),
                        ControlFlow::Break((response, settling)) => {
                            this.state.set(State::Settling { response: Some(response), settling });
                        }
                    }
                }
                Projected::Settling { response, settling } => {
                    ready!(settling.as_mut().poll(cx));
                    return match response.take() {
                        Some(response) => Poll::Ready(Ok(response.map(RateLimitBody::inner))),
                        None => Poll::Pending, // polled again after it was ready
                    };
                }
                Projected::Answered { response } => {
                    return match response.take() {
                        Some(response) => Poll::Ready(Ok(response.map(RateLimitBody::own))),
                        None => Poll::Pending, // polled again after it was ready
                    };
                }
            }
        }
    }
}

/// A response, and what must come before it goes out.
type Unsettled<B> = (Response<B>, Boxed<()>);

/// An admitted request's response, or what must come before it goes out.
fn finish<B>(
    gate: &Gate,
    limits: &RateLimits,
    mut response: Response<B>,
) -> ControlFlow<Unsettled<B>, Response<RateLimitBody<B>>> {
    gate.tell(limits, response.headers_mut());
    if !gate.settles() {
        return ControlFlow::Continue(response.map(RateLimitBody::inner));
    }
    let (head, body) = response.into_parts();
    match gate.settle(limits, &head) {
        Some(settling) => ControlFlow::Break((Response::from_parts(head, body), settling)),
        None => ControlFlow::Continue(Response::from_parts(head, gate.metered(limits, body))),
    }
}

impl<S: Service<Request<B>>, B> std::fmt::Debug for ResponseFuture<S, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
