//! The cached routes, and purging by tag.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use axum::routing::get;
use serde::Deserialize;
use tower_keep_axum::cache::{CacheLayer, CachePolicy, CacheTags, HttpCache, Purging};
use tower_keep_axum::store::Store;

use crate::problem::Problem;
use crate::{App, pages};

const MAX_KIB: usize = 10_240;

pub fn cache(store: &Store) -> Result<HttpCache, Box<dyn Error>> {
    let policy = CachePolicy::new().max_body((MAX_KIB as u64) << 10);
    Ok(HttpCache::builder(store.clone()).policy(policy).build()?)
}

pub fn routes(cache: &HttpCache) -> Router<Arc<App>> {
    Router::new()
        .route("/cached/{name}", get(cached))
        .route("/cached-big/{kib}", get(big))
        // Nothing of a stream is stored, and nothing of it is held back.
        .route("/stream", get(pages::stream))
        .route_layer(CacheLayer::new(cache.clone()))
}

#[derive(Deserialize)]
struct Slow {
    #[serde(default)]
    ms: u64,
}

/// Says how often the handlers of this process ran: the same number twice is the same response.
async fn cached(Path(name): Path<String>, Query(slow): Query<Slow>) -> impl IntoResponse {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    tokio::time::sleep(Duration::from_millis(slow.ms.min(5000))).await;
    let run = RUNS.fetch_add(1, Ordering::Relaxed) + 1;
    let fresh = [(CACHE_CONTROL, "max-age=10, stale-while-revalidate=30")];
    let tags = CacheTags::new(["demo".to_owned(), format!("name:{name}")]);
    (tags, fresh, format!("{name}: run {run}\n"))
}

async fn big(Path(kib): Path<usize>) -> Result<impl IntoResponse, Problem> {
    if kib > MAX_KIB {
        return Err(StatusCode::BAD_REQUEST.into());
    }
    let line = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n";
    Ok(([(CACHE_CONTROL, "max-age=60")], Bytes::from(line.repeat(kib * 16))))
}

#[derive(Deserialize)]
pub struct Tag {
    tag: String,
}

pub async fn purge(
    State(app): State<Arc<App>>,
    Query(Tag { tag }): Query<Tag>,
) -> Result<StatusCode, Problem> {
    app.cache.purge(Purging::tags([tag])).await?;
    Ok(StatusCode::NO_CONTENT)
}
