//! The limit: handlers that do nothing but the named commands, through one cloned multiplexed connection.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};

use super::{Error, HASH, MANY, STRING};

type Answer<T> = Result<T, Failed>;

/// What the rate limiter sends, to the letter but for the key.
const SCRIPT: &str = include_str!("../../../../src/store/redis/scripts/rate_limit.lua");

pub async fn router(redis: &str) -> Result<Router, Error> {
    let mut conn = redis::Client::open(redis)?.get_multiplexed_async_connection().await?;
    let script: String = redis::cmd("SCRIPT").arg("LOAD").arg(SCRIPT).query_async(&mut conn).await?;
    let limited = Router::new().route("/script", get(limited)).with_state((conn.clone(), script.into()));
    Ok(Router::new()
        .route("/untouched", get(|| async { "ok" }))
        .route("/get", get(read))
        .route("/get-json", get(read_json))
        .route("/hgetall", get(read_hash))
        .route("/get-set", post(write))
        .route("/page-1k", get(|state| page(state, "limit:1k")))
        .route("/page-64k", get(|state| page(state, "limit:64k")))
        .with_state(conn)
        .merge(limited))
}

async fn limited(State((mut conn, script)): State<(MultiplexedConnection, Arc<str>)>) -> Answer<StatusCode> {
    let mut call = redis::cmd("EVALSHA");
    call.arg(&*script).arg(1).arg("limit:bucket:ip=127.0.0.1");
    call.arg("take").arg("b").arg(MANY).arg(1).arg(1); // Quota::per_second(MANY)
    let (_, now, _): (String, i64, String) = call.query_async(&mut conn).await?;
    Ok(if now < 0 { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::OK })
}

async fn read(State(mut conn): State<MultiplexedConnection>) -> Answer<String> {
    let value: Vec<u8> = conn.get(STRING).await?;
    Ok(value.len().to_string())
}

async fn page(State(mut conn): State<MultiplexedConnection>, key: &'static str) -> Answer<Bytes> {
    let page: Vec<u8> = conn.get(key).await?;
    Ok(page.into())
}

/// The answer of the demo's `GET /api/me`, built in the same way.
async fn read_json(State(mut conn): State<MultiplexedConnection>) -> Answer<Json<Value>> {
    let value: Vec<u8> = conn.get(STRING).await?;
    Ok(Json(json!({
        "user": "alice",
        "handle": "AAAAAAAAAAAAAAAAAAAAAA",
        "visits": value.len(),
        "entries": { "note": "hello" },
    })))
}

async fn read_hash(State(mut conn): State<MultiplexedConnection>) -> Answer<String> {
    let fields: Vec<(Vec<u8>, Vec<u8>)> = conn.hgetall(HASH).await?;
    Ok(fields.len().to_string())
}

async fn write(State(mut conn): State<MultiplexedConnection>) -> Answer<String> {
    let mut value: Vec<u8> = conn.get(STRING).await?;
    if let Some(last) = value.last_mut() {
        *last = last.wrapping_add(1);
    }
    let () = conn.set(STRING, &value).await?;
    Ok(value.len().to_string())
}

struct Failed;

impl From<redis::RedisError> for Failed {
    fn from(_: redis::RedisError) -> Self {
        Self
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    }
}
