//! The Tower service.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response};
use http_body::Body;
use tower_service::Service;

use super::body::CacheBody;
use super::call::Call;
use super::entrance::Aside;
use super::future::ResponseFuture;
use super::visit::{Next, Step, Visit};
use crate::cache::engine::HttpCache;
use crate::cache::rules::{Bypass, Forward, MethodKind, RequestHead};

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
        match admit(&cache, &request, &head) {
            Ok(()) => {
                let (request, body) = request.into_parts();
                let visit = Visit::new(cache, request, head);
                let step = match visit.step_at_once() {
                    Some(Step::Done(Next::Answer(response))) => return ResponseFuture::ready(response),
                    step => step,
                };
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
                let aside = Aside::new(cache, request, head, Forward::Method);
                ResponseFuture::boxed(Box::pin(async move { Ok(aside.answer(response.await?).await) }))
            }
            Err(why) => ResponseFuture::forward(self.inner.call(request), cache, why),
        }
    }
}

/// Whether a request may be answered from the store, and its response stored.
pub(super) fn admit<B>(cache: &HttpCache, request: &Request<B>, head: &RequestHead) -> Result<(), Forward> {
    if cache.policy.bypass.as_ref().is_some_and(|bypass| bypass(request)) {
        return Err(Forward::Bypass(Bypass::Policy));
    }
    head.admit(&cache.policy.rules)?;
    // What it carries would have to be part of the key.
    if head.method() == MethodKind::Query {
        return Err(Forward::Method);
    }
    if names_two_hosts(request) {
        return Err(Forward::Bypass(Bypass::UrlOverride));
    }
    Ok(())
}

/// The URI's authority goes before `Host` (RFC 9112 §3.2.2), but handlers look at either.
fn names_two_hosts<B>(request: &Request<B>) -> bool {
    let Some(authority) = request.uri().authority() else { return false };
    let differs = |host: &HeaderValue| !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes());
    request.headers().get_all(HOST).iter().any(differs)
}
