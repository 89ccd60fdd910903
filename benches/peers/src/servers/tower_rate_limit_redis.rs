//! tower-rate-limit-redis on one multiplexed connection, as its documentation shows.
//!
//! It admits at most one a millisecond after a burst of 65,535, so admitted traffic takes turns at a thousand keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::routing::get;
use redis_0_32::Client;
use tower_rate_limit_redis::{KeyResolver, RateLimitLayer};

use super::Error;

#[derive(Clone, Debug, Default)]
struct InTurn(Arc<AtomicUsize>);

impl KeyResolver for InTurn {
    type Key = String;
    type ErrorBody = Body;

    fn key<T>(&self, _: &Request<T>) -> Result<String, Response<Body>> {
        Ok(format!("trlr:{}", self.0.fetch_add(1, Ordering::Relaxed) % 1000))
    }
}

#[derive(Clone, Debug)]
struct One;

impl KeyResolver for One {
    type Key = &'static str;
    type ErrorBody = Body;

    fn key<T>(&self, _: &Request<T>) -> Result<&'static str, Response<Body>> {
        Ok("trlr:one")
    }
}

pub async fn router(redis: &str) -> Result<Router, Error> {
    let conn = Client::open(redis)?.get_multiplexed_async_connection().await?;
    let many =
        RateLimitLayer::builder().conn(conn.clone()).key_resolver(InTurn::default()).capacity(u16::MAX);
    let few = RateLimitLayer::builder().conn(conn).key_resolver(One).capacity(1);
    let (many, few) = (many.emission_interval(Duration::from_millis(1)), few.emission_interval(HOUR));
    let handler = || get(|| async { StatusCode::OK });
    Ok(Router::new()
        .route("/admitted", handler().layer(many.build()))
        .route("/refused", handler().layer(few.build())))
}

const HOUR: Duration = Duration::from_secs(3600);
