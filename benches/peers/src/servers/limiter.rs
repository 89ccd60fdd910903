//! tower-keep's rate limit layer around the smallest handler, by the client's address; and its engine called by hand.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::routing::get;
use tower_keep_axum::by_client;
use tower_keep_axum::rate_limit::{
    ClientAddress, FailurePolicy, KeyPart, Limit, LimitConfigError, LimitKey, Quota, RateLimitLayer,
    RateLimiter, TrustedProxies,
};
use tower_keep_axum::store::Store;

use super::{Error, MANY};

const HOUR: Duration = Duration::from_secs(3600);

pub fn router(redis: &str) -> Result<Router, Error> {
    let store = Store::connect(redis)?;
    let many = Limit::new("many", Quota::per_second(MANY));
    let daily = Limit::new("daily", Quota::window(1 << 40, HOUR * 24));
    let few = Limit::new("few", Quota::window(1, HOUR));
    let by_hand = get(by_hand).with_state(limiter("by-hand", &store, [many.clone()])?);
    Ok(Router::new()
        .merge(layered("admitted", &store, [many.clone()])?)
        .merge(layered("two", &store, [many.clone(), daily])?)
        .merge(layered("embedded", &Store::in_memory(), [many])?)
        .merge(layered("refused", &store, [few])?)
        .route("/by-hand", by_hand))
}

fn limiter<const N: usize>(
    name: &str,
    store: &Store,
    limits: [Limit; N],
) -> Result<RateLimiter, LimitConfigError> {
    // A limit that failed open would look fast.
    let limits = limits.map(|limit| limit.on_failure(FailurePolicy::Closed));
    let builder = RateLimiter::builder(store.clone()).namespace(name);
    limits.into_iter().fold(builder, |builder, limit| builder.limit(limit)).build()
}

fn layered<const N: usize>(
    name: &str,
    store: &Store,
    limits: [Limit; N],
) -> Result<Router, LimitConfigError> {
    let layer = RateLimitLayer::new(limiter(name, store, limits)?, by_client(TrustedProxies::none()));
    Ok(Router::new().route(&format!("/{name}"), get(|| async { StatusCode::OK }).layer(layer)))
}

async fn by_hand(
    State(limiter): State<RateLimiter>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
) -> StatusCode {
    let client = KeyPart::from(ClientAddress::new(peer.ip()));
    match limiter.check(LimitKey::from(client)).await {
        Ok(decision) if decision.is_admitted() => StatusCode::OK,
        Ok(_) => StatusCode::TOO_MANY_REQUESTS,
        Err(error) => error.status(),
    }
}
