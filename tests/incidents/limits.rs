//! Who is counted as whom, what is told about it, and what an outage of the store does.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use keep_testing::{Answer, RedisServer};
use tower::{Layer, ServiceExt, service_fn};
use tower_keep::rate_limit::{
    By, FailurePolicy, Limit, ProxyHeader, Quota, RateLimitLayer, RateLimiter, TrustedProxies,
};
use tower_keep::session::Sessions;
use tower_keep::store::Store;
use tower_keep::view::PeerAddr;

use crate::app::{App, Browser, COOKIE, STRANGER};
use crate::stored::{LONG, patient};

const HOUR: Duration = Duration::from_secs(3600);

fn limiter(store: &Store, limit: Limit) -> RateLimiter {
    RateLimiter::builder(store.clone()).deadline(LONG).limit(limit).build().unwrap()
}

async fn ask(layer: &RateLimitLayer, peer: &str, forwarded: &[&str]) -> Answer {
    let handler =
        service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("ok"))));
    let mut request = Request::new(());
    let peer: IpAddr = peer.parse().unwrap();
    request.extensions_mut().insert(PeerAddr(SocketAddr::new(peer, 4711)));
    for line in forwarded {
        request.headers_mut().append("x-forwarded-for", line.parse().unwrap());
    }
    Answer::read(layer.layer(handler).oneshot(request).await.unwrap()).await
}

/// A layer that admits one request of each client.
fn one_each(proxies: TrustedProxies) -> RateLimitLayer {
    let limit = Limit::new("only", Quota::window(1, HOUR));
    RateLimitLayer::new(limiter(&Store::in_memory(), limit), By::client(proxies))
}

/// Addresses that are one client each, in all their forms, and how many of them there are.
const CLIENTS: [&[&str]; 9] = [
    &["192.0.2.1", "::ffff:192.0.2.1", "::ffff:c000:201", "0:0:0:0:0:ffff:c000:0201", "64:ff9b::192.0.2.1"],
    &["192.0.2.2", "::ffff:192.0.2.2"],
    &["::ffff:1.2.3.4", "::ffff:102:304", "1.2.3.4"],
    &["2001:db8::1", "2001:db8::2", "2001:db8::ffff:ffff:ffff:ffff", "2001:db8::1.2.3.4"],
    &["2001:db8:0:1::1", "2001:db8:0:1:aaaa::1"],
    &["2002:c000:201::1", "2002:c000:201::2"],
    &["::1", "::192.0.2.1"],
    &["fe80::1", "fe80::2"],
    &["64:ff9b:1::c000:201"],
];

/// GHSA-46wh-pxpv-q5gq (CVE-2026-30827): IPv4 clients that come in mapped form must not all share one count.
#[tokio::test]
async fn cve_2026_30827_mapped_addresses_do_not_share_a_count() {
    let layer = one_each(TrustedProxies::none());
    for n in 0..=255 {
        assert_eq!(ask(&layer, &format!("::ffff:198.51.100.{n}"), &[]).await.status, 200, "{n}");
    }
    for n in 0..=255 {
        assert_eq!(ask(&layer, &format!("198.51.100.{n}"), &[]).await.status, 429, "{n} in its other form");
    }
}

/// express-rate-limit PR#667: which address it is says the value, not the way it is written.
#[tokio::test]
async fn express_rate_limit_667_one_client_is_one_count_however_it_is_written() {
    let trusting = || TrustedProxies::networks(ProxyHeader::XForwardedFor, ["10.0.0.0/8"]).unwrap();
    let (by_peer, by_header) = (one_each(TrustedProxies::none()), one_each(trusting()));
    for forms in CLIENTS {
        for (n, form) in forms.iter().enumerate() {
            let expected = if n == 0 { 200 } else { 429 };
            assert_eq!(ask(&by_peer, form, &[]).await.status, expected, "{form} as a peer");
            assert_eq!(ask(&by_header, "10.0.0.1", &[form]).await.status, expected, "{form} in a header");
            for written in [format!("[{form}]"), format!("[{form}]:443")] {
                let written = if form.contains(':') { written } else { format!("{form}:443") };
                assert_eq!(ask(&by_header, "10.0.0.1", &[&written]).await.status, 429, "{written}");
            }
        }
    }
    for malformed in
        ["fe80::1%eth0.100", "::ffff:999.1.1.1", "1.2.3", "0x7f.1", "017.0.0.1", "unknown", "_hidden", ""]
    {
        assert_ne!(ask(&by_header, "10.0.0.1", &[malformed]).await.status, 200, "{malformed:?} is nobody");
    }
}

/// adorsys/status-list-server#238, everruns#2643: a client must not choose its count by a header, behind 0, 1 or 2 proxies.
#[tokio::test]
async fn status_list_server_238_everruns_2643_no_client_chooses_its_count() {
    let two = || TrustedProxies::networks(ProxyHeader::XForwardedFor, ["10.0.0.0/8"]).unwrap();
    let hops = |n| TrustedProxies::hops(ProxyHeader::XForwardedFor, n).unwrap();
    const CLIENT: &str = "203.0.113.7";
    // The peer that the app sees, and what the proxies added to the header.
    let ways: [(TrustedProxies, &str, &str); 5] = [
        (TrustedProxies::none(), CLIENT, ""),
        (two(), "10.0.0.1", CLIENT),
        (two(), "10.0.0.2", "203.0.113.7, 10.0.0.1"),
        (hops(1), "10.0.0.1", CLIENT),
        (hops(2), "10.0.0.2", "203.0.113.7, 10.0.0.1"),
    ];
    for (proxies, peer, added) in ways {
        let layer = one_each(proxies);
        for (n, spoofed) in
            ["", "1.2.3.4", "127.0.0.1", "10.0.0.9", "203.0.113.8, 10.0.0.1", "\"", "unknown, ,"]
                .into_iter()
                .enumerate()
        {
            let expected = if n == 0 { 200 } else { 429 };
            let joined: Vec<_> = [spoofed, added].into_iter().filter(|part| !part.is_empty()).collect();
            let lines = ask(&layer, peer, &joined).await;
            assert_eq!(lines.status, expected, "{spoofed:?}, then {added:?} from {peer}, in lines");
            let one = ask(&layer, peer, &[&joined.join(", ")]).await;
            assert_eq!(one.status, 429, "{spoofed:?}, then {added:?} from {peer}");
        }
    }
}

/// The parameters of the `RateLimit` field.
fn told(answer: &Answer) -> (u64, u64) {
    let field = answer.header("ratelimit").unwrap();
    let number = |name: &str| field.split(&format!(";{name}=")).nth(1).unwrap().split(';').next().unwrap();
    (number("r").parse().unwrap(), number("t").parse().unwrap())
}

/// GitHub, "How we scaled the GitHub API with a sharded, replicated rate limiter in Redis" (2021): the time of the reset must stay where
/// it is while the window lasts, and what is told must be what was decided.
#[tokio::test]
async fn github_2021_the_reset_stays_and_the_fields_tell_the_decision() {
    let server = RedisServer::start();
    let store = patient().connect(&server.url()).unwrap();
    let layer =
        RateLimitLayer::new(limiter(&store, Limit::new("only", Quota::window(20, HOUR))), By::everybody());
    let mut resets = Vec::new();
    for n in 0..60 {
        let begun = Instant::now();
        let answer = ask(&layer, "192.0.2.1", &[]).await;
        let (remaining, reset) = told(&answer);
        assert_eq!(answer.status == 200, n < 20, "{n}");
        assert_eq!(remaining, 19_u64.saturating_sub(n), "{n}");
        resets.push((begun, Instant::now(), reset));
        if answer.status == 429 {
            let retry: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!(retry.abs_diff(reset) <= 1, "{retry} or {reset}");
        }
    }
    // Rounded seconds from different moments of one window: never further apart than the requests were, and the rounding.
    for (begun, _, reset) in &resets {
        for (_, ended, other) in &resets {
            let apart = ended.saturating_duration_since(*begun).as_secs() + 2;
            assert!(reset.abs_diff(*other) <= apart, "{reset} and {other}");
        }
    }
    // Another process says the same.
    let other = RateLimitLayer::new(
        limiter(&patient().connect(&server.url()).unwrap(), Limit::new("only", Quota::window(20, HOUR))),
        By::everybody(),
    );
    let (remaining, reset) = told(&ask(&other, "192.0.2.1", &[]).await);
    assert!(remaining == 0 && reset.abs_diff(resets[0].2) <= resets[0].0.elapsed().as_secs() + 2);
}

/// GitHub, 2025-01-30: when what counts requests is down, the site must not be. A frozen store refuses nobody.
#[tokio::test]
async fn github_2025_01_30_an_outage_of_the_limiter_is_none_of_the_site() {
    let server = RedisServer::start();
    let store = Store::builder().connect(&server.url()).unwrap();
    let build = |policy| {
        let limit = Limit::new("only", Quota::window(1_000, HOUR)).on_failure(policy);
        let limiter = RateLimiter::builder(store.clone()).limit(limit).build().unwrap();
        RateLimitLayer::new(limiter, By::everybody())
    };
    let (open, local) = (build(FailurePolicy::Open), build(FailurePolicy::Local));
    assert_eq!(ask(&open, "192.0.2.1", &[]).await.status, 200);
    server.freeze();
    for _ in 0..200 {
        assert_eq!(ask(&open, "192.0.2.1", &[]).await.status, 200);
        assert_eq!(ask(&local, "192.0.2.1", &[]).await.status, 200);
    }
    server.thaw();
}

/// alkem-io/server#6332: who shows no cookie needs no store, so an outage of it must not concern them.
#[tokio::test]
async fn alkem_io_6332_an_outage_does_not_concern_the_anonymous() {
    let server = RedisServer::start();
    let store = patient().connect(&server.url()).unwrap();
    let app = App::new(&Sessions::new(store));
    drop(app.signed_in("alice").await);
    server.probed_by(1).await;
    server.reset_calls();
    server.freeze();
    // The deadline is ten seconds: whoever asked the store would wait for it.
    for cookie in [None, Some(""), Some("x"), Some("A.B"), Some("not of our form at all; really")] {
        for _ in 0..100 {
            let mut browser = Browser::new(&app);
            if let Some(cookie) = cookie {
                browser.cookies.insert(COOKIE.into(), cookie.to_owned());
            }
            assert_eq!(browser.me().await, STRANGER);
        }
    }
    server.thaw();
    assert_eq!(server.calls(), [].into(), "it was not asked at all");
}
