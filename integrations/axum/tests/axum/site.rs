//! A small app that most tests drive.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{delete, get, post, put};
use axum::{Extension, Json, Router};
use serde_json::{Value, json};
use tokio::sync::Barrier;
use tower_keep_axum::session::{Login, SessionHandle, Sessions};
use tower_keep_axum::{Session, SessionProblem};

use crate::harness::with_layer;

type Reply<T> = Result<T, SessionProblem>;

/// In a request's extensions: its handler stops twice between load and save, and goes on when the test comes there too.
pub type Pause = Arc<Barrier>;

pub fn pause() -> Pause {
    Arc::new(Barrier::new(2))
}

pub fn site(sessions: &Sessions) -> Router {
    let router = Router::new()
        .route("/plain", get(|| async { "ok" }))
        .route("/me", get(me))
        .route("/login/{user}", post(login))
        .route("/logout", post(logout))
        .route("/rotate", post(rotate))
        .route("/entries/{name}", put(put_entry).delete(delete_entry))
        .route("/count/{name}", post(count))
        .route("/devices", get(devices))
        .route("/devices/{handle}", delete(revoke_device))
        .route("/logout-others", post(logout_others));
    with_layer(router, sessions)
}

/// What `GET /me` says to a stranger.
pub fn stranger() -> Value {
    json!({ "user": null, "handle": null, "entries": {} })
}

async fn stop_at(pause: Option<Extension<Pause>>) {
    if let Some(Extension(pause)) = pause {
        pause.wait().await;
        pause.wait().await;
    }
}

async fn me(session: Session) -> Json<Value> {
    let handle = session.handle();
    Json(json!({
        "user": session.principal(),
        "handle": handle.as_ref().map(SessionHandle::as_str),
        "entries": session.entries(),
    }))
}

async fn login(
    session: Session,
    Path(user): Path<String>,
    headers: HeaderMap,
    pause: Option<Extension<Pause>>,
) -> Reply<String> {
    let browser = headers.get("user-agent").and_then(|value| value.to_str().ok()).unwrap_or("");
    let handle = session.login_with(Login::new(user).label(browser))?;
    stop_at(pause).await;
    Ok(handle.to_string())
}

async fn logout(session: Session) -> Reply<StatusCode> {
    session.logout()?;
    Ok(StatusCode::NO_CONTENT)
}

async fn rotate(session: Session, pause: Option<Extension<Pause>>) -> Reply<&'static str> {
    session.rotate()?;
    stop_at(pause).await;
    Ok("written")
}

async fn put_entry(
    session: Session,
    Path(name): Path<String>,
    pause: Option<Extension<Pause>>,
    body: String,
) -> Reply<&'static str> {
    session.insert(&name, &body)?;
    stop_at(pause).await;
    Ok("written")
}

async fn delete_entry(
    session: Session,
    Path(name): Path<String>,
    pause: Option<Extension<Pause>>,
) -> Reply<&'static str> {
    session.remove(&name)?;
    stop_at(pause).await;
    Ok("written")
}

async fn count(session: Session, Path(name): Path<String>) -> Reply<String> {
    Ok(session.increment(&name, 1).await?.to_string())
}

async fn devices(session: Session) -> Reply<Json<Value>> {
    let devices = session.devices().await?;
    let list = devices.iter().map(|d| json!({ "handle": d.handle.as_str(), "label": d.label }));
    Ok(Json(list.collect()))
}

async fn revoke_device(session: Session, Path(handle): Path<String>) -> Reply<StatusCode> {
    let Some(handle) = SessionHandle::parse(&handle) else { return Ok(StatusCode::NOT_FOUND) };
    let revoked = session.revoke_device(&handle).await?;
    Ok(if revoked { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND })
}

async fn logout_others(session: Session) -> Reply<String> {
    Ok(session.logout_others().await?.to_string())
}
