//! Rules other than the client's address, plans, skipped requests, and layers that nest.

use axum::Router;
use axum::extract::Request;
use axum::http::request::Builder;
use axum::routing::get;
use tower_keep_axum::rate_limit::{By, Quota, RateLimitLayer, RateLimiter, TrustedProxies, WithoutKey};
use tower_keep_axum::session::SessionLayer;
use tower_keep_axum::store::Store;
use tower_keep_axum::{RateLimitStatus, by_client, by_route};

use super::{HOUR, ask, from, hourly, one, site, statuses, unhurried};
use crate::harness::{Browser, for_each_store, with_layer};
use crate::site::site as session_site;

async fn codes(app: &Router, requests: impl IntoIterator<Item = Builder>) -> Vec<u16> {
    let mut codes = Vec::new();
    for request in requests {
        codes.push(ask(app, request).await.status.as_u16());
    }
    codes
}

#[tokio::test]
async fn headers_methods_paths_and_tuples_of_them() {
    let by = (By::header("x-tenant".parse().unwrap()), By::method(), By::path());
    let (app, _) = site(RateLimitLayer::new(one(&Store::in_memory(), 1), by));
    let of = |tenant: &str, path: &str| {
        Request::builder().uri(path.to_owned()).header("x-tenant", tenant.to_owned())
    };
    let requests =
        [of("a", "/x"), of("a", "/x?q"), of("b", "/x"), of("a", "/y"), of("a", "/x").method("PUT")];
    assert_eq!(codes(&app, requests).await, [200, 429, 200, 200, 200]);
    assert_eq!(codes(&app, [Request::get("/x")]).await, [403], "one part is missing");
}

#[tokio::test]
async fn functions_now_and_later() {
    let now = By::request(|request| Some(String::from_utf8_lossy(&request.header("x-user")?).into_owned()));
    let later = By::request_async(|request| {
        let user = request.header("x-user").map(|user| String::from_utf8_lossy(&user).into_owned());
        async move {
            tokio::task::yield_now().await;
            user
        }
    });
    for by in [now, later] {
        let (app, _) = site(RateLimitLayer::new(one(&Store::in_memory(), 1), by));
        let of = |user: &str| Request::builder().uri("/").header("x-user", user.to_owned());
        assert_eq!(codes(&app, [of("a"), of("a"), of("b"), of("")]).await, [200, 429, 200, 403]);
        assert_eq!(codes(&app, [Request::get("/")]).await, [403]);
    }
}

#[tokio::test]
async fn by_route_and_not_by_what_was_typed() {
    let limiter = one(&Store::in_memory(), 2);
    let inner =
        Router::new().route("/users/{id}", get(|| async { "ok" })).route("/other", get(|| async { "ok" }));
    let app = Router::new().nest("/v1", inner.layer(RateLimitLayer::new(limiter, by_route())));
    let paths = ["/v1/users/1", "/v1/users/2", "/v1/users/3", "/v1/other"].map(Request::get);
    assert_eq!(codes(&app, paths).await, [200, 200, 429, 200]);
}

#[tokio::test]
async fn by_principal_and_else_by_address() {
    for_each_store(async |backend| {
        let sessions = backend.sessions();
        let by = By::principal().or(by_client(TrustedProxies::none()));
        let limiter = one(&backend.store, 3);
        let inner = session_site(&sessions);
        let app = with_layer(inner.layer(RateLimitLayer::new(limiter, by)), &sessions);
        let mut browser = Browser::new(&app);
        let mut other = Browser::new(&app);
        let go = async |browser: &mut Browser, method: &str, path: &str| {
            let request = from("192.0.2.1").method(method).uri(path).body(axum::body::Body::empty()).unwrap();
            browser.send(request).await.status.as_u16()
        };
        assert_eq!(go(&mut browser, "POST", "/login/alice").await, 200, "1 of the address");
        for expected in [200, 200, 200, 429] {
            assert_eq!(go(&mut browser, "GET", "/plain").await, expected, "alice");
        }
        assert_eq!(go(&mut other, "POST", "/login/alice").await, 200, "2 of the address");
        assert_eq!(go(&mut other, "GET", "/plain").await, 429, "alice on another device");
        assert_eq!(go(&mut Browser::new(&app), "GET", "/plain").await, 200, "3 of the address");
        assert_eq!(go(&mut Browser::new(&app), "GET", "/plain").await, 429);
    })
    .await;
}

#[tokio::test]
async fn looking_at_a_session_does_not_use_it() {
    for_each_store(async |backend| {
        let sessions = backend.sessions();
        let router =
            session_site(&sessions).layer(RateLimitLayer::new(one(&backend.store, 9), By::session()));
        let app = router.layer(SessionLayer::new(sessions.clone()));
        let mut browser = Browser::new(&session_site(&sessions));
        browser.post("/login/alice").await;
        let mut limited = Browser::new(&app);
        limited.cookies.clone_from(&browser.cookies);
        let answer = limited.get("/plain").await;
        assert_eq!((answer.status.as_u16(), answer.header("vary")), (200, None));
        assert_eq!(Browser::new(&app).get("/plain").await.status, 403, "no session, no key");
        assert_eq!(limited.get("/me").await.json()["user"], "alice");
    })
    .await;
    let (app, _) = site(RateLimitLayer::new(one(&Store::in_memory(), 1), By::session()));
    assert_eq!(ask(&app, from("192.0.2.1")).await.status, 500, "no session layer: a fault of the server's");
}

#[tokio::test]
async fn plans_costs_routes_and_what_is_skipped() {
    let limiter = unhurried(&Store::in_memory()).limit(hourly("read", 2)).limit(hourly("write", 1)).build();
    let layer = RateLimitLayer::builder(limiter.unwrap(), by_client(TrustedProxies::none()))
        .skip_if(|request| request.path() == "/health")
        .allow(by_client(TrustedProxies::none()), ["10.0.0.0/8", "::1"])
        .ask(|request, ask| match (request.method(), request.path()) {
            ("GET", "/gold") => Some(ask.without("write").quota_for("read", Quota::window(4, HOUR))),
            ("GET", "/dear") => Some(ask.without("write").cost(2)),
            ("GET", _) => Some(ask.without("write")),
            ("OPTIONS", _) => None,
            _ => Some(ask.without("read")),
        });
    let (app, _) = site(layer.build().unwrap());
    let to = |peer: &str, method: &str, path: &str| from(peer).method(method).uri(path.to_owned());
    let me = |method: &str, path: &str| to("192.0.2.1", method, path);
    assert_eq!(codes(&app, [me("GET", "/"), me("GET", "/"), me("GET", "/")]).await, [200, 200, 429]);
    assert_eq!(codes(&app, [me("POST", "/"), me("POST", "/")]).await, [200, 429], "a limit of its own");
    assert_eq!(codes(&app, (0..5).map(|_| me("GET", "/gold"))).await, [200, 200, 200, 200, 429]);
    let dear = || to("192.0.2.2", "GET", "/dear");
    assert_eq!(codes(&app, [dear(), dear()]).await, [200, 429]);
    for skipped in
        [me("GET", "/health"), me("OPTIONS", "/"), to("10.1.2.3", "GET", "/"), to("::1", "POST", "/")]
    {
        let answer = ask(&app, skipped).await;
        assert_eq!((answer.body.as_str(), answer.header("ratelimit")), ("not counted", None));
    }
}

fn nested(outer: &RateLimiter, inner: &RateLimiter, by: impl Into<By>) -> Router {
    let by = by.into();
    let handler =
        async |status: RateLimitStatus| format!("{:?} {}", status.remaining(), status.decisions().count());
    let inner = RateLimitLayer::new(inner.clone(), by.clone());
    Router::new().fallback(handler).layer(inner).layer(RateLimitLayer::new(outer.clone(), by))
}

#[tokio::test]
async fn nested_layers_of_one_limiter_count_once() {
    for_each_store(async |backend| {
        let limiter = one(&backend.store, 5);
        let app = nested(&limiter, &limiter, by_client(TrustedProxies::none()));
        for left in [4, 3] {
            let answer = ask(&app, from("192.0.2.1")).await;
            assert_eq!(answer.body, format!("Some({left}) 1"));
            assert_eq!(answer.headers.get_all("ratelimit").iter().count(), 1, "and tell once");
        }
        let other = unhurried(&backend.store).namespace("other").limit(hourly("other", 2)).build().unwrap();
        let app = nested(&limiter, &other, by_client(TrustedProxies::none()));
        let answer = ask(&app, from("192.0.2.1")).await;
        assert_eq!(answer.body, "Some(1) 2", "two limiters both count, and the tighter one is told");
        assert_eq!(answer.headers.get_all("ratelimit").iter().count(), 2);
    })
    .await;
}

#[tokio::test]
async fn nested_layers_count_by_another_key_and_by_further_limits() {
    let limiter =
        unhurried(&Store::in_memory()).limit(hourly("all", 9)).limit(hourly("some", 2)).build().unwrap();
    let outer =
        RateLimitLayer::builder(limiter.clone(), By::everybody()).ask(|_, ask| Some(ask.without("some")));
    let handler = async |status: RateLimitStatus| format!("{:?}", status.remaining());
    let inner = RateLimitLayer::new(limiter.clone(), By::everybody());
    let app = Router::new().fallback(handler).layer(inner).layer(outer.build().unwrap());
    assert_eq!(ask(&app, Request::get("/")).await.body, "Some(1)");
    assert_eq!(statuses(&app, "192.0.2.1", 2).await, [200, 429]);
    let left = limiter.peek(tower_keep_axum::rate_limit::LimitKey::from("everybody")).await.unwrap();
    assert_eq!(left.limit("all").unwrap().standing.unwrap().remaining, 6, "each request was counted once");
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_when_built() {
    use std::time::Duration;
    use tower_keep_axum::rate_limit::Settle;
    let build = || RateLimitLayer::builder(one(&Store::in_memory(), 1), By::everybody());
    let wrong = [
        build().wait(Duration::ZERO, 1),
        build().wait(Duration::from_secs(61), 1),
        build().wait(Duration::from_secs(1), 0),
        build().allow(By::client(TrustedProxies::none()), ["10.0.0.0/8", "nonsense"]),
        build().settle(Settle::by_handler().only(["absent"])),
    ];
    for (i, builder) in wrong.into_iter().enumerate() {
        assert!(builder.build().is_err(), "{i}");
    }
    assert!(build().without_key(WithoutKey::Pass).wait(Duration::from_secs(60), 1).build().is_ok());
}
