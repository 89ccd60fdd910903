//! Rate limits: what axum knows of a request, as rules.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, MatchedPath};
use tower_keep::rate_limit::{By, ByClient, KeyPart, TrustedProxies};
use tower_keep::view::RequestView;

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
