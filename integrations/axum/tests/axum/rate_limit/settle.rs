//! What a request costs when its response is there.

use std::num::NonZeroU64;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_keep_axum::rate_limit::{By, Cost, LimitKey, RateLimitLayer, RateLimiter, Settle};

use super::{ask, from, hourly, unhurried};
use crate::harness::{Backend, eventually, for_each_store};

async fn with_status(Path(status): Path<u16>) -> StatusCode {
    StatusCode::from_u16(status).unwrap()
}

async fn with_cost(Path(cost): Path<u64>) -> impl IntoResponse {
    (axum::Extension(Cost(cost)), "ok").into_response()
}

async fn of_bytes(Path(bytes): Path<usize>) -> Response {
    Body::from(vec![b'x'; bytes]).into_response()
}

fn app(limiter: &RateLimiter, settle: Settle) -> Router {
    let layer = RateLimitLayer::builder(limiter.clone(), By::everybody()).settle(settle).build().unwrap();
    Router::new()
        .route("/status/{status}", get(with_status))
        .route("/cost/{cost}", get(with_cost))
        .route("/bytes/{bytes}", get(of_bytes))
        .route("/plain", get(|| async { "ok" }))
        .layer(layer)
}

fn limiter(backend: &Backend, namespace: &str) -> RateLimiter {
    unhurried(&backend.store)
        .namespace(namespace)
        .limit(hourly("a", 10))
        .limit(hourly("b", 100))
        .build()
        .unwrap()
}

async fn left(limiter: &RateLimiter) -> (u64, u64) {
    let decision = limiter.peek(LimitKey::from("everybody")).await.unwrap();
    let left = |name| decision.limit(name).unwrap().standing.unwrap().remaining;
    (left("a"), left("b"))
}

async fn get_status(app: &Router, path: &str) -> u16 {
    ask(app, from("192.0.2.1").uri(path.to_owned())).await.status.as_u16()
}

#[tokio::test]
async fn only_failures_count() {
    for_each_store(async |backend| {
        let limiter = limiter(backend, "login");
        let app = app(&limiter, Settle::count_if(|status| status.is_client_error()).only(["a"]));
        for _ in 0..15 {
            assert_eq!(get_status(&app, "/status/200").await, 200);
        }
        assert_eq!(left(&limiter).await, (10, 85), "of the one limit nothing, of the other all");
        for _ in 0..10 {
            assert_eq!(get_status(&app, "/status/401").await, 401);
        }
        assert_eq!(get_status(&app, "/status/200").await, 429, "ten failures");
        assert_eq!(left(&limiter).await, (0, 75));
    })
    .await;
}

#[tokio::test]
async fn the_handler_says_what_it_cost() {
    for_each_store(async |backend| {
        let limiter = limiter(backend, "handler");
        let app = app(&limiter, Settle::by_handler());
        for (path, expected) in [
            ("/cost/4", (6, 96)),
            ("/cost/0", (6, 96)),
            ("/cost/1", (5, 95)),
            ("/plain", (4, 94)),
            ("/cost/50", (0, 44)),
        ] {
            assert_eq!(get_status(&app, path).await, 200);
            assert_eq!(left(&limiter).await, expected, "{path}");
        }
        assert_eq!(get_status(&app, "/cost/0").await, 429, "what was used beyond is felt");
    })
    .await;
}

#[tokio::test]
async fn bytes_that_went_out_are_charged() {
    for_each_store(async |backend| {
        let limiter = limiter(backend, "bytes");
        let app = app(&limiter, Settle::by_bytes(NonZeroU64::new(1000).unwrap()));
        let answer = ask(&app, from("192.0.2.1").uri("/bytes/4001")).await;
        assert_eq!(answer.body.len(), 4001);
        eventually("it was settled", async || left(&limiter).await == (5, 95)).await;
        ask(&app, from("192.0.2.1").uri("/bytes/0")).await;
        eventually("an empty body costs nothing", async || left(&limiter).await == (5, 95)).await;
    })
    .await;
}

#[tokio::test]
async fn what_an_outer_layer_counted_is_not_given_back() {
    for_each_store(async |backend| {
        let limiter = limiter(backend, "outer");
        let inner = app(&limiter, Settle::count_if(|status| status.is_client_error()));
        let app = inner.layer(RateLimitLayer::new(limiter.clone(), By::everybody()));
        assert_eq!(get_status(&app, "/status/200").await, 200);
        assert_eq!(left(&limiter).await, (9, 99));
    })
    .await;
}
