//! The page for people, a stream, and what operators look at.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse};
use futures_util::stream::{self, Stream};
use serde_json::json;
use tower_keep_axum::OptionalSession;

use crate::App;
use crate::problem::Problem;

/// The page shows itself even when the store fails: its session is optional.
pub async fn index(session: OptionalSession) -> Result<Html<String>, Problem> {
    let (user, notice) = match (session.is_read_only(), session.principal()) {
        (true, _) => (String::new(), "Sessions are unavailable at the moment; you see the page as a guest."),
        (false, user) => (user.unwrap_or_default(), ""),
    };
    let page = include_str!("page.html").replace("{{user}}", &escape(&user)).replace("{{notice}}", notice);
    Ok(Html(page))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// Five events, one each 200 ms: nothing on the way holds them back.
pub async fn stream() -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::unfold(0, |n| async move {
        if n == 5 {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        Some((Ok(Event::default().data(n.to_string())), n + 1))
    }))
}

pub async fn health(State(app): State<Arc<App>>) -> impl IntoResponse {
    let health = app.store.health().await;
    let status = if health.is_up() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let latency_us = health.latency.as_ref().ok().map(|latency| latency.as_micros() as u64);
    let body = json!({
        "store": health.kind.as_str(),
        "status": health.status.as_str(),
        "latency_us": latency_us,
        "pool": {
            "connections": health.pool.connections,
            "idle": health.pool.idle,
            "waiting": health.pool.waiting,
        },
        "desyncs": health.desyncs,
    });
    (status, Json(body))
}

pub async fn metrics(State(app): State<Arc<App>>) -> String {
    app.metrics.render()
}
