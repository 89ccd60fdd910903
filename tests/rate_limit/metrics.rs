//! The counters that limiters and layers keep.

use std::convert::Infallible;
use std::num::NonZeroU64;

use bytes::Bytes;
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::Full;
use keep_testing::RedisServer;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::runtime::Runtime;
use tower::{Layer, ServiceExt, service_fn};
use tower_keep::rate_limit::{
    By, Concurrency, FailurePolicy, Limit, Quota, RateLimitBody, RateLimitLayer, RateLimiter, Settle,
    WithoutKey,
};
use tower_keep::store::Store;

use crate::fixture::*;

/// What is counted while `work` runs, as Prometheus reads it.
fn counted(work: impl FnOnce(&Runtime)) -> Vec<String> {
    let recorder = PrometheusBuilder::new().build_recorder();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || work(&runtime));
    let text = recorder.handle().render();
    let lines = text.lines().filter_map(|line| line.strip_prefix("tower_keep_limit_"));
    let mut lines: Vec<_> = lines.map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The answer to a request of a tenant; `handler` runs while it is under way.
async fn ask(
    layer: &RateLimitLayer,
    tenant: &str,
    handler: impl Fn(),
) -> Response<RateLimitBody<Full<Bytes>>> {
    let inner = service_fn(async |_: Request<()>| {
        handler();
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello")))
    });
    let request = Request::get("/").header("x-tenant", tenant).body(()).unwrap();
    layer.layer(inner).oneshot(request).await.unwrap()
}

#[test]
fn each_decision_is_counted_by_how_it_came_about() {
    let server = RedisServer::start();
    let lines = counted(|runtime| {
        runtime.block_on(async {
            let limiter = unhurried(patient(&server))
                .limit(Limit::new("few", Quota::window(1, HOUR)))
                .limit(Limit::new("fewer", Quota::window(1, HOUR)).shadow())
                .build()
                .unwrap();
            let by = |name| By::header(HeaderName::from_static(name));
            let layer = RateLimitLayer::new(limiter.clone(), by("x-tenant"));
            for status in [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS, StatusCode::TOO_MANY_REQUESTS] {
                assert_eq!(ask(&layer, "a", || {}).await.status(), status);
            }
            let layer = RateLimitLayer::builder(limiter, by("x-user")).without_key(WithoutKey::Pass);
            assert_eq!(ask(&layer.build().unwrap(), "a", || {}).await.status(), StatusCode::OK);
        });
    });
    assert_eq!(
        lines,
        [
            r#"decisions_total{reason="admitted"} 1"#,
            r#"decisions_total{reason="refused"} 1"#,
            r#"decisions_total{reason="remembered"} 1"#,
            // Nobody was asked about the third request, shadows neither.
            r#"shadow_total{reason="admitted"} 1"#,
            r#"shadow_total{reason="refused"} 1"#,
            r#"without_key_total{reason="header"} 1"#,
        ]
    );
}

#[test]
fn failures_are_counted_by_the_policy_that_decided() {
    let mut server = RedisServer::start();
    let lines = counted(|runtime| {
        runtime.block_on(async {
            let store = patient(&server);
            server.stop();
            for (policy, checks) in
                [(FailurePolicy::Open, 1), (FailurePolicy::Closed, 2), (FailurePolicy::Local, 3)]
            {
                let limit = Limit::new("few", Quota::per_second(5)).on_failure(policy);
                let limiter = RateLimiter::builder(store.clone()).limit(limit).build().unwrap();
                for _ in 0..checks {
                    assert_eq!(limiter.check("a").await.is_err(), policy == FailurePolicy::Closed);
                }
            }
            let jobs = Concurrency::new(store, "jobs", 1, HOUR).unwrap();
            assert!(jobs.acquire("a").await.is_ok());
        });
    });
    assert_eq!(
        lines,
        [
            r#"decisions_total{reason="admitted"} 4"#,
            r#"failures_total{reason="closed"} 2"#,
            r#"failures_total{reason="local"} 3"#,
            r#"failures_total{reason="open"} 2"#,
        ]
    );
}

#[test]
fn charges_that_stay_wrong_are_counted() {
    let server = RedisServer::start();
    let lines = counted(|runtime| {
        let limiter = |store| {
            let limit = Limit::new("few", Quota::per_second(5));
            RateLimiter::builder(store).limit(limit).build().unwrap()
        };
        let layer = |store, settle| {
            let layer = RateLimitLayer::builder(limiter(store), By::everybody()).settle(settle);
            layer.build().unwrap()
        };
        runtime.block_on(async {
            let store = Store::connect(&server.url()).unwrap();
            eventually("the store serves", async || store.health().await.is_up()).await;
            ask(&layer(store, Settle::count_if(|_| false)), "a", || server.freeze()).await;
            server.thaw();
        });
        let bytes = layer(Store::in_memory(), Settle::by_bytes(NonZeroU64::MIN));
        drop(runtime.block_on(ask(&bytes, "a", || {}))); // where no task can be spawned any more
    });
    assert_eq!(
        lines,
        [
            r#"decisions_total{reason="admitted"} 2"#,
            r#"settle_failures_total{reason="no_runtime"} 1"#,
            r#"settle_failures_total{reason="store"} 1"#,
        ]
    );
}
