//! Who is counted: addresses, headers that nobody may choose by, and requests without a key.

use axum::Router;
use keep_testing::Log;
use tower_keep_axum::rate_limit::{
    By, Limit, ProxyHeader, Quota, RateLimitLayer, TrustedProxies, WithoutKey,
};
use tower_keep_axum::{by_client, store::Store};

use super::{HOUR, ask, from, one, site, statuses, unhurried};
use crate::harness::for_each_store;

fn behind(networks: &[&str]) -> TrustedProxies {
    TrustedProxies::networks(ProxyHeader::XForwardedFor, networks).unwrap()
}

#[tokio::test]
async fn each_client_has_a_count_of_its_own() {
    for_each_store(async |backend| {
        let (app, runs) =
            site(RateLimitLayer::new(one(&backend.store, 2), by_client(TrustedProxies::none())));
        assert_eq!(statuses(&app, "192.0.2.1", 4).await, [200, 200, 429, 429]);
        assert_eq!(statuses(&app, "::ffff:192.0.2.1", 1).await, [429], "the same address");
        assert_eq!(statuses(&app, "2001:db8::1", 2).await, [200, 200]);
        assert_eq!(statuses(&app, "2001:db8::ffff", 1).await, [429], "the same /64");
        assert_eq!(statuses(&app, "192.0.2.2", 1).await, [200]);
        assert_eq!(runs.load(std::sync::atomic::Ordering::SeqCst), 5, "who is refused reaches no handler");
    })
    .await;
}

#[tokio::test]
async fn no_header_of_a_stranger_changes_its_count() {
    for_each_store(async |backend| {
        for (namespace, proxies) in [("none", TrustedProxies::none()), ("some", behind(&["10.0.0.0/8"]))] {
            let limit = Limit::new("only", Quota::window(1, HOUR));
            let limiter = unhurried(&backend.store).namespace(namespace).limit(limit).build().unwrap();
            let (app, _) = site(RateLimitLayer::new(limiter, by_client(proxies)));
            assert_eq!(statuses(&app, "192.0.2.1", 1).await, [200]);
            for header in ["x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip", "true-client-ip"]
            {
                for value in ["203.0.113.9", "for=203.0.113.9", "10.0.0.1, 203.0.113.9", "", "\"", "unknown"]
                {
                    let answer = ask(&app, from("192.0.2.1").header(header, value)).await;
                    assert_eq!(answer.status, 429, "{header}: {value}");
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_trusted_proxy_says_who_the_client_is_and_the_client_does_not() {
    let store = Store::in_memory();
    let (app, _) = site(RateLimitLayer::new(one(&store, 1), by_client(behind(&["10.0.0.0/8"]))));
    let forwarded = |value: &str| from("10.0.0.1").header("x-forwarded-for", value.to_owned());
    assert_eq!(ask(&app, forwarded("203.0.113.7")).await.status, 200);
    for spoofed in
        ["203.0.113.7", "1.2.3.4, 203.0.113.7", "\"x, 203.0.113.7", "1.1.1.1, 203.0.113.7, 10.9.9.9"]
    {
        assert_eq!(ask(&app, forwarded(spoofed)).await.status, 429, "{spoofed}");
    }
    assert_eq!(ask(&app, forwarded("203.0.113.8")).await.status, 200);
    let lines = forwarded("198.51.100.1").header("x-forwarded-for", "203.0.113.7");
    assert_eq!(ask(&app, lines).await.status, 429, "the last line is the nearest proxy's");
}

fn without(policy: WithoutKey) -> (Router, Log) {
    let layer = RateLimitLayer::builder(one(&Store::in_memory(), 1), by_client(TrustedProxies::none()));
    let (app, _) = site(layer.without_key(policy).build().unwrap());
    (app, Log::start())
}

#[tokio::test]
async fn without_a_peer_address_nobody_is_unlimited_and_the_log_says_why() {
    let (app, log) = without(WithoutKey::Refuse);
    for _ in 0..3 {
        let answer = ask(&app, axum::http::Request::get("/")).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (500, None));
        assert_eq!(answer.json()["type"], "about:blank");
    }
    let said = log.warnings();
    assert_eq!(said.len(), 1, "once: {said:#?}");
    assert!(said[0].contains("no peer address") && said[0].contains("https://"), "{said:?}");
    let (app, _log) = without(WithoutKey::Pass);
    for _ in 0..3 {
        assert_eq!(ask(&app, axum::http::Request::get("/")).await.body, "not counted");
    }
    let (app, _log) = without(WithoutKey::Shared);
    assert_eq!(ask(&app, axum::http::Request::get("/")).await.status, 200);
    assert_eq!(ask(&app, axum::http::Request::get("/")).await.status, 429);
    assert_eq!(statuses(&app, "192.0.2.1", 1).await, [200], "who has a key is apart");
}

#[tokio::test]
async fn a_client_that_shows_no_key_is_refused_and_not_told_to_come_back() {
    let layer = RateLimitLayer::new(one(&Store::in_memory(), 1), By::api_key("x-api-key".parse().unwrap()));
    let (app, _) = site(layer);
    let log = Log::start();
    for _ in 0..3 {
        let answer = ask(&app, from("192.0.2.1")).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (403, None));
    }
    assert_eq!(log.warnings(), Vec::<String>::new(), "that is the client's fault");
    assert_eq!(ask(&app, from("192.0.2.1").header("x-api-key", "a")).await.status, 200);
    assert_eq!(ask(&app, from("192.0.2.1").header("x-api-key", "a")).await.status, 429);
}

#[tokio::test]
async fn a_proxy_that_nobody_named_is_spoken_of_once() {
    let (app, log) = without(WithoutKey::Refuse);
    for i in 0..1_010 {
        let client = format!("203.0.113.{}", i % 256);
        drop(ask(&app, from("10.0.0.1").header("x-forwarded-for", client)).await);
    }
    let said = log.warnings();
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said[0].contains("not read") && said[1].contains("count as one client"), "{said:#?}");
}
