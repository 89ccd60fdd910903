//! The layers and extractors on axum.

use std::net::SocketAddr;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, ETAG};
use axum::response::IntoResponse;
use axum::{Router, routing::any, routing::get};
use tower_keep_axum::cache::CacheLayer;
use tower_keep_axum::rate_limit::{RateLimitLayer, TrustedProxies};
use tower_keep_axum::session::SessionLayer;
use tower_keep_axum::{Session, SessionProblem, by_client};

use super::Engines;
use crate::serve::on_axum;

pub async fn serve(engines: Engines) -> SocketAddr {
    let limits = RateLimitLayer::new(engines.limiter.clone(), by_client(TrustedProxies::none()));
    let app = Router::new()
        .route("/count", any(count))
        .route("/login", any(login))
        .route("/logout", any(logout))
        .route("/who", any(who))
        .route("/fails", any(fails))
        .route("/limited", get(|| async { "hello" }).layer(limits))
        .route("/page", get(page).layer(CacheLayer::new(engines.cache.clone())))
        .layer(SessionLayer::new(engines.sessions.clone()))
        .with_state(engines);
    on_axum(app).await
}

async fn count(session: Session) -> Result<String, SessionProblem> {
    Ok(session.increment("count", 1).await?.to_string())
}

async fn login(session: Session) -> Result<&'static str, SessionProblem> {
    session.login("alice")?;
    Ok("welcome")
}

async fn logout(session: Session) -> Result<&'static str, SessionProblem> {
    session.logout()?;
    Ok("bye")
}

async fn who(session: Session) -> String {
    session.principal().unwrap_or_else(|| "nobody".to_owned())
}

async fn fails(session: Session) -> Result<StatusCode, SessionProblem> {
    session.increment("count", 1).await?;
    Ok(StatusCode::IM_A_TEAPOT)
}

async fn page(State(engines): State<Engines>) -> impl IntoResponse {
    ([(CACHE_CONTROL, super::FRESH), (ETAG, super::ETAG)], engines.page())
}
