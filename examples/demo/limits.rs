//! The limited routes. All count by the client's address.

use std::error::Error;

use axum::routing::get;
use axum::{Json, Router};
use demo_site::limits::{self, Limiters};
use serde_json::Value;
use tower_keep_axum::rate_limit::{RateLimitLayer, RateLimiter, TrustedProxies};
use tower_keep_axum::store::Store;
use tower_keep_axum::{RateLimitStatus, by_client};

pub fn routes<S>(store: &Store, proxies: &TrustedProxies) -> Result<Router<S>, Box<dyn Error>>
where
    S: Clone + Send + Sync + 'static,
{
    let Limiters { bucket, window, both } = Limiters::new(store)?;
    let layer = |limiter: RateLimiter| RateLimitLayer::new(limiter, by_client(proxies.clone()));
    // `route_layer`: what no handler answers, such as another method, is not counted.
    Ok(Router::new()
        .route("/limited", get(remaining).route_layer(layer(bucket)))
        .route("/window", get(remaining).route_layer(layer(window)))
        .route("/both", get(remaining).route_layer(layer(both))))
}

async fn remaining(status: RateLimitStatus) -> Json<Value> {
    Json(limits::remaining(&status))
}
