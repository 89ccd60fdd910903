//! Rate limits: the middleware, rules from what actix-web knows of a request, and the decision as an extractor.

use std::future::{Ready, ready};
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse};
use actix_web::{Error, FromRequest, HttpRequest};
use tower_keep::rate_limit::{
    By, ByClient, Gate, KeyPart, RateLimitLayer, RateLimitLayerBuilder, RateLimiter, RateLimits, Step,
    TrustedProxies,
};

use crate::answered::split;
use crate::bodies::{AsActix, AsHttp};
use crate::head::{Section, View, extension, head_of, own, with_extensions};
use crate::problem::RateLimitRejection;

/// Asks a limiter about each request before the handler runs or the body is touched; see [`RateLimitLayer`], whose settings and answers
/// these are.
#[derive(Clone, Debug)]
#[must_use]
pub struct RateLimitMiddleware(Arc<Gate>);

impl RateLimitMiddleware {
    /// A middleware with default settings: every request is asked about, and one without a key is refused.
    pub fn new(limiter: RateLimiter, by: impl Into<By>) -> Self {
        RateLimitLayer::new(limiter, by).into()
    }

    /// Settings, whose result is made a middleware by `RateLimitMiddleware::from`.
    pub fn builder(limiter: RateLimiter, by: impl Into<By>) -> RateLimitLayerBuilder {
        RateLimitLayer::builder(limiter, by)
    }
}

impl From<RateLimitLayer> for RateLimitMiddleware {
    fn from(layer: RateLimitLayer) -> Self {
        Self(Arc::clone(layer.gate()))
    }
}

crate::middleware::middleware!(RateLimitMiddleware, RateLimitService, Arc<Gate>, handle);

async fn handle<S, B>(
    gate: Arc<Gate>,
    inner: Rc<S>,
    request: ServiceRequest,
) -> Result<ServiceResponse<EitherBody<B>>, Error>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    let mut step = gate.start(&View::of(request.request()));
    let limits = loop {
        match step {
            Step::Pass => return Ok(inner.call(request).await?.map_into_left_body()),
            Step::Answer(response) => return Ok(request.into_response(own(response))),
            Step::Admit(limits) => break limits,
            Step::Later(outcome) => step = gate.go_on(outcome.await, &View::of(request.request())),
        }
    };
    with_extensions(request.request(), |extensions| extensions.insert(limits.clone()));
    let (origin, mut response) = split(inner.call(request).await);
    gate.tell(&limits, &mut Section(response.headers_mut()));
    if gate.settles() {
        match gate.settle(&limits, &head_of(&response)) {
            Some(settling) => settling.await,
            None => {
                let metered =
                    |body| AsActix { body: gate.metered(&limits, AsHttp { body }), unsent: 0 }.boxed();
                response = response.map_body(|_, body| EitherBody::right(metered(body)));
            }
        }
    }
    origin.join(response)
}

/// Counts by the client's address. The peer's is the connection's; forwarding headers count from trusted proxies alone.
pub fn by_client(proxies: TrustedProxies) -> ByClient {
    By::client(proxies)
}

/// Counts by the matched route (`/users/{id}`), prefixes of scopes included. Routes are known inside of a resource: a middleware around a
/// whole app or scope finds no key.
pub fn by_route() -> By {
    By::request(|request| Some(KeyPart::path(&request.route()?).into_owned()))
}

/// What the rate limit middlewares outside decided about this request: what is left, limit by limit.
///
/// As `Option<RateLimitStatus>` it is `None` where none counted the request: there is none, or each skipped it.
#[derive(Clone, Debug)]
pub struct RateLimitStatus(pub RateLimits);

impl Deref for RateLimitStatus {
    type Target = RateLimits;

    fn deref(&self) -> &RateLimits {
        &self.0
    }
}

impl FromRequest for RateLimitStatus {
    type Error = RateLimitRejection;
    type Future = Ready<Result<Self, RateLimitRejection>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(extension(request).map(Self).ok_or(RateLimitRejection::MissingMiddleware))
    }
}
