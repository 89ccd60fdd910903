//! What a request costs Redis: commands by its own count, round trips by a proxy that holds replies back.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use keep_testing::{Fault, Monitor, Proxy};
use serde_json::Value;
use tower_keep_axum::session::{Lifetimes, Sessions};
use tower_keep_axum::store::Store;
use tower_keep_axum::{Session, SessionProblem};

use crate::harness::{Backend, Browser, COOKIE, with_layer};
use crate::site::{site, stranger};

async fn two_reads(session: Session, again: Session) -> Result<String, SessionProblem> {
    Ok(format!("{:?} {:?}", session.get::<String>("a")?, again.entries()))
}

async fn many_writes(session: Session) -> Result<(), SessionProblem> {
    for n in 0..20 {
        session.insert(&format!("e{n}"), &n)?;
    }
    session.remove("e3")?;
    session.flash("done", &true)?;
    session.csrf_token()?;
    Ok(())
}

fn routes(sessions: &Sessions) -> Router {
    let router = Router::new().route("/two-reads", get(two_reads)).route("/many-writes", post(many_writes));
    with_layer(router, sessions).merge(site(sessions))
}

/// A site with a warm connection, and a browser that has signed in.
async fn scene() -> (Backend, Browser) {
    let backend = Backend::redis();
    backend.redis.as_ref().unwrap().probed_by(1).await;
    let mut browser = Browser::new(&routes(&backend.sessions()));
    browser.put("/entries/a", "1").await;
    browser.post("/login/alice").await;
    (backend, browser)
}

/// What the server counts for one request; what a script calls is counted too.
async fn calls(backend: &Backend, browser: &mut Browser, method: &str, path: &str) -> BTreeMap<String, u64> {
    let server = backend.redis.as_ref().unwrap();
    server.reset_calls();
    let answer = match method {
        "GET" => browser.get(path).await,
        "PUT" => browser.put(path, "x").await,
        "DELETE" => browser.delete(path).await,
        _ => browser.post(path).await,
    };
    assert!(answer.status.is_success(), "{method} {path}: {}", answer.status);
    server.calls()
}

fn one(name: &str) -> BTreeMap<String, u64> {
    BTreeMap::from([(name.to_owned(), 1)])
}

#[tokio::test]
async fn what_does_not_need_the_session_costs_nothing() {
    let (backend, browser) = scene().await;
    let none = BTreeMap::new();
    let mut stranger = browser.clone();
    stranger.cookies.clear();
    for path in ["/plain", "/me", "/two-reads"] {
        assert_eq!(calls(&backend, &mut stranger, "GET", path).await, none, "{path}, no cookie");
    }
    let value = browser.session();
    for garbage in
        ["", "x", &value[1..], &value[..65], &format!("{value}x"), &value.replace('.', "-"), &"A".repeat(66)]
    {
        let mut forger = browser.clone();
        forger.cookies.insert(COOKIE.into(), garbage.to_owned());
        assert_eq!(calls(&backend, &mut forger, "GET", "/me").await, none, "{garbage}");
        assert_eq!(calls(&backend, &mut forger, "POST", "/logout").await, none, "{garbage}");
    }
    let mut browser = browser;
    assert_eq!(calls(&backend, &mut browser, "GET", "/plain").await, none, "a valid cookie, untouched");
}

#[tokio::test]
async fn a_read_is_one_command() {
    let (backend, mut browser) = scene().await;
    for path in ["/me", "/two-reads", "/me"] {
        assert_eq!(calls(&backend, &mut browser, "GET", path).await, one("hgetall"), "{path}");
    }
    assert_eq!(calls(&backend, &mut browser, "DELETE", "/entries/absent").await, one("hgetall"));
    assert_eq!(calls(&backend, &mut browser, "PUT", "/entries/a").await["evalsha"], 1);
    assert_eq!(calls(&backend, &mut browser, "PUT", "/entries/a").await, one("hgetall"), "the same value");
    browser.cookies.insert(COOKIE.into(), format!("{}.{}", "A".repeat(22), "A".repeat(43)));
    assert_eq!(calls(&backend, &mut browser, "GET", "/me").await, one("hgetall"), "a well-formed guess");
}

/// The commands that the client itself sent, without what scripts called.
async fn sent(monitor: &mut Monitor, backend: &Backend) -> Vec<String> {
    let lines = monitor.heard(backend.redis.as_ref().unwrap()).await;
    let own = lines.iter().filter(|line| !line.contains(" lua] "));
    own.map(|line| line.split('"').nth(1).unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_request_sends_what_is_documented_and_nothing_else() {
    let (backend, mut browser) = scene().await;
    let mut monitor = Monitor::start(backend.redis.as_ref().unwrap()).await;
    for (method, path, expected) in [
        ("GET", "/me", &["HGETALL"][..]),
        ("PUT", "/entries/b", &["HGETALL", "EVALSHA"]),
        ("POST", "/many-writes", &["HGETALL", "EVALSHA"]),
        ("POST", "/count/n", &["HGETALL", "EVALSHA"]),
        ("DELETE", "/entries/b", &["HGETALL", "EVALSHA"]),
        ("POST", "/rotate", &["HGETALL", "EVALSHA"]),
        ("POST", "/login/alice", &["HGETALL", "EVALSHA", "EVALSHA"]),
        ("POST", "/login/bob", &["HGETALL", "DEL", "ZREM", "EVALSHA", "EVALSHA"]),
        ("POST", "/logout", &["HGETALL", "DEL", "ZREM"]),
        ("GET", "/me", &[]),
        ("PUT", "/entries/c", &["EVALSHA"]),
        ("POST", "/login/alice", &["HGETALL", "EVALSHA", "EVALSHA"]),
    ] {
        match method {
            "GET" => browser.get(path).await,
            "PUT" => browser.put(path, "x").await,
            "DELETE" => browser.delete(path).await,
            _ => browser.post(path).await,
        };
        assert_eq!(sent(&mut monitor, &backend).await, expected, "{method} {path}");
    }
}

/// A browser whose requests go through a proxy that lets a group of commands through only when all of it has been sent.
async fn through(backend: &Backend, proxy: &Proxy) -> Browser {
    let store = Store::builder().prefix(backend.store.prefix().clone()).pool_size(1).without_self_check();
    let store = store.deadline(Duration::from_secs(20)).connect(&proxy.url()).unwrap();
    let mut browser = Browser::new(&routes(&Sessions::new(store)));
    browser.put("/entries/a", "1").await;
    backend.redis.as_ref().unwrap().probed_by(2).await;
    browser
}

#[tokio::test]
async fn a_sign_in_is_at_most_two_round_trips() {
    let backend = Backend::redis();
    let proxy = Proxy::start(backend.redis.as_ref().unwrap().port()).await;
    let mut browser = through(&backend, &proxy).await;
    for (path, groups) in [
        ("/login/alice", &[1, 2][..]),
        ("/login/alice", &[1, 2]),
        ("/login/bob", &[1, 4]),
        ("/logout", &[1, 2]),
        ("/login/carol", &[2]),
    ] {
        proxy.set(Fault::Groups(groups));
        let answer = tokio::time::timeout(Duration::from_secs(10), browser.post(path)).await;
        assert!(answer.expect("more round trips").status.is_success(), "{path}");
    }
}

#[tokio::test]
async fn two_cookies_of_our_name_are_one_round_trip() {
    let backend = Backend::redis();
    let proxy = Proxy::start(backend.redis.as_ref().unwrap().port()).await;
    let mut browser = through(&backend, &proxy).await;
    let (own, guess) = (browser.session().to_owned(), format!("{}.{}", "A".repeat(22), "A".repeat(43)));
    browser.cookies.insert(COOKIE.into(), format!("{guess}; {COOKIE}={own}"));
    proxy.set(Fault::Groups(&[2]));
    let answer = tokio::time::timeout(Duration::from_secs(10), browser.get("/me")).await;
    assert_eq!(answer.expect("more round trips").json()["entries"]["a"], "1");
}

#[tokio::test]
async fn devices_and_their_end_cost_little() {
    let (backend, mut browser) = scene().await;
    let mut others = Vec::new();
    for _ in 0..20 {
        let mut other = browser.clone();
        other.cookies.clear();
        other.post("/login/alice").await;
        others.push(other);
    }
    let devices = calls(&backend, &mut browser, "GET", "/devices").await;
    assert_eq!((devices["hgetall"], devices["zrange"], devices["hmget"]), (1, 1, 21));
    assert_eq!(devices.len(), 3, "{devices:?}");
    let ended = calls(&backend, &mut browser, "POST", "/logout-others").await;
    assert_eq!((ended["del"], ended["zrem"], ended["evalsha"]), (20, 1, 2), "{ended:?}");
    for other in &mut others {
        assert_eq!(other.get("/me").await.json(), stranger());
    }
}

#[tokio::test]
async fn timers_cost_a_write_now_and_then() {
    let backend = Backend::redis();
    // Idle 20 s: moved at most each second.
    let lifetimes = Lifetimes::new().idle(Duration::from_secs(20));
    let sessions = backend.builder().lifetimes(lifetimes).build().unwrap();
    backend.redis.as_ref().unwrap().probed_by(1).await;
    let mut browser = Browser::new(&routes(&sessions));
    browser.post("/login/alice").await;
    let server = backend.redis.as_ref().unwrap();
    server.reset_calls();
    let begun = std::time::Instant::now();
    for _ in 0..30 {
        assert_eq!(browser.get("/me").await.json()["user"], Value::from("alice"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let seconds = begun.elapsed().as_secs() + 1;
    let calls = server.calls();
    assert_eq!(calls["hgetall"], 30);
    let scripts = calls.get("evalsha").copied().unwrap_or(0);
    assert!((2..=2 * seconds).contains(&scripts), "{scripts} in {seconds} s: the session's and its index's");
}
