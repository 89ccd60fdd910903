//! The limit: handlers that do nothing but the named commands, through one cloned multiplexed connection.

use std::collections::HashMap;

use actix_web::error::ErrorServiceUnavailable;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpResponse, Result};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

use super::super::{ACTIX_HASH, COUNT, Error, MANY};

/// What the rate limiter and the sessions send, to the letter but for the keys.
const LIMIT: &str = include_str!("../../../../../src/store/redis/scripts/rate_limit.lua");
const COMMIT: &str = include_str!("../../../../../src/store/redis/scripts/session_commit.lua");

#[derive(Clone)]
struct Redis {
    conn: MultiplexedConnection,
    limit: String,
    commit: String,
}

type Hash = HashMap<String, Vec<u8>>;

pub async fn routes(redis: &str) -> Result<impl Fn(&mut ServiceConfig) + Clone + Send + use<>, Error> {
    let mut conn = redis::Client::open(redis)?.get_multiplexed_async_connection().await?;
    let limit = redis::cmd("SCRIPT").arg("LOAD").arg(LIMIT).query_async(&mut conn).await?;
    let commit = redis::cmd("SCRIPT").arg("LOAD").arg(COMMIT).query_async(&mut conn).await?;
    let redis = Data::new(Redis { conn, limit, commit });
    Ok(move |config: &mut ServiceConfig| {
        config
            .app_data(redis.clone())
            .route("/hgetall", web::get().to(read))
            .route("/write", web::post().to(write))
            .route("/script", web::get().to(limited))
            .route("/page", web::get().to(page));
    })
}

async fn read(redis: Data<Redis>) -> Result<String> {
    let hash: Hash = redis.conn.clone().hgetall(ACTIX_HASH).await.map_err(ErrorServiceUnavailable)?;
    Ok(hash.len().to_string())
}

async fn write(redis: Data<Redis>) -> Result<String> {
    let mut conn = redis.conn.clone();
    let hash: Hash = conn.hgetall(ACTIX_HASH).await.map_err(ErrorServiceUnavailable)?;
    let count = hash.get(COUNT).and_then(|count| std::str::from_utf8(count).ok()?.parse::<i64>().ok());
    let count = count.unwrap_or(0) + 1;
    let meta = hash.get("@").map_or(&[][..], Vec::as_slice);
    let mut call = redis::cmd("EVALSHA");
    call.arg(&redis.commit).arg(1).arg(ACTIX_HASH);
    call.arg(meta).arg(60_000).arg("s").arg(COUNT).arg(count); // the grace time of one minute is the default
    let (_, status, ..): (String, String, i64, String) =
        call.query_async(&mut conn).await.map_err(ErrorServiceUnavailable)?;
    if status == "ok" { Ok(count.to_string()) } else { Err(ErrorServiceUnavailable(status)) }
}

async fn limited(redis: Data<Redis>) -> Result<HttpResponse> {
    let mut call = redis::cmd("EVALSHA");
    call.arg(&redis.limit).arg(1).arg("limit:actix:bucket:ip=127.0.0.1");
    call.arg("take").arg("b").arg(MANY).arg(1).arg(1); // Quota::per_second(MANY)
    let (_, now, _): (String, i64, String) =
        call.query_async(&mut redis.conn.clone()).await.map_err(ErrorServiceUnavailable)?;
    Ok(if now < 0 { HttpResponse::TooManyRequests().finish() } else { HttpResponse::Ok().finish() })
}

async fn page(redis: Data<Redis>) -> Result<Vec<u8>> {
    redis.conn.clone().get("limit:1k").await.map_err(ErrorServiceUnavailable)
}
