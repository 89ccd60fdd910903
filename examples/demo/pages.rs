//! The page for people, a stream, and what operators look at.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{Html, IntoResponse};
use demo_site::{Site, pages};
use futures_util::StreamExt;
use tower_keep_axum::OptionalSession;

use crate::problem::Problem;

pub async fn index(session: OptionalSession) -> Result<Html<String>, Problem> {
    Ok(Html(pages::index(&session)))
}

pub async fn stream() -> impl IntoResponse {
    let fields = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-cache")];
    (fields, Body::from_stream(pages::events().map(Ok::<_, std::io::Error>)))
}

pub async fn health(State(site): State<Arc<Site>>) -> impl IntoResponse {
    let (status, body) = pages::health(&site.store).await;
    (status, Json(body))
}

pub async fn metrics(State(site): State<Arc<Site>>) -> String {
    site.metrics.render()
}
