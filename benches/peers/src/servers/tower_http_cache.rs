//! tower-http-cache, on Redis and in memory. Its errors are made axum's.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};
use tower_http_cache::prelude::{CacheBackend, CacheLayer, InMemoryBackend, RedisBackend};

use super::{Error, PAGES};

const DAY: Duration = Duration::from_secs(86_400);

pub async fn router(redis: &str) -> Result<Router, Error> {
    let manager = redis::Client::open(redis)?.get_connection_manager().await?;
    let router = pages(Router::new(), "redis", &RedisBackend::new(manager));
    Ok(pages(router, "memory", &InMemoryBackend::new(1000)))
}

fn pages<B: CacheBackend>(mut router: Router, name: &str, backend: &B) -> Router {
    for (size, bytes) in PAGES {
        let page = Bytes::from(vec![b'x'; bytes]);
        let handler = service_fn(move |_: Request<axum::body::Body>| {
            let page = page.clone();
            async move { Ok::<_, Infallible>(Response::new(Full::new(page))) }
        });
        let cached = CacheLayer::builder(backend.clone()).ttl(DAY).build();
        let service = cached.layer(handler);
        let infallible = service_fn(move |request| {
            let service = service.clone();
            async move {
                Ok::<_, Infallible>(match service.oneshot(request).await {
                    Ok(response) => response.map(axum::body::Body::new),
                    Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
                })
            }
        });
        router = router.route_service(&format!("/{name}-{size}"), infallible);
    }
    router
}
