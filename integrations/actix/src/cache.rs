//! The response cache for actix-web: what [the core has](tower_keep::cache), as a middleware.

use std::convert::Infallible;
use std::rc::Rc;

use actix_web::body::EitherBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::test::TestRequest;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, rt};
use http::header::CONTENT_LENGTH;
use http::request::Parts;

use crate::answered::{Origin, join, split};
use crate::bodies::{AsHttp, as_actix};
use crate::head::{copied, head_of, with_extensions, with_head, write_headers};
use crate::middleware::{Answered, Inner};

use tower_keep::cache::{CacheBody, Entrance, Next, ToHandler, Visit};
pub use tower_keep::cache::{
    CacheConfigError, CacheError, CachePolicy, CacheTags, HttpCache, HttpCacheBuilder, NoStore, Purging,
    SessionRule, StoreFor, UnkeyedInput, rules,
};

/// Puts a response cache around an `App`, a scope or a resource. See the [core's module](tower_keep::cache).
///
/// Session middlewares stand outside of it.
#[derive(Clone, Debug)]
#[must_use]
pub struct CacheMiddleware(HttpCache);

impl CacheMiddleware {
    /// A middleware of this cache.
    pub const fn new(cache: HttpCache) -> Self {
        Self(cache)
    }
}

crate::middleware::middleware!(CacheMiddleware, CacheService, HttpCache, handle);

/// A response on its way to the core, and one that comes from it.
type Sent<S> = http::Response<AsHttp<EitherBody<<S as Inner>::Body>>>;
type Answer<S> = http::Response<CacheBody<AsHttp<EitherBody<<S as Inner>::Body>>>>;

/// What is seldom is in boxes, so that the future of a hit is small.
async fn handle<S: Inner>(cache: HttpCache, inner: Rc<S>, request: ServiceRequest) -> Answered<S> {
    let Some(head) = copied(request.request()) else {
        return Ok(inner.call(request).await?.map_into_left_body()); // no URL that a cache could know
    };
    let mut visit = match cache.enter(head) {
        Entrance::Visit(visit) => Box::new(visit),
        Entrance::Aside(aside) => {
            let (origin, shell, sent) = lift::<S>(inner.call(request).await);
            return join(origin, lower::<S, _>(shell, Box::pin(aside.answer(sent)).await));
        }
    };
    match visit.next().await {
        Next::Answer(answer) => Ok(request.into_response(lower::<S, _>(HttpResponse::Ok().finish(), answer))),
        Next::Handler(to) => Box::pin(ask::<S>(*visit, to, inner, request)).await,
        Next::Refresh(answer, to) => {
            let outside = stand_in(request.request());
            rt::spawn(visit.refresh(to, async move |head| {
                Ok::<_, Infallible>(lift::<S>(inner.call(as_seen(request, head)).await).2)
            }));
            Ok(ServiceResponse::new(outside, lower::<S, _>(HttpResponse::Ok().finish(), answer)))
        }
    }
}

async fn ask<S: Inner>(
    visit: Visit,
    to: Box<ToHandler>,
    inner: Rc<S>,
    request: ServiceRequest,
) -> Answered<S> {
    let mut place = None;
    let handler = async |head| {
        let (origin, shell, sent) = lift::<S>(inner.call(as_seen(request, head)).await);
        place = Some((origin, shell));
        Ok::<_, Infallible>(sent)
    };
    let Ok(answer) = visit.ask(to, handler).await;
    match place {
        Some((origin, shell)) => join(origin, lower::<S, _>(shell, answer)),
        None => Err(actix_web::error::ErrorInternalServerError("the handler was not asked")),
    }
}

/// A response for the core: where it belongs, what remains of it here, and its head and body.
fn lift<S: Inner>(answered: Result<ServiceResponse<S::Body>, Error>) -> (Origin, HttpResponse<()>, Sent<S>) {
    let (origin, response) = split(answered);
    let head = head_of(&response);
    let (shell, body) = response.into_parts();
    (origin, shell, http::Response::from_parts(head, AsHttp { body }))
}

/// The core's answer in what remains of the handler's response.
fn lower<S: Inner, T>(shell: HttpResponse<T>, answer: Answer<S>) -> HttpResponse<EitherBody<S::Body>> {
    let (head, body) = answer.into_parts();
    let length = || head.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
    let body = match body.into_inner() {
        Ok(inner) => inner.body,
        Err(body) => EitherBody::right(as_actix(body, length())),
    };
    with_head(shell.set_body(body), head.status, &head.headers)
}

/// The request as its handler is to see it.
fn as_seen(mut request: ServiceRequest, head: Parts) -> ServiceRequest {
    write_headers(&head.headers, request.headers_mut());
    if head.uri.query() != request.uri().query()
        && let Ok(uri) = head.uri.to_string().parse()
    {
        request.head_mut().uri = uri;
    }
    with_extensions(request.request(), |extensions| *extensions = head.extensions);
    request
}

/// What middlewares outside see while the request itself is with the handler: actix-web has no way to copy a request that is still to be
/// routed, and panics if two hold one.
fn stand_in(request: &HttpRequest) -> HttpRequest {
    let mut outside = TestRequest::with_uri(&request.uri().to_string()).to_srv_request();
    *outside.head_mut() = request.head().clone();
    let (outside, _) = outside.into_parts();
    std::mem::swap(&mut *outside.extensions_mut(), &mut *request.extensions_mut());
    outside
}
