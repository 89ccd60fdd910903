//! tower-keep's cache layer around a small and a larger page, on Redis and embedded.

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CACHE_CONTROL;
use axum::routing::get;
use tower_keep_axum::cache::{CacheLayer, HttpCache};
use tower_keep_axum::store::Store;

use super::{Error, PAGES};

pub fn router(redis: &str) -> Result<Router, Error> {
    let stores = [("redis", Store::connect(redis)?), ("memory", Store::in_memory())];
    let mut router = Router::new();
    for (name, store) in stores {
        let cache = HttpCache::new(store)?;
        for (size, bytes) in PAGES {
            let page = Bytes::from(vec![b'x'; bytes]);
            let handler = get(move || async move { ([(CACHE_CONTROL, "max-age=86400")], page) });
            router = router.route(&format!("/{name}-{size}"), handler.layer(CacheLayer::new(cache.clone())));
        }
    }
    Ok(router)
}
