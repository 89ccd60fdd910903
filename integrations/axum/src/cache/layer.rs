//! The core's layer, told about nested routers.

use std::task::{Context, Poll};

use axum::extract::OriginalUri;
use http::Request;
use tower_keep::cache::{self as core, HttpCache};
use tower_keep::view::FullUri;
use tower_layer::Layer;
use tower_service::Service;

/// Puts a response cache around routes. See the [module docs](tower_keep::cache).
///
/// Unlike the core's it knows the whole path where it stands in a nested router, whose requests have lost the prefix: else
/// `/a/page` and `/b/page` would be one.
#[derive(Clone, Debug)]
#[must_use]
pub struct CacheLayer(core::CacheLayer);

impl CacheLayer {
    /// A layer of this cache.
    pub const fn new(cache: HttpCache) -> Self {
        Self(core::CacheLayer::new(cache))
    }
}

impl<S> Layer<S> for CacheLayer {
    type Service = CacheService<S>;

    fn layer(&self, inner: S) -> CacheService<S> {
        CacheService(self.0.layer(inner))
    }
}

/// Answers from the store. See the [module docs](tower_keep::cache).
#[derive(Clone, Debug)]
#[must_use]
pub struct CacheService<S>(core::CacheService<S>);

impl<S, B> Service<Request<B>> for CacheService<S>
where
    core::CacheService<S>: Service<Request<B>>,
{
    type Response = <core::CacheService<S> as Service<Request<B>>>::Response;
    type Error = <core::CacheService<S> as Service<Request<B>>>::Error;
    type Future = <core::CacheService<S> as Service<Request<B>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let full =
            request.extensions().get::<OriginalUri>().filter(|full| full.0.path() != request.uri().path());
        if let Some(OriginalUri(full)) = full.cloned() {
            request.extensions_mut().insert(FullUri(full));
        }
        self.0.call(request)
    }
}
