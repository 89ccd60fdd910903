//! How a request comes in, for adapters of frameworks whose services are not Tower's.

use http::request::Parts;
use http::{Request, Response};

use super::body::CacheBody;
use super::future::forwarded;
use super::service::admit;
use super::visit::Visit;
use crate::cache::engine::HttpCache;
use crate::cache::rules::{Forward, MethodKind, RequestHead};

/// Whether caching has a part in a request.
#[derive(Debug)]
pub enum Entrance {
    /// It may be answered from the store.
    Visit(Visit),
    /// It goes to the handler, whatever is stored.
    Aside(Aside),
}

/// A request that caching passes by.
#[derive(Debug)]
pub struct Aside {
    cache: HttpCache,
    request: Parts,
    head: RequestHead,
    why: Forward,
}

impl HttpCache {
    /// Decides about a request.
    #[doc(hidden)]
    #[must_use]
    pub fn enter(&self, request: Parts) -> Entrance {
        let request = Request::from_parts(request, ());
        let head = RequestHead::read(&request);
        let admitted = admit(self, &request, &head);
        let (cache, (request, ())) = (self.clone(), request.into_parts());
        match admitted {
            Ok(()) => Entrance::Visit(Visit::new(cache, request, head)),
            Err(why) => {
                let why = if head.method() == MethodKind::Unsafe { Forward::Method } else { why };
                Entrance::Aside(Aside::new(cache, request, head, why))
            }
        }
    }
}

impl Aside {
    pub(super) const fn new(cache: HttpCache, request: Parts, head: RequestHead, why: Forward) -> Self {
        Self { cache, request, head, why }
    }

    /// The response as it goes out, when what an unsafe request makes invalid is gone.
    pub async fn answer<T>(self, response: Response<T>) -> Response<CacheBody<T>> {
        let Self { cache, request, head, why } = self;
        let (sent, body) = response.into_parts();
        if head.method() == MethodKind::Unsafe {
            cache.invalidate(&request, sent.status, &sent.headers).await;
        }
        forwarded(Response::from_parts(sent, body), &cache, why)
    }
}
