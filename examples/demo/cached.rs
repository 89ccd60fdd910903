//! The cached routes, and purging by tag.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use axum::routing::get;
use demo_site::Site;
use demo_site::cached::{self, FRESH, FRESH_BIG, Slow, Tag};
use tower_keep_axum::cache::{CacheLayer, CacheTags, HttpCache};

use crate::pages;
use crate::problem::Problem;

pub fn routes(cache: &HttpCache) -> Router<Arc<Site>> {
    Router::new()
        .route("/cached/{name}", get(page))
        .route("/cached-big/{kib}", get(big))
        // Nothing of a stream is stored, and nothing of it is held back.
        .route("/stream", get(pages::stream))
        .route_layer(CacheLayer::new(cache.clone()))
}

async fn page(
    name: Result<Path<String>, PathRejection>,
    slow: Result<Query<Slow>, QueryRejection>,
) -> Result<impl IntoResponse, Problem> {
    let Path(name) = name.map_err(|rejection| rejection.status())?;
    let Query(slow) = slow.map_err(|rejection| rejection.status())?;
    let (tags, text) = cached::page(&name, slow).await;
    Ok((CacheTags(tags), [(CACHE_CONTROL, FRESH)], text))
}

async fn big(kib: Result<Path<usize>, PathRejection>) -> Result<impl IntoResponse, Problem> {
    let Path(kib) = kib.map_err(|rejection| rejection.status())?;
    Ok(([(CACHE_CONTROL, FRESH_BIG)], cached::big(kib)?))
}

pub async fn purge(
    State(site): State<Arc<Site>>,
    tag: Result<Query<Tag>, QueryRejection>,
) -> Result<StatusCode, Problem> {
    let Query(tag) = tag.map_err(|rejection| rejection.status())?;
    cached::purge(&site.cache, tag).await?;
    Ok(StatusCode::NO_CONTENT)
}
