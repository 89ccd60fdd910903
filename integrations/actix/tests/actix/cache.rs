//! The response cache.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::header::CACHE_CONTROL;
use actix_web::test::{TestRequest, init_service};
use actix_web::{App, HttpResponse, Responder, web};
use keep_testing::Answer;
use tower_keep_actix::cache::{CacheMiddleware, CacheTags, HttpCache, NoStore, Purging, StoreFor};
use tower_keep_actix::clock::Clock;
use tower_keep_actix::session::Sessions;
use tower_keep_actix::store::{MemoryLimits, Store};
use tower_keep_actix::{ResponderExt, Session, SessionMiddleware};

use crate::harness::{Teapot, ask};
use crate::streams::pieces;

type Runs = web::Data<AtomicU64>;

fn run(runs: &Runs) -> String {
    format!("run {}", runs.fetch_add(1, Ordering::Relaxed) + 1)
}

async fn page(runs: Runs) -> impl Responder {
    let fresh = (CACHE_CONTROL, "max-age=60, stale-while-revalidate=600, stale-if-error=600");
    run(&runs).customize().insert_header(fresh).with(CacheTags::new(["page"]))
}

fn runs() -> Runs {
    web::Data::new(AtomicU64::new(0))
}

fn status(answer: &Answer) -> &str {
    answer.header("cache-status").unwrap()
}

/// What goes on behind a response.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[actix_web::test]
async fn a_page_is_made_once_until_it_is_purged() {
    let cache = HttpCache::new(Store::in_memory()).unwrap();
    let app = init_service(
        App::new()
            .app_data(runs())
            .service(
                web::scope("/shop")
                    .route("/lamp", web::get().to(page))
                    .route("/lamp", web::put().to(HttpResponse::Ok)),
            )
            .wrap(CacheMiddleware::new(cache.clone())),
    )
    .await;
    let get = async || {
        let answer = ask(&app, TestRequest::with_uri("/shop/lamp")).await;
        settle().await;
        answer
    };
    let first = get().await;
    assert_eq!((first.body.as_str(), status(&first)), ("run 1", "tower-keep; fwd=uri-miss; stored"));
    let second = get().await;
    assert_eq!((second.body.as_str(), second.header("age")), ("run 1", Some("0")));
    assert!(status(&second).starts_with("tower-keep; hit; ttl="), "{second:?}");
    cache.purge(Purging::tags(["page"])).await.unwrap();
    assert_eq!(get().await.body, "run 2");
    let changed = ask(&app, TestRequest::put().uri("/shop/lamp")).await;
    assert_eq!(status(&changed), "tower-keep; fwd=method");
    assert_eq!(get().await.body, "run 3", "an unsafe request makes its URL invalid");
}

#[actix_web::test]
async fn handlers_say_what_is_stored() {
    let cache = CacheMiddleware::new(HttpCache::new(Store::in_memory()).unwrap());
    let app = init_service(
        App::new()
            .app_data(runs())
            .route(
                "/never",
                web::get().to(async |runs: Runs| {
                    run(&runs).customize().insert_header((CACHE_CONTROL, "max-age=60")).with(NoStore)
                }),
            )
            .route(
                "/for",
                web::get().to(async |runs: Runs| run(&runs).with(StoreFor(Duration::from_secs(60)))),
            )
            .route(
                "/session",
                web::get().to(async |runs: Runs, _: Session| {
                    run(&runs).customize().insert_header((CACHE_CONTROL, "max-age=60"))
                }),
            )
            .route(
                "/pieces",
                web::get().to(async || {
                    let mut response = pieces(&["a", "b", "c"]);
                    let fresh = actix_web::http::header::HeaderValue::from_static("max-age=60");
                    response.headers_mut().insert(CACHE_CONTROL, fresh);
                    response
                }),
            )
            .wrap(cache)
            .wrap(SessionMiddleware::new(Sessions::new(Store::in_memory()))),
    )
    .await;
    for (path, reason, stored) in [
        ("/never", "detail=no-store-by-handler", false),
        ("/for", "stored", true),
        ("/session", "detail=session", false),
        ("/pieces", "stored", true),
    ] {
        let first = ask(&app, TestRequest::with_uri(path)).await;
        settle().await;
        assert!(status(&first).ends_with(reason), "{path}: {first:?}");
        let second = ask(&app, TestRequest::with_uri(path)).await;
        assert_eq!((second.body == first.body, status(&second).contains("hit")), (stored, stored), "{path}");
    }
}

#[actix_web::test]
async fn what_is_stale_goes_out_while_the_handler_makes_it_anew() {
    let clock = Clock::manual(1_800_000_000_000);
    let store = Store::in_memory_with(MemoryLimits::default(), clock.clone());
    let seen = web::Data::new(AtomicU64::new(0));
    let outside = seen.clone();
    // Around the whole app: the request in the background is still to be routed.
    let app = init_service(
        App::new()
            .app_data(runs())
            .service(web::scope("/shop").route("/{name}", web::get().to(page)))
            .wrap(CacheMiddleware::new(HttpCache::new(store).unwrap()))
            .wrap_fn(move |request, inner| {
                let (answered, outside) = (inner.call(request), outside.clone());
                async move {
                    let response = answered.await?;
                    assert_eq!(response.request().path(), "/shop/lamp");
                    assert_eq!(response.request().headers().get("x-own").unwrap(), "1");
                    outside.fetch_add(1, Ordering::Relaxed);
                    Ok(response)
                }
            }),
    )
    .await;
    let get = async || {
        let answer = ask(&app, TestRequest::with_uri("/shop/lamp").insert_header(("x-own", "1"))).await;
        settle().await;
        answer
    };
    assert_eq!(get().await.body, "run 1");
    clock.advance(Duration::from_secs(90));
    let stale = get().await;
    assert_eq!((stale.body.as_str(), status(&stale)), ("run 1", "tower-keep; hit; ttl=-30"));
    assert_eq!(get().await.body, "run 2");
    assert_eq!(seen.load(Ordering::Relaxed), 3);
}

#[actix_web::test]
async fn what_is_stale_stands_in_for_an_error_of_a_middleware_inside() {
    let clock = Clock::manual(1_800_000_000_000);
    let store = Store::in_memory_with(MemoryLimits::default(), clock.clone());
    let fails = Arc::new(AtomicBool::new(false));
    let failing = Arc::clone(&fails);
    let stale_if_error = async |runs: Runs| {
        run(&runs).customize().insert_header((CACHE_CONTROL, "max-age=60, stale-if-error=600"))
    };
    let page = web::resource("/").get(stale_if_error).wrap_fn(move |request, inner| {
        let (answered, fails) = (inner.call(request), failing.load(Ordering::Relaxed));
        async move {
            let response: ServiceResponse = answered.await?;
            if fails {
                Err(actix_web::error::InternalError::new(Teapot, actix_web::http::StatusCode::BAD_GATEWAY)
                    .into())
            } else {
                Ok(response)
            }
        }
    });
    let app = init_service(
        App::new().app_data(runs()).service(page).wrap(CacheMiddleware::new(HttpCache::new(store).unwrap())),
    )
    .await;
    assert_eq!(ask(&app, TestRequest::default()).await.body, "run 1");
    settle().await;
    clock.advance(Duration::from_secs(90));
    fails.store(true, Ordering::Relaxed);
    let stale = ask(&app, TestRequest::default()).await;
    assert_eq!((stale.status.as_u16(), stale.body.as_str()), (200, "run 1"));
    assert!(status(&stale).contains("fwd-status=502; detail=stale-if-error"), "{stale:?}");
}
