//! Rate limits: the middleware, and rules from what actix-web knows of a request.

use std::rc::Rc;
use std::sync::Arc;

use actix_web::body::EitherBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use tower_keep::rate_limit::{
    By, ByClient, Gate, KeyPart, RateLimitLayer, RateLimitLayerBuilder, RateLimiter, Step, TrustedProxies,
};

use crate::answered::{join, split};
use crate::bodies::{AsHttp, as_actix};
use crate::head::{Section, View, head_of, own, with_extensions};
use crate::middleware::{Answered, Inner};

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

async fn handle<S: Inner>(gate: Arc<Gate>, inner: Rc<S>, request: ServiceRequest) -> Answered<S> {
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
                let metered = |body| as_actix(gate.metered(&limits, AsHttp { body }), None);
                response = response.map_body(|_, body| EitherBody::right(metered(body)));
            }
        }
    }
    join(origin, response)
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
