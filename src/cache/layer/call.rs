//! A request's way: to the store, and from there or from the handler back.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::header::{CACHE_CONTROL, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, PRAGMA, RANGE};
use http::{Request, Response};
use tokio::time::Instant;
use tower_service::Service;

use super::body::CacheBody;
use super::visit::{Step, ToHandler, Visit};
use crate::cache::rules::{Forward, RequestHead};
use crate::store::StoreKind;

/// How often a request looks again after somebody else filled, before it goes to the handler.
const LOOKS: usize = 4;

/// A request, and the service that answers it if the store does not.
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
    T: http_body::Body<Data = bytes::Bytes> + Send + 'static,
{
    /// Answers the request.
    pub(super) async fn run(self: Box<Self>) -> Result<Response<CacheBody<T>>, S::Error> {
        match self.visit.step().await {
            Step::Answer(response) => Ok(response),
            // Seldom, so that the future of a hit is small.
            step => Box::pin(self.go_on(step)).await,
        }
    }

    /// Answers it from its first step on.
    pub(super) async fn go_on(
        mut self: Box<Self>,
        mut step: Step<T>,
    ) -> Result<Response<CacheBody<T>>, S::Error> {
        let until = Instant::now() + self.visit.cache.engine.config.wait;
        let mut looks = 1;
        loop {
            step = match step {
                Step::Answer(response) => return Ok(response),
                Step::Refresh(response, to) => {
                    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                        runtime.spawn(self.refresh(to));
                    }
                    return Ok(response);
                }
                Step::Handler(to) => return self.ask(*to).await,
                Step::Fill(wish) => self.visit.fill(*wish, until).await,
                Step::Again if looks < LOOKS => {
                    looks += 1;
                    self.visit.step().await
                }
                Step::Again => {
                    return self.ask(ToHandler::unstored(Forward::Miss, Some("collapsed-too-often"))).await;
                }
            };
        }
    }

    /// Asks the handler for everybody: without the conditions and directives of the client that happened to come, and unless another process
    /// does.
    async fn refresh(mut self: Box<Self>, mut to: Box<ToHandler>) {
        let Some(fill) = &mut to.fill else { return };
        if !fill.ensure_leased().await {
            return;
        }
        let Visit { request, head, .. } = &mut self.visit;
        for name in [CACHE_CONTROL, PRAGMA, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_RANGE, RANGE] {
            request.headers.remove(name);
        }
        *head = RequestHead::read(&*request);
        if let Ok(response) = self.ask(*to).await {
            // The body passes by and is dropped when it is stored.
            drain(response.into_body()).await;
        }
    }
}

async fn drain<T: http_body::Body>(body: T) {
    let mut body = std::pin::pin!(body);
    while let Some(Ok(_)) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {}
}
