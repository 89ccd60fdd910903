//! The response cache for actix-web: what [the core has](tower_keep::cache), as a middleware.

use std::convert::Infallible;
use std::rc::Rc;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::test::TestRequest;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, rt};
use http::header::CONTENT_LENGTH;
use http::request::Parts;

use crate::answered::{Origin, split};
use crate::bodies::{AsActix, AsHttp};
use crate::head::{copied, head_of, with_extensions, write_head, write_headers};

use tower_keep::cache::{CacheBody, Entrance, Next};
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

type Sent<B> = http::Response<AsHttp<EitherBody<B>>>;
type Answer<B> = http::Response<CacheBody<AsHttp<EitherBody<B>>>>;

async fn handle<S, B>(
    cache: HttpCache,
    inner: Rc<S>,
    request: ServiceRequest,
) -> Result<ServiceResponse<EitherBody<B>>, Error>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    let Some(head) = copied(request.request()) else {
        return Ok(inner.call(request).await?.map_into_left_body()); // no URL that a cache could know
    };
    let headers = head.headers.clone();
    let mut visit = match cache.enter(head) {
        Entrance::Visit(visit) => visit,
        Entrance::Aside(aside) => {
            let (origin, shell, sent) = lift(inner.call(request).await);
            return origin.join(lower(shell, aside.answer(sent).await));
        }
    };
    match visit.next().await {
        Next::Answer(answer) => Ok(request.into_response(lower(HttpResponse::Ok().finish(), answer))),
        Next::Handler(to) => {
            let mut place = None;
            let handler = async |head: Parts| {
                let (origin, shell, sent) = lift(inner.call(as_seen(request, &headers, head)).await);
                place = Some((origin, shell));
                Ok::<_, Infallible>(sent)
            };
            let Ok(answer) = visit.ask(to, handler).await;
            match place {
                Some((origin, shell)) => origin.join(lower(shell, answer)),
                None => Err(actix_web::error::ErrorInternalServerError("the handler was not asked")),
            }
        }
        Next::Refresh(answer, to) => {
            let outside = stand_in(request.request());
            rt::spawn(visit.refresh(to, async move |head: Parts| {
                let (_, _, sent) = lift(inner.call(as_seen(request, &headers, head)).await);
                Ok::<_, Infallible>(sent)
            }));
            Ok(ServiceResponse::new(outside, lower(HttpResponse::Ok().finish(), answer)))
        }
    }
}

/// A response for the core: where it belongs, what remains of it here, and its head and body.
fn lift<B: MessageBody>(answered: Result<ServiceResponse<B>, Error>) -> (Origin, HttpResponse<()>, Sent<B>) {
    let (origin, response) = split(answered);
    let head = head_of(&response);
    let (shell, body) = response.into_parts();
    (origin, shell, http::Response::from_parts(head, AsHttp { body }))
}

/// The core's answer in what remains of the handler's response.
fn lower<B, T>(shell: HttpResponse<T>, answer: Answer<B>) -> HttpResponse<EitherBody<B>>
where
    B: MessageBody + 'static,
{
    let (head, body) = answer.into_parts();
    let body = match body.into_inner() {
        Ok(inner) => inner.body,
        Err(body) => {
            let named =
                head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
            EitherBody::right(BoxBody::new(AsActix { body, unsent: named.unwrap_or(0) }))
        }
    };
    let mut response = shell.set_body(body);
    write_head(head.status, &head.headers, &mut response);
    response
}

/// The request as its handler is to see it. `headers` are those that it has.
fn as_seen(mut request: ServiceRequest, headers: &http::HeaderMap, head: Parts) -> ServiceRequest {
    if head.headers != *headers {
        write_headers(&head.headers, request.headers_mut());
    }
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
    let mut head = TestRequest::default().method(request.method().clone()).version(request.version());
    head = head.uri(&request.uri().to_string());
    for line in request.headers() {
        head = head.append_header(line);
    }
    if let Some(peer) = request.peer_addr() {
        head = head.peer_addr(peer);
    }
    let outside = head.to_http_request();
    std::mem::swap(&mut *outside.extensions_mut(), &mut *request.extensions_mut());
    outside
}
