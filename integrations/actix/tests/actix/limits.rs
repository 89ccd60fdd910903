//! Rate limits.

use std::cell::Cell;
use std::num::NonZeroU64;
use std::rc::Rc;

use actix_web::dev::{Service, ServiceResponse};
use actix_web::test::{TestRequest, init_service};
use actix_web::{App, web};
use keep_testing::Log;
use tower_keep_actix::rate_limit::{
    By, Cost, KeyPart, Limit, Quota, RateLimitLayer, RateLimiter, Settle, TrustedProxies,
};
use tower_keep_actix::store::Store;
use tower_keep_actix::{RateLimitMiddleware, RateLimitStatus, ResponderExt, by_client, by_route, share};

use crate::harness::{Teapot, ask};
use crate::streams::pieces;

fn limiter(many: u64) -> RateLimiter {
    let hour = std::time::Duration::from_secs(3600);
    let limit = Limit::new("hourly", Quota::window(many, hour));
    RateLimiter::builder(Store::in_memory()).limit(limit).build().unwrap()
}

fn from(address: &str) -> TestRequest {
    TestRequest::default().peer_addr(format!("{address}:4711").parse().unwrap())
}

#[actix_web::test]
async fn who_is_over_a_limit_is_refused_before_the_handler_runs() {
    let runs = Rc::new(Cell::new(0));
    let counted = Rc::clone(&runs);
    let handler = move |status: RateLimitStatus| {
        counted.set(counted.get() + 1);
        async move { format!("{:?}", status.remaining()) }
    };
    let limit = RateLimitMiddleware::new(limiter(2), by_client(TrustedProxies::none()));
    let app = init_service(App::new().route("/", web::get().to(handler)).wrap(limit)).await;
    for left in [1, 0] {
        let answer = ask(&app, from("192.0.2.1")).await;
        assert_eq!(answer.body, format!("Some({left})"));
        assert_eq!(answer.header("ratelimit-policy"), Some(r#""hourly";q=2;w=3600"#));
        assert!(answer.header("ratelimit").unwrap().starts_with(&format!(r#""hourly";r={left};t="#)));
    }
    let refused = ask(&app, from("192.0.2.1")).await;
    assert_eq!((refused.status.as_u16(), runs.get()), (429, 2));
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert!(refused.header("retry-after").is_some() && refused.json()["violated-policies"][0] == "hourly");
    assert_eq!(ask(&app, from("192.0.2.2")).await.status, 200);
}

#[actix_web::test]
async fn errors_carry_the_fields_and_settle_as_responses_do() {
    let by = || By::everybody();
    let failures = |limiter: &RateLimiter| {
        let settle = Settle::count_if(|status| status.is_client_error());
        RateLimitMiddleware::from(
            RateLimitLayer::builder(limiter.clone(), by()).settle(settle).build().unwrap(),
        )
    };
    let limiter = limiter(100);
    let app = init_service(
        App::new()
            .route("/ok", web::get().to(|| async { "ok" }))
            .route("/handler", web::get().to(|| async { Err::<&str, _>(Teapot) }))
            .service(
                web::resource("/inside")
                    .get(|| async { "ok" })
                    .wrap_fn(|_, _| async { Err::<ServiceResponse, _>(Teapot.into()) }),
            )
            .wrap(failures(&limiter)),
    )
    .await;
    for (path, left) in [("/ok", 100), ("/handler", 99), ("/ok", 99), ("/inside", 98), ("/nowhere", 97)] {
        let answer = ask(&app, TestRequest::with_uri(path)).await;
        assert!(answer.header("ratelimit").is_some(), "{path}: {answer:?}");
        let probe = ask(&app, TestRequest::with_uri("/ok")).await;
        let charged = format!("r={};", left - 1); // the probe is charged until it is settled
        assert!(probe.header("ratelimit").unwrap().contains(&charged), "{path}: {probe:?}");
    }
}

#[actix_web::test]
async fn handlers_and_bodies_say_what_they_cost() {
    let settled = |limiter: &RateLimiter, settle| {
        let layer = RateLimitLayer::builder(limiter.clone(), By::everybody()).settle(settle).build().unwrap();
        RateLimitMiddleware::from(layer)
    };
    let (said, metered) = (limiter(100), limiter(100));
    let unit = NonZeroU64::new(10).unwrap();
    let app = init_service(
        App::new()
            .service(
                web::resource("/said")
                    .get(|| async { "ok".with(Cost(7)) })
                    .wrap(settled(&said, Settle::by_handler())),
            )
            .service(
                web::resource("/metered")
                    .get(|| async { pieces(&["0123456789", "01234"]) })
                    .wrap(settled(&metered, Settle::by_bytes(unit))),
            ),
    )
    .await;
    let left = async |path: &'static str| {
        let answer = ask(&app, TestRequest::with_uri(path)).await;
        answer.header("ratelimit").unwrap().split(';').nth(1).unwrap().to_owned()
    };
    assert_eq!((left("/said").await.as_str(), left("/said").await.as_str()), ("r=99", "r=92"));
    let first = ask(&app, TestRequest::with_uri("/metered")).await;
    assert_eq!(first.body, "012345678901234", "it passes piece by piece and is not `Send`");
    tokio::task::yield_now().await; // the correction runs behind the response, and in this store without a wait
    assert_eq!(left("/metered").await, "r=97");
}

#[actix_web::test]
async fn rules_see_the_route_and_what_middlewares_share() {
    #[derive(Clone)]
    struct Tenant(u64);
    let by_tenant = By::request(|request| {
        let Tenant(id) = request.extensions()?.get()?;
        Some(KeyPart::text(&id.to_string()).into_owned())
    });
    let app = init_service(
        App::new()
            .service(
                web::scope("/users").service(
                    web::resource("/{id}")
                        .get(|| async { "ok" })
                        .wrap(RateLimitMiddleware::new(limiter(2), by_route())),
                ),
            )
            .service(
                web::resource("/tenant")
                    .get(|| async { "ok" })
                    .wrap(RateLimitMiddleware::new(limiter(1), by_tenant))
                    .wrap_fn(|request, inner| {
                        let id = request.query_string().parse().unwrap();
                        share(request.request(), Tenant(id));
                        inner.call(request)
                    }),
            ),
    )
    .await;
    let status = async |path: &str| ask(&app, TestRequest::with_uri(path)).await.status.as_u16();
    assert_eq!(
        (status("/users/1").await, status("/users/2").await, status("/users/3").await),
        (200, 200, 429)
    );
    assert_eq!(
        (status("/tenant?1").await, status("/tenant?2").await, status("/tenant?1").await),
        (200, 200, 429)
    );
}

#[actix_web::test]
async fn without_a_middleware_the_log_says_so() {
    let log = Log::start();
    let app = init_service(App::new().route("/", web::get().to(async |_: RateLimitStatus| "never")).route(
        "/option",
        web::get().to(async |status: Option<RateLimitStatus>| status.is_some().to_string()),
    ))
    .await;
    let answer = ask(&app, TestRequest::default()).await;
    assert_eq!(answer.status, 500);
    assert!(!answer.body.contains("middleware") && log.warnings()[0].contains("RateLimitMiddleware"));
    assert_eq!(ask(&app, TestRequest::with_uri("/option")).await.body, "false");
}
