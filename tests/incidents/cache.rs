//! Stored responses that reach somebody for whom they are not.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderName, Request, Version};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt};
use tower_keep::cache::{CacheLayer, CachePolicy, UnkeyedInput};
use tower_keep::rate_limit::{By, Limit, Quota, RateLimitLayer, RateLimiter};
use tower_keep::session::{SessionLayer, Sessions};

use crate::fixture::*;

on_both!(
    rustsec_2026_0035_two_hosts_with_one_path_have_two_pages,
    cve_2024_46982_no_request_field_makes_a_private_page_public,
    cve_2025_49005_cve_2026_44576_a_variant_that_a_client_asks_for_answers_nobody_else,
    cpdos_an_error_that_a_client_provoked_is_never_stored,
    vsv00007_vsv00008_cve_2022_45059_a_request_with_content_fills_nothing_and_is_not_answered_from_the_store,
    rustsec_2022_0055_no_layer_holds_a_body_without_a_bound,
);

/// RUSTSEC-2026-0035 (CVE-2026-2836): a page of one host must not be sent to visitors of another.
async fn rustsec_2026_0035_two_hosts_with_one_path_have_two_pages(world: World) {
    let site = Site::new(world.cache(), |request, _| async move {
        let host = request.uri().authority().map(ToString::to_string);
        page(host.unwrap_or_else(|| request.headers()["host"].to_str().unwrap().to_owned()), DAY)
    });
    for _ in 0..2 {
        for host in ["a.example", "b.example", "a.example:8080", "a.example.evil", "xa.example"] {
            assert_eq!(site.send(get("/account?x=1", &[("host", host)])).await.text(), host);
            let mut by_authority = get(&format!("http://{host}/http2"), &[]);
            by_authority.headers_mut().remove("host");
            *by_authority.version_mut() = Version::HTTP_2;
            assert_eq!(site.send(by_authority).await.text(), host);
        }
    }
    assert_eq!(site.calls(), 10, "each is stored by itself");
}

/// CVE-2024-46982: no field or parameter that a client adds may make a response stored that its handler did not mark so.
async fn cve_2024_46982_no_request_field_makes_a_private_page_public(world: World) {
    const CLIENTS: [(&str, &str); 9] = [
        ("x-now-route-matches", "1"),
        ("x-matched-path", "/static"),
        ("x-middleware-prefetch", "1"),
        ("x-forwarded-host", "evil.example"),
        ("cache-control", "public, s-maxage=99999"),
        ("surrogate-control", "max-age=99999"),
        ("cdn-cache-control", "max-age=99999"),
        ("expires", "Fri, 01 Jan 2100 00:00:00 GMT"),
        ("x-invalidate-cache", "1"),
    ];
    for own in [&[("cache-control", "private, no-cache, no-store, max-age=0")][..], &[]] {
        let site = Site::counting(world.cache(), own);
        for (name, value) in CLIENTS {
            for path in ["/account", "/account?__nextDataReq=1", "/account.css", "/account/x.js"] {
                site.send(get(path, &[(name, value)])).await;
                let calls = site.calls();
                assert!(!site.get(path).await.is_hit(), "{name} at {path}");
                assert_eq!(site.calls(), calls + 1);
            }
        }
    }
}

/// CVE-2025-49005 and CVE-2026-44576: what a handler makes of a client's own header must not be sent to those who did not ask for it.
async fn cve_2025_49005_cve_2026_44576_a_variant_that_a_client_asks_for_answers_nobody_else(world: World) {
    let handler = |request: Request<()>, vary: bool| {
        let data = request.headers().contains_key("rsc");
        let fields = [("cache-control", "max-age=60"), ("vary", "RSC, Next-Router-State-Tree")];
        page(if data { "data" } else { "<html>" }, if vary { &fields } else { &fields[..1] })
    };
    // A handler that says what it looked at.
    let site = Site::new(world.cache(), move |request, _| async move { handler(request, true) });
    for _ in 0..3 {
        for (fields, body) in [(&[("rsc", "1")][..], "data"), (&[], "<html>"), (&[("rsc", "0")], "data")] {
            assert_eq!(site.send(get("/", fields)).await.text(), body, "{fields:?}");
        }
    }
    assert_eq!(site.calls(), 3);
    // One that does not, where the policy hides what is not part of the key, or makes it part of the key.
    let (hidden, keyed) = (CachePolicy::new(), CachePolicy::new().key_header(HeaderName::from_static("rsc")));
    for (path, policy) in [("/hidden", hidden.unkeyed_input(UnkeyedInput::Hidden)), ("/keyed", keyed)] {
        let site = Site::new(world.with(policy), move |request, _| async move { handler(request, false) });
        site.send(get(path, &[("rsc", "1")])).await;
        assert_eq!(site.get(path).await.text(), "<html>", "{path}");
    }
}

/// CPDoS (HHO, HMC, HMO): an error that one client provokes by an oversized, odd or overriding header must not be what others get.
async fn cpdos_an_error_that_a_client_provoked_is_never_stored(world: World) {
    for status in [400, 405, 413, 414, 416, 429, 431, 500, 501, 502, 503, 504] {
        let site = Site::new(world.cache(), move |request, _| async move {
            let odd = ["x-oversized", "x-meta", "x-method", "x-http-method-override"];
            let provoked = odd.iter().any(|name| request.headers().contains_key(*name));
            Ok(answer(if provoked { status } else { 200 }, if provoked { "error" } else { "page" }, DAY))
        });
        let long = "x".repeat(20_000);
        for provoking in [
            ("x-oversized", long.as_str()),
            ("x-meta", "\u{80}"),
            ("x-method", "PURGE"),
            ("x-http-method-override", "POST"),
        ] {
            let path = format!("/{status}/{}", provoking.0);
            for _ in 0..2 {
                assert_eq!(site.send(get(&path, &[provoking])).await.status, status);
            }
            let others = site.get(&path).await;
            assert_eq!((others.status.as_u16(), others.text()), (200, "page"), "{status} by {}", provoking.0);
        }
    }
}

/// VSV00007 (CVE-2021-36740), VSV00008 (CVE-2022-23959), CVE-2022-45059: where a request has content, or says so of itself in any way,
/// nobody may be answered by what came of it, nor it by what others asked for. (The bytes: `examples/tests/incidents/`.)
async fn vsv00007_vsv00008_cve_2022_45059_a_request_with_content_fills_nothing_and_is_not_answered_from_the_store(
    world: World,
) {
    let site = Site::counting(world.cache(), DAY);
    let whole = site.stored(|| get("/", &[])).await;
    for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
        for fields in [
            &[("content-length", "3")][..],
            &[("content-length", "0"), ("transfer-encoding", "chunked")],
            &[("content-length", "3"), ("content-length", "0")],
            &[("content-length", "+3")],
            &[("content-length", "3, 3")],
            &[("content-length", "\u{b3}")],
            &[("transfer-encoding", "xchunked")],
            &[("transfer-encoding", "identity"), ("transfer-encoding", "chunked")],
            &[("connection", "content-length"), ("content-length", "3")],
            &[("connection", "close, host, content-length, x"), ("content-length", "3")],
            &[("connection", "upgrade"), ("upgrade", "h2c")],
        ] {
            let mut asked = get("/", fields);
            *asked.version_mut() = version;
            let calls = site.calls();
            let reply = site.send(asked).await;
            assert!(!reply.is_hit() && site.calls() == calls + 1, "{version:?} {fields:?}: {}", reply.told());
            assert_eq!(site.get("/").await.text(), whole.text(), "{version:?} {fields:?}");
        }
    }
    // A field named by `Connection` may be taken out by a proxy on the way: the page is the same with and without.
    assert!(site.send(get("/", &[("connection", "host, cookie")])).await.is_hit());
}

/// A request's body that nobody may look at.
#[derive(Debug)]
struct Untouchable;

impl Body for Untouchable {
    type Data = Bytes;
    type Error = Trouble;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Trouble>>> {
        panic!("a layer reads a request's body")
    }
}

/// RUSTSEC-2022-0055 (CVE-2022-3212): nothing may be collected without a bound. No layer reads a request's body, and a response's is let
/// go when it is too long to be stored.
async fn rustsec_2022_0055_no_layer_holds_a_body_without_a_bound(world: World) {
    let policy = CachePolicy::new().max_body(64 << 10);
    let (send, endless) = piped();
    let endless = std::sync::Mutex::new(Some(endless));
    let handler = Origin::new(move |_, _| {
        let body = endless.lock().unwrap().take().unwrap_or_else(|| full("ok"));
        async move { Ok(answer(200, "", DAY).map(|_| body)) }
    });
    let limit = Limit::new("only", Quota::window(2, LONG));
    let limiter = RateLimiter::builder(world.store.clone()).deadline(LONG).limit(limit).build().unwrap();
    let mut handler = handler;
    let handler = tower::service_fn(move |request: Request<Untouchable>| handler.call(request.map(drop)));
    let inner = CacheLayer::new(world.with(policy)).layer(handler);
    let service = RateLimitLayer::new(limiter, By::everybody()).layer(inner);
    let service = SessionLayer::new(Sessions::new(world.store.clone())).layer(service);
    let ask = async || {
        let request = Request::get("/").header("host", HOST).body(Untouchable).unwrap();
        service.clone().oneshot(request).await.unwrap()
    };
    let mut body = ask().await.into_body();
    for _ in 0..5_000 {
        send.send(Ok(vec![b'x'; 1 << 10].into())).unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), 1 << 10);
    }
    if let Some(server) = &world.redis {
        eventually("nothing of it is kept", async || {
            server.cmd::<Vec<String>>("KEYS", "keep:cache*").iter().all(|key| !key.contains("body"))
        })
        .await;
    }
    drop((send, body));
    assert_eq!(ask().await.status(), 200);
    assert_eq!(ask().await.status(), 429);
}
