//! The rate limit layer around routers.

mod answers;
mod clients;
mod commands;
mod failures;
mod keys;
mod settle;
mod turns;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::http::request::Builder;
use axum::routing::any;
use keep_testing::Answer;
use tower_keep_axum::RateLimitStatus;
use tower_keep_axum::rate_limit::{Limit, Quota, RateLimitLayer, RateLimiter, RateLimiterBuilder};
use tower_keep_axum::store::Store;

use crate::harness::send;

pub const HOUR: Duration = Duration::from_secs(3600);
const LONG: Duration = Duration::from_secs(20);

/// Long enough that a busy machine never runs into it.
pub fn unhurried(store: &Store) -> RateLimiterBuilder {
    RateLimiter::builder(store.clone()).deadline(LONG)
}

/// So many in an hour.
pub fn hourly(name: &str, amount: u64) -> Limit {
    Limit::new(name, Quota::window(amount, HOUR))
}

pub fn one(store: &Store, amount: u64) -> RateLimiter {
    unhurried(store).limit(hourly("only", amount)).build().unwrap()
}

/// How often the handler ran.
pub type Runs = Arc<AtomicUsize>;

/// An app whose handler tells what is left, whatever the path, and counts its runs.
pub fn site(layer: RateLimitLayer) -> (Router, Runs) {
    let runs = Runs::default();
    let counted = Arc::clone(&runs);
    let handler = move |status: Option<RateLimitStatus>| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move { status.map_or("not counted".to_owned(), |status| format!("{:?}", status.remaining())) }
    };
    (Router::new().fallback(any(handler)).layer(layer), runs)
}

/// `GET /` from a peer.
pub fn from(peer: &str) -> Builder {
    let peer = SocketAddr::new(peer.parse().unwrap(), 4711);
    Request::get("/").extension(ConnectInfo(peer))
}

pub async fn ask(app: &Router, request: Builder) -> Answer {
    send(app, request.body(Body::empty()).unwrap()).await
}

/// The statuses of so many requests, one after the other.
pub async fn statuses(app: &Router, peer: &str, count: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(ask(app, from(peer)).await.status.as_u16());
    }
    statuses
}
