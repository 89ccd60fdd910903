//! Redis freezes, dies and comes back: each limit goes by its policy, and nobody is refused because of it.

use std::time::Duration;

use axum::Router;
use keep_testing::RedisServer;
use tower_keep_axum::by_client;
use tower_keep_axum::rate_limit::{
    By, FailurePolicy, Limit, RateLimitLayer, RateLimiter, Settle, TrustedProxies,
};
use tower_keep_axum::session::{SessionLayer, Sessions};
use tower_keep_axum::store::Store;

use super::{ask, from, hourly, site, statuses};
use crate::harness::eventually;

fn store(server: &RedisServer) -> Store {
    Store::builder().probe_interval(Duration::from_millis(20)).connect(&server.url()).unwrap()
}

fn hasty(store: &Store, namespace: &str, limits: impl IntoIterator<Item = Limit>) -> RateLimiter {
    let builder =
        RateLimiter::builder(store.clone()).namespace(namespace).deadline(Duration::from_millis(30));
    limits.into_iter().fold(builder, |builder, limit| builder.limit(limit)).build().unwrap()
}

fn app(store: &Store, policy: FailurePolicy) -> Router {
    let limiter = hasty(store, policy.as_str(), [hourly("only", 1_000_000).on_failure(policy)]);
    site(RateLimitLayer::new(limiter, by_client(TrustedProxies::none()))).0
}

async fn serves(app: &Router) -> bool {
    ask(app, from("198.51.100.1")).await.headers.contains_key("ratelimit")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_redis_follows_the_policies_and_is_never_a_429() {
    let server = RedisServer::start();
    let store = store(&server);
    let [open, closed] = [FailurePolicy::Open, FailurePolicy::Closed].map(|policy| app(&store, policy));
    let small = hourly("only", 3).on_failure(FailurePolicy::Local);
    let local =
        site(RateLimitLayer::new(hasty(&store, "small", [small]), by_client(TrustedProxies::none()))).0;
    for app in [&open, &closed, &local] {
        eventually("the store serves", async || serves(app).await).await;
    }
    for round in 0..2 {
        server.freeze();
        for _ in 0..30 {
            let answer = ask(&open, from("192.0.2.1")).await;
            assert_eq!(
                (answer.status.as_u16(), answer.body.as_str()),
                (200, "None"),
                "nobody can tell what is left"
            );
            assert_eq!(answer.header("ratelimit"), None);
            let answer = ask(&closed, from("192.0.2.1")).await;
            assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, Some("1")));
            assert_eq!(answer.json().as_object().unwrap().len(), 3, "nothing of the inside: {answer:?}");
        }
        // Refused by a count of this process's own, which is a quota that was used up and no fault.
        let peer = format!("192.0.2.{}", 10 + round);
        assert_eq!(statuses(&local, &peer, 5).await, [200, 200, 200, 429, 429]);
        let call = from("192.0.2.1").header("content-type", "application/grpc");
        assert_eq!(ask(&closed, call).await.header("grpc-status"), Some("14"));
        server.thaw();
        for app in [&open, &closed] {
            eventually("the store serves again", async || serves(app).await).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_was_never_there_goes_by_the_policies_and_recovers() {
    let mut server = RedisServer::reserve(&[]);
    let store = store(&server);
    let [open, closed] = [FailurePolicy::Open, FailurePolicy::Closed].map(|policy| app(&store, policy));
    assert_eq!(statuses(&open, "192.0.2.1", 20).await, [200; 20]);
    assert_eq!(statuses(&closed, "192.0.2.1", 20).await, [503; 20]);
    server.restart();
    for app in [&open, &closed] {
        eventually("the store serves", async || serves(app).await).await;
    }
    assert_eq!(statuses(&closed, "192.0.2.1", 3).await, [200; 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_cannot_be_looked_up_goes_by_the_limits_policies() {
    let server = RedisServer::start();
    let store = store(&server);
    let sessions = Sessions::new(store.clone());
    eventually("the store serves", async || store.health().await.is_up()).await;
    let session = sessions.start();
    session.login("alice").unwrap();
    session.save().await.unwrap();
    let cookie = session.take_set_cookie().unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let app = |policy: FailurePolicy| {
        let limiter = hasty(&store, policy.as_str(), [hourly("only", 100).on_failure(policy)]);
        let by = By::principal().or(by_client(TrustedProxies::none()));
        site(RateLimitLayer::new(limiter, by)).0.layer(SessionLayer::new(sessions.clone()))
    };
    let [open, closed] = [FailurePolicy::Open, FailurePolicy::Closed].map(app);
    let known = |app: &Router| {
        let app = app.clone();
        async move { ask(&app, from("192.0.2.1").header("cookie", cookie)).await }
    };
    eventually("it counts", async || known(&open).await.headers.contains_key("ratelimit")).await;
    server.freeze();
    for _ in 0..10 {
        assert_eq!(known(&open).await.body, "not counted");
        assert_eq!(known(&closed).await.status, 503);
    }
    server.thaw();
    eventually("it counts again", async || known(&closed).await.headers.contains_key("ratelimit")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_settlement_that_fails_leaves_the_response() {
    let server = RedisServer::start();
    let store = store(&server);
    let limiter = hasty(&store, "settle", [hourly("only", 1_000_000).on_failure(FailurePolicy::Closed)]);
    let builder = RateLimitLayer::builder(limiter, by_client(TrustedProxies::none()));
    let layer = builder.settle(Settle::count_if(|status| status.is_client_error())).build().unwrap();
    let server = std::sync::Arc::new(server);
    let freezing = std::sync::Arc::clone(&server);
    let app = Router::new()
        .route("/freeze", axum::routing::get(async move || freezing.freeze()))
        .fallback(async || "ok")
        .layer(layer);
    eventually("the store serves", async || serves(&app).await).await;
    let answer = ask(&app, from("192.0.2.1").uri("/freeze")).await;
    assert_eq!(answer.status, 200);
    server.thaw();
}
