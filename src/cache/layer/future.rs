//! The future of a response.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;

use super::body::CacheBody;
use crate::cache::engine::HttpCache;
use crate::cache::rules::{CacheStatus, Forward};

type Boxed<T, E> = Pin<Box<dyn Future<Output = Result<Response<CacheBody<T>>, E>> + Send>>;

pin_project_lite::pin_project! {
    /// Future of a [`CacheService`](super::CacheService).
    #[must_use]
    pub struct ResponseFuture<F, T, E> {
        #[pin]
        kind: Kind<F, T, E>,
    }
}

pin_project_lite::pin_project! {
    #[project = Projected]
    enum Kind<F, T, E> {
        Forward { #[pin] future: F, cache: HttpCache, why: Forward },
        Boxed { future: Boxed<T, E> },
        Ready { response: Option<Response<CacheBody<T>>> },
    }
}

impl<F, T, E> ResponseFuture<F, T, E> {
    pub(super) const fn forward(future: F, cache: HttpCache, why: Forward) -> Self {
        Self { kind: Kind::Forward { future, cache, why } }
    }

    pub(super) const fn ready(response: Response<CacheBody<T>>) -> Self {
        Self { kind: Kind::Ready { response: Some(response) } }
    }

    pub(super) const fn boxed(future: Boxed<T, E>) -> Self {
        Self { kind: Kind::Boxed { future } }
    }
}

impl<F, T, E> Future for ResponseFuture<F, T, E>
where
    F: Future<Output = Result<Response<T>, E>>,
{
    type Output = Result<Response<CacheBody<T>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            Projected::Forward { future, cache, why } => {
                let response = ready!(future.poll(cx));
                Poll::Ready(response.map(|response| forwarded(response, cache, *why)))
            }
            Projected::Boxed { future } => future.as_mut().poll(cx),
            // Polled again after it was ready, it has nothing more to say.
            Projected::Ready { response } => {
                response.take().map_or(Poll::Pending, |response| Poll::Ready(Ok(response)))
            }
        }
    }
}

/// A response in which caching has no part.
pub(super) fn forwarded<T>(
    mut response: Response<T>,
    cache: &HttpCache,
    why: Forward,
) -> Response<CacheBody<T>> {
    crate::metric::count("tower_keep_cache_forwarded_total", why.as_str());
    CacheStatus::forward(&cache.engine.config.name, why).append_to(response.headers_mut());
    response.map(CacheBody::inner)
}

impl<F, T, E> std::fmt::Debug for ResponseFuture<F, T, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
