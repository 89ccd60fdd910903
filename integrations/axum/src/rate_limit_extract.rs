//! Rate limits: what axum knows of a request, as rules, and the decision as an extractor.

use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;

use axum::extract::{ConnectInfo, MatchedPath};
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use tower_keep::rate_limit::{By, ByClient, KeyPart, RateLimits, TrustedProxies};
use tower_keep::view::RequestView;

use crate::problem::RateLimitRejection;

/// Counts by the client's address, with the peer's from axum's [`ConnectInfo`]: serve the router with
/// `into_make_service_with_connect_info::<SocketAddr>()`. Without it every request is one without a key, and the log says so.
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_keep_axum::by_client;
/// use tower_keep_axum::rate_limit::{Limit, ProxyHeader, Quota, RateLimitLayer, RateLimiter, TrustedProxies};
/// use tower_keep_axum::store::Store;
///
/// # fn app() -> Result<Router, Box<dyn std::error::Error>> {
/// let api = Limit::new("api", Quota::per_second(10).burst(30));
/// let limiter = RateLimiter::builder(Store::in_memory()).limit(api).build()?;
/// let proxies = TrustedProxies::networks(ProxyHeader::XForwardedFor, ["10.0.0.0/8"])?;
/// let app = Router::new()
///     .route("/", get(|| async { "hello" }))
///     .layer(RateLimitLayer::new(limiter, by_client(proxies)));
/// # Ok(app) }
/// ```
pub fn by_client(proxies: TrustedProxies) -> ByClient {
    By::client(proxies).peer(peer)
}

/// Counts by the matched route (`/users/{id}`), prefixes of nested routers included. A request that no route matched is one without a
/// key.
pub fn by_route() -> By {
    By::request(|request| {
        let route = request.extensions()?.get::<MatchedPath>()?;
        Some(KeyPart::path(route.as_str()).into_owned())
    })
}

/// The peer's address, from [`ConnectInfo`], or where there is none from the core's [`PeerAddr`](tower_keep::view::PeerAddr).
fn peer(request: &dyn RequestView) -> Option<IpAddr> {
    match request.extensions()?.get::<ConnectInfo<SocketAddr>>() {
        Some(ConnectInfo(address)) => Some(address.ip()),
        None => request.peer(),
    }
}

/// What the rate limit layers outside decided about this request: what is left, limit by limit.
///
/// As `Option<RateLimitStatus>` it is `None` where no layer counted the request: there is none, or each skipped it.
///
/// ```
/// use tower_keep_axum::RateLimitStatus;
///
/// async fn handler(status: RateLimitStatus) -> String {
///     format!("{:?} left", status.remaining())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct RateLimitStatus(pub RateLimits);

impl Deref for RateLimitStatus {
    type Target = RateLimits;

    fn deref(&self) -> &RateLimits {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RateLimitStatus {
    type Rejection = RateLimitRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, RateLimitRejection> {
        let limits = parts.extensions.get::<RateLimits>().cloned();
        limits.map(Self).ok_or(RateLimitRejection::MissingLayer)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for RateLimitStatus {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, std::convert::Infallible> {
        Ok(parts.extensions.get::<RateLimits>().cloned().map(Self))
    }
}
