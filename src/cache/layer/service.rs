//! The Tower service.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::body::CacheBody;
use super::call::{Call, Step, Visit};
use super::future::{ResponseFuture, forwarded};
use crate::cache::engine::HttpCache;
use crate::cache::rules::{Bypass, Forward, MethodKind, RequestHead};
use crate::store::StoreKind;

/// Answers from the store. See the [module docs](crate::cache).
#[derive(Clone, Debug)]
#[must_use]
pub struct CacheService<S> {
    inner: S,
    cache: HttpCache,
}

impl<S> CacheService<S> {
    pub(super) const fn new(inner: S, cache: HttpCache) -> Self {
        Self { inner, cache }
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

impl<S, B, T> Service<Request<B>> for CacheService<S>
where
    S: Service<Request<B>, Response = Response<T>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Send + 'static,
    T: Body<Data = Bytes> + Send + 'static,
    T::Error: Send,
{
    type Response = Response<CacheBody<T>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, T, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let head = RequestHead::read(&request);
        let cache = self.cache.clone();
        let bypass = cache.policy.bypass.as_ref().is_some_and(|bypass| bypass(&request));
        let admitted =
            if bypass { Err(Forward::Bypass(Bypass::Policy)) } else { head.admit(&cache.policy.rules) };
        match admitted {
            Ok(()) => {
                let (request, body) = request.into_parts();
                let visit = Visit::new(cache, request, head);
                let embedded = visit.cache.engine.store.kind() == StoreKind::Memory;
                let step = embedded.then(|| now(visit.look())).flatten().map(|looked| visit.step(looked));
                if let Some(Step::Answer(response)) = step {
                    return ResponseFuture::ready(response);
                }
                // Called on the service that was polled ready; the clone takes its place.
                let clone = self.inner.clone();
                let inner = std::mem::replace(&mut self.inner, clone);
                let call = Box::new(Call { visit, inner, body });
                match step {
                    Some(step) => ResponseFuture::boxed(Box::pin(call.go_on(step))),
                    None => ResponseFuture::boxed(Box::pin(call.run())),
                }
            }
            Err(_) if head.method() == MethodKind::Unsafe => {
                let (request, body) = request.into_parts();
                let response = self.inner.call(Request::from_parts(request.clone(), body));
                ResponseFuture::boxed(Box::pin(async move {
                    let (head, body) = response.await?.into_parts();
                    cache.invalidate(&request, head.status, &head.headers).await;
                    Ok(forwarded(Response::from_parts(head, body), &cache, Forward::Method))
                }))
            }
            Err(why) => ResponseFuture::forward(self.inner.call(request), cache, why),
        }
    }
}

/// What a look-up in the embedded store finds: it never waits.
fn now<T>(look: impl Future<Output = T>) -> Option<T> {
    match pin!(look).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(found) => Some(found),
        Poll::Pending => None,
    }
}
