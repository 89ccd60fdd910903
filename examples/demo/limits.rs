//! The limited routes: a token bucket, a fixed window, and two limits at once. All count by the client's address.

use std::error::Error;
use std::time::Duration;

use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tower_keep_axum::rate_limit::{FailurePolicy, Limit, Quota, RateLimitLayer, RateLimiter, TrustedProxies};
use tower_keep_axum::store::Store;
use tower_keep_axum::{RateLimitStatus, by_client};

pub fn routes<S>(store: &Store, proxies: &TrustedProxies) -> Result<Router<S>, Box<dyn Error>>
where
    S: Clone + Send + Sync + 'static,
{
    let layer = |namespace: &str, limits: &[Limit]| {
        let mut builder = RateLimiter::builder(store.clone()).namespace(namespace);
        for limit in limits {
            // While the store is away, this process goes on counting by itself.
            builder = builder.limit(limit.clone().on_failure(FailurePolicy::Local));
        }
        builder.build().map(|limiter| RateLimitLayer::new(limiter, by_client(proxies.clone())))
    };
    let bucket = layer("limited", &[Limit::new("bucket", Quota::per_second(1).burst(5))])?;
    let window = layer("window", &[Limit::new("window", Quota::window(10, Duration::from_secs(10)))])?;
    let both = [Limit::new("second", Quota::per_second(3)), Limit::new("minute", Quota::per_minute(20))];
    let both = layer("both", &both)?;
    // `route_layer`: what no handler answers, such as another method, is not counted.
    Ok(Router::new()
        .route("/limited", get(remaining).route_layer(bucket))
        .route("/window", get(remaining).route_layer(window))
        .route("/both", get(remaining).route_layer(both)))
}

/// What is left of the limit that is closest to exhaustion.
async fn remaining(status: RateLimitStatus) -> Json<Value> {
    Json(json!({ "remaining": status.remaining() }))
}
