//! The Tower middleware.

mod answer;
mod body;
mod call;
mod entrance;
mod future;
mod handler;
mod outgoing;
mod service;
mod settle;
mod stored;
mod visit;

pub use body::{CacheBody, CacheBodyError};
#[doc(hidden)]
pub use entrance::{Aside, Entrance};
pub use future::ResponseFuture;
pub use service::CacheService;
#[doc(hidden)]
pub use visit::{Next, ToHandler, Visit};

use tower_layer::Layer;

use super::engine::HttpCache;

/// Puts a response cache around a service. See the [module docs](super).
#[derive(Clone, Debug)]
#[must_use]
pub struct CacheLayer(HttpCache);

impl CacheLayer {
    /// A layer of this cache.
    pub const fn new(cache: HttpCache) -> Self {
        Self(cache)
    }
}

impl<S> Layer<S> for CacheLayer {
    type Service = CacheService<S>;

    fn layer(&self, inner: S) -> CacheService<S> {
        CacheService::new(inner, self.0.clone())
    }
}
