//! What a request costs Redis.

use axum::Router;
use keep_testing::Monitor;
use tower_keep_axum::by_client;
use tower_keep_axum::rate_limit::{By, Limit, Quota, RateLimitLayer, Settle, TrustedProxies};

use super::{HOUR, ask, from, hourly, one, site, statuses, unhurried};
use crate::harness::{Backend, in_parallel};

async fn settled() -> Backend {
    let backend = Backend::redis();
    backend.redis.as_ref().unwrap().probed_by(1).await;
    backend
}

/// The commands that the client itself sent, without what scripts called.
async fn heard(monitor: &mut Monitor, backend: &Backend) -> Vec<String> {
    let lines = monitor.heard(backend.redis.as_ref().unwrap()).await;
    let own = lines.iter().filter(|line| !line.contains(" lua] "));
    own.map(|line| line.split('"').nth(1).unwrap().to_owned()).collect()
}

async fn costs(backend: &Backend, app: &Router, path: &str) -> Vec<String> {
    let mut monitor = Monitor::start(backend.redis.as_ref().unwrap()).await;
    ask(app, from("192.0.2.1").uri(path.to_owned())).await;
    heard(&mut monitor, backend).await
}

#[tokio::test]
async fn an_admitted_request_is_one_command_whatever_the_number_of_limits() {
    let backend = settled().await;
    let layer = |count: u32, namespace: &str| {
        let mut builder = unhurried(&backend.store).namespace(namespace);
        for n in 0..count {
            builder = builder.limit(Limit::new(&format!("l{n}"), Quota::window(u64::from(10 + n), HOUR)));
        }
        RateLimitLayer::builder(builder.build().unwrap(), by_client(TrustedProxies::none()))
    };
    let (single, _) = site(layer(1, "one").build().unwrap());
    let (many, _) = site(layer(16, "many").skip_if(|request| request.path() == "/skipped").build().unwrap());
    for app in [&single, &many] {
        assert_eq!(costs(&backend, app, "/").await, ["EVALSHA"]);
    }
    assert_eq!(costs(&backend, &many, "/skipped").await, Vec::<String>::new());
    assert_eq!(
        costs(
            &backend,
            &many.clone().layer(RateLimitLayer::new(one(&backend.store, 9), By::everybody())),
            "/"
        )
        .await
        .len(),
        2
    );
    let failures = layer(1, "settle").settle(Settle::count_if(|status| status.is_client_error()));
    let (settling, _) = site(failures.build().unwrap());
    assert_eq!(costs(&backend, &settling, "/").await, ["EVALSHA", "EVALSHA"], "charged, and given back");
}

#[tokio::test]
async fn a_shadow_is_another_command_of_the_same_round_trip() {
    let backend = settled().await;
    let limiter =
        unhurried(&backend.store).limit(hourly("real", 9)).limit(hourly("trial", 9).shadow()).build();
    let (app, _) = site(RateLimitLayer::new(limiter.unwrap(), By::everybody()));
    assert_eq!(costs(&backend, &app, "/").await, ["EVALSHA", "EVALSHA"]);
}

#[tokio::test]
async fn a_flood_of_refused_requests_costs_redis_nothing() {
    let backend = settled().await;
    let (app, runs) = site(RateLimitLayer::new(one(&backend.store, 3), by_client(TrustedProxies::none())));
    assert_eq!(statuses(&app, "192.0.2.1", 4).await, [200, 200, 200, 429]);
    let server = backend.redis.as_ref().unwrap();
    server.reset_calls();
    in_parallel(20, |_| {
        let app = app.clone();
        async move { assert_eq!(statuses(&app, "192.0.2.1", 500).await, [429; 500]) }
    })
    .await;
    assert_eq!(server.calls(), Default::default(), "not a single command for 10,000 requests");
    assert_eq!(runs.load(std::sync::atomic::Ordering::SeqCst), 3);
    assert_eq!(statuses(&app, "192.0.2.2", 1).await, [200], "another client is asked about");
}

#[tokio::test]
async fn keys_of_limits_end() {
    let backend = settled().await;
    let (app, _) = site(RateLimitLayer::new(one(&backend.store, 3), by_client(TrustedProxies::none())));
    statuses(&app, "192.0.2.1", 5).await;
    let server = backend.redis.as_ref().unwrap();
    let keys: Vec<String> = server.cmd("KEYS", "*");
    assert!(!keys.is_empty());
    for key in keys {
        assert!(server.cmd::<i64>("PTTL", &key) > 0, "{key}");
    }
}
