//! axum-response-cache, in memory.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::get;
use axum_response_cache::CacheLayer;

use super::{Error, PAGES};

const DAY: Duration = Duration::from_secs(86_400);

pub fn router() -> Result<Router, Error> {
    let mut router = Router::new();
    for (size, bytes) in PAGES {
        let page = Bytes::from(vec![b'x'; bytes]);
        let handler = get(move || async move { page }).layer(CacheLayer::with_lifespan(DAY));
        router = router.route(&format!("/memory-{size}"), handler);
    }
    Ok(router)
}
