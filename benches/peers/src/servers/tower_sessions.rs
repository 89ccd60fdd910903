//! tower-sessions with its Redis store, behind the same handlers. Pool size and settings are those of its documentation.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tower_sessions::{Session, SessionManagerLayer};
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::{ClientLike, Config, Pool};

use super::{COUNT, Error};

pub async fn router(redis: &str) -> Result<Router, Error> {
    let pool = Pool::new(Config::from_url(redis)?, None, None, None, 6)?;
    pool.connect();
    pool.wait_for_connect().await?;
    let layer = SessionManagerLayer::new(RedisStore::new(pool)).with_secure(false);
    Ok(Router::new()
        .route("/untouched", get(|| async { "ok" }))
        .route("/read", get(read))
        .route("/write", post(write))
        .layer(layer))
}

async fn read(session: Session) -> Result<String, StatusCode> {
    Ok(count(&session).await?.to_string())
}

async fn write(session: Session) -> Result<String, StatusCode> {
    let count = count(&session).await? + 1;
    session.insert(COUNT, count).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(count.to_string())
}

async fn count(session: &Session) -> Result<i64, StatusCode> {
    let count = session.get(COUNT).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(count.unwrap_or(0))
}
