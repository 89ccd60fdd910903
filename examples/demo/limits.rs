//! The limited routes. All count by the client's address.

use axum::routing::get;
use axum::{Json, Router};
use demo_site::limits::{self, Limiters};
use serde_json::Value;
use tower_keep_axum::rate_limit::{RateLimitLayer, RateLimiter, TrustedProxies};
use tower_keep_axum::{RateLimitStatus, by_client};

pub fn routes<S>(limiters: Limiters, proxies: &TrustedProxies) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let Limiters { bucket, window, both } = limiters;
    let layer = |limiter: RateLimiter| RateLimitLayer::new(limiter, by_client(proxies.clone()));
    // `route_layer`: what no handler answers, such as another method, is not counted.
    Router::new()
        .route("/limited", get(remaining).route_layer(layer(bucket)))
        .route("/window", get(remaining).route_layer(layer(window)))
        .route("/both", get(remaining).route_layer(layer(both)))
}

async fn remaining(status: RateLimitStatus) -> Json<Value> {
    Json(limits::remaining(&status))
}
