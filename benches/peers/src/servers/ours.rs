//! tower-keep behind the smallest handlers that use a session.

use axum::Router;
use axum::routing::{get, post};
use tower_keep_axum::session::{SessionCookie, SessionLayer, Sessions};
use tower_keep_axum::store::Store;
use tower_keep_axum::{Session, SessionProblem};

use super::{COUNT, Error};

pub fn router(redis: &str) -> Result<Router, Error> {
    let cookie = SessionCookie::insecure_for_development();
    let sessions = Sessions::builder(Store::connect(redis)?).cookie(cookie).build()?;
    Ok(Router::new()
        .route("/untouched", get(|| async { "ok" }))
        .route("/read", get(read))
        .route("/write", post(write))
        .route("/increment", post(increment))
        .layer(SessionLayer::new(sessions)))
}

async fn read(session: Session) -> Result<String, SessionProblem> {
    let count: i64 = session.get(COUNT)?.unwrap_or(0);
    Ok(count.to_string())
}

async fn write(session: Session) -> Result<String, SessionProblem> {
    let count = session.get::<i64>(COUNT)?.unwrap_or(0) + 1;
    session.insert(COUNT, &count)?;
    Ok(count.to_string())
}

async fn increment(session: Session) -> Result<String, SessionProblem> {
    Ok(session.increment(COUNT, 1).await?.to_string())
}
