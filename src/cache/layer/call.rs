//! A request and the Tower service that answers it if the store does not.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::body::CacheBody;
use super::visit::{Next, Step, Visit};
use crate::store::StoreKind;

pub(super) struct Call<S, B> {
    pub(super) visit: Visit,
    pub(super) inner: S,
    pub(super) body: B,
}

impl Visit {
    /// The first step where it takes no waiting: in the embedded store. `None`: it takes waiting.
    pub(super) fn step_at_once<T>(&self) -> Option<Step<T>> {
        if self.cache.engine.store.kind() != StoreKind::Memory {
            return None;
        }
        match pin!(self.step()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(step) => Some(step),
            Poll::Pending => None,
        }
    }
}

impl<S, B, T> Call<S, B>
where
    S: Service<Request<B>, Response = Response<T>> + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Send + 'static,
    T: Body<Data = Bytes> + Send + 'static,
{
    /// Answers the request.
    pub(super) async fn run(self: Box<Self>) -> Result<Response<CacheBody<T>>, S::Error> {
        match self.visit.step().await {
            Step::Done(Next::Answer(response)) => Ok(response),
            // Seldom, so that the future of a hit is small.
            step => Box::pin(self.go_on(step)).await,
        }
    }

    /// Answers it from its first step on.
    pub(super) async fn go_on(self: Box<Self>, step: Step<T>) -> Result<Response<CacheBody<T>>, S::Error> {
        let Self { mut visit, mut inner, body } = *self;
        let next = visit.follow(step).await;
        let handler = move |request| inner.call(Request::from_parts(request, body));
        match next {
            Next::Answer(response) => Ok(response),
            Next::Handler(to) => visit.ask(to, handler).await,
            Next::Refresh(response, to) => {
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    runtime.spawn(visit.refresh(to, handler));
                }
                Ok(response)
            }
        }
    }
}
