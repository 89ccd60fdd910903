//! The response cache around axum's routers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use keep_testing::Answer;
use tower::ServiceExt;
use tower_keep_axum::Session;
use tower_keep_axum::cache::{
    CacheLayer, CachePolicy, CacheTags, HttpCache, NoStore, Purging, SessionRule, StoreFor,
};
use tower_keep_axum::session::SessionLayer;

use crate::harness::for_each_store;

const FRESH: [(axum::http::HeaderName, &str); 1] = [(CACHE_CONTROL, "max-age=60")];

async fn ask(app: &Router, path: &str) -> Answer {
    let request = Request::get(path).header("host", "h").body(Body::empty()).unwrap();
    Answer::read(app.clone().oneshot(request).await.unwrap()).await
}

fn is_hit(answer: &Answer) -> bool {
    answer.header("cache-status").is_some_and(|status| status.contains("; hit"))
}

/// A route that counts its runs, with these parts of a response.
fn counted<P: IntoResponse + Clone + Send + Sync + 'static>(parts: P) -> axum::routing::MethodRouter {
    let runs = Arc::new(AtomicU32::new(0));
    get(move || {
        let run = runs.fetch_add(1, Ordering::Relaxed);
        let response = parts.clone().into_response();
        async move {
            let (head, _) = response.into_parts();
            axum::response::Response::from_parts(head, Body::from(format!("run {run}")))
        }
    })
}

#[tokio::test]
async fn nested_routers_with_the_same_routes_are_told_apart() {
    for_each_store(async |backend| {
        let cache = HttpCache::new(backend.store.clone()).unwrap();
        let part = |name: &'static str| {
            let page = get(move || async move { (FRESH, name) });
            Router::new().route("/page", page).layer(CacheLayer::new(cache.clone()))
        };
        let app = Router::new().nest("/a", part("a")).nest("/b", part("b"));
        for _ in 0..2 {
            assert_eq!(
                (ask(&app, "/a/page").await.body, ask(&app, "/b/page").await.body),
                ("a".into(), "b".into())
            );
        }
        assert!(is_hit(&ask(&app, "/a/page").await));
        cache.purge(Purging::url("h", "/a/page")).await.unwrap();
        assert!(!is_hit(&ask(&app, "/a/page").await) && is_hit(&ask(&app, "/b/page").await));
    })
    .await;
}

#[tokio::test]
async fn handlers_say_how_their_responses_are_stored() {
    for_each_store(async |backend| {
        let cache = HttpCache::new(backend.store.clone()).unwrap();
        let app = Router::new()
            .route("/tagged", counted((CacheTags::new(["a", "b"]), FRESH)))
            .route("/no-store", counted((NoStore, FRESH)))
            .route("/store-for", counted((StoreFor(Duration::from_secs(9)), [(CACHE_CONTROL, "max-age=0")])))
            .layer(CacheLayer::new(cache.clone()));
        for path in ["/tagged", "/no-store", "/store-for"] {
            assert!(!is_hit(&ask(&app, path).await), "{path}");
            assert_eq!(is_hit(&ask(&app, path).await), path != "/no-store", "{path}");
        }
        let refused = ask(&app, "/no-store").await;
        assert!(refused.header("cache-status").unwrap().contains("no-store-by-handler"), "{refused:?}");
        for tag in ["b", "a"] {
            cache.purge(Purging::tags([tag])).await.unwrap();
            assert!(!is_hit(&ask(&app, "/tagged").await) && is_hit(&ask(&app, "/tagged").await), "{tag}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_handler_made_for_a_session_is_private_unless_the_route_says_otherwise() {
    for_each_store(async |backend| {
        for (rule, shared) in [(SessionRule::Private, false), (SessionRule::Public, true)] {
            let policy = CachePolicy::new().sessions(rule);
            let namespace = if shared { "public" } else { "private" };
            let cache = HttpCache::builder(backend.store.clone())
                .namespace(namespace)
                .policy(policy)
                .build()
                .unwrap();
            let app = Router::new()
                .route(
                    "/mine",
                    get(|session: Session| async move { (FRESH, format!("{:?}", session.principal())) }),
                )
                .route("/all", get(|| async { (FRESH, "all") }))
                .layer(CacheLayer::new(cache))
                .layer(SessionLayer::new(backend.sessions()));
            for (path, stored) in [("/mine", shared), ("/all", true)] {
                ask(&app, path).await;
                let second = ask(&app, path).await;
                assert_eq!(is_hit(&second), stored, "{rule:?} {path}: {second:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_write_makes_its_own_url_in_a_nested_router_stale() {
    for_each_store(async |backend| {
        let cache = HttpCache::new(backend.store.clone()).unwrap();
        let inner = Router::new()
            .route("/item", counted(FRESH).merge(post(|| async { "changed" })))
            .layer(CacheLayer::new(cache));
        let app = Router::new().nest("/api", inner);
        ask(&app, "/api/item").await;
        assert!(is_hit(&ask(&app, "/api/item").await));
        let write = Request::post("/api/item").header("host", "h").body(Body::empty()).unwrap();
        assert_eq!(app.clone().oneshot(write).await.unwrap().status(), 200);
        assert!(!is_hit(&ask(&app, "/api/item").await));
    })
    .await;
}
