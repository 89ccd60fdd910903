//! The page for people, a stream, and what operators look at.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http::StatusCode;
use serde_json::{Value, json};
use tower_keep::session::Session;
use tower_keep::store::Store;

/// The page shows itself even when the store fails: its session is optional.
#[must_use]
pub fn index(session: &Session) -> String {
    let (user, notice) = match (session.is_read_only(), session.principal()) {
        (true, _) => (String::new(), "Sessions are unavailable at the moment; you see the page as a guest."),
        (false, user) => (user.unwrap_or_default(), ""),
    };
    include_str!("page.html").replace("{{user}}", &escape(&user)).replace("{{notice}}", notice)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// Five server-sent events, one each 200 ms: nothing on the way holds them back.
pub fn events() -> impl Stream<Item = Bytes> + Send + 'static {
    stream::unfold(0, |n| async move {
        if n == 5 {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        Some((format!("data: {n}\n\n").into(), n + 1))
    })
}

/// How the store is.
pub async fn health(store: &Store) -> (StatusCode, Value) {
    let health = store.health().await;
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
    (status, body)
}
