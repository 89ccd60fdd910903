//! The app on axum.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use tower_keep_axum::cache::CacheLayer;
use tower_keep_axum::rate_limit::{RateLimitLayer, TrustedProxies};
use tower_keep_axum::session::SessionLayer;
use tower_keep_axum::{Session, SessionProblem, by_client};

use super::{Engines, FRESH, big};
use crate::serve::on_axum;

pub async fn serve(engines: Engines) -> SocketAddr {
    let limit = |limiter: &_| RateLimitLayer::new(Clone::clone(limiter), by_client(TrustedProxies::none()));
    let cache = CacheLayer::new(engines.cache.clone());
    let app = Router::new()
        .route("/plain", get(|| async { "plain" }))
        .route("/login/{name}", post(login))
        .route("/logout", post(logout))
        .route("/me", get(me))
        .route("/count", post(count))
        .route("/note/{bytes}", post(note))
        .route("/limited", get(|| async { "limited" }).layer(limit(&engines.open)))
        .route("/strict", get(|| async { "limited" }).layer(limit(&engines.closed)))
        .route("/page/{name}", get(page).layer(cache.clone()))
        .route("/big/{kib}", get(bytes).layer(cache))
        .layer(SessionLayer::new(engines.sessions.clone()))
        .with_state(engines);
    on_axum(app).await
}

async fn login(session: Session, Path(name): Path<String>) -> Result<&'static str, SessionProblem> {
    session.login(&name)?;
    Ok("welcome")
}

async fn logout(session: Session) -> Result<&'static str, SessionProblem> {
    session.logout()?;
    Ok("bye")
}

async fn me(session: Session) -> String {
    session.principal().unwrap_or_else(|| "nobody".to_owned())
}

async fn count(session: Session) -> Result<String, SessionProblem> {
    Ok(session.increment("count", 1).await?.to_string())
}

async fn note(session: Session, Path(bytes): Path<usize>) -> Result<&'static str, SessionProblem> {
    session.insert("note", &"x".repeat(bytes))?;
    Ok("noted")
}

async fn page(State(engines): State<Engines>, Path(name): Path<String>) -> impl IntoResponse {
    ([(CACHE_CONTROL, FRESH)], engines.page(&name))
}

async fn bytes(Path(kib): Path<usize>) -> impl IntoResponse {
    ([(CACHE_CONTROL, FRESH)], big(kib))
}
