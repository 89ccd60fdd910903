//! Idle, absolute and renewal timers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use keep_testing::Answer;
use serde_json::{Value, json};
use tower_keep_axum::clock::Clock;
use tower_keep_axum::session::{CookieLifetime, Lifetimes, Sessions};
use tower_keep_axum::store::{MemoryLimits, Store};

use crate::harness::{Backend, Browser, COOKIE, eventually, in_parallel, me_with};
use crate::site::{site, stranger};

const SECOND: Duration = Duration::from_secs(1);

/// Idle 100 s (so it is moved at most each 5 s), absolute 1,000 s, renewal 60 s, grace 10 s.
fn lifetimes() -> Lifetimes {
    Lifetimes::new().idle(100 * SECOND).absolute(1_000 * SECOND).renewal(60 * SECOND).grace(10 * SECOND)
}

/// A site on the embedded store, and its clock.
fn on_the_clock(lifetimes: Lifetimes) -> (Router, Clock) {
    let clock = Clock::manual(1_700_000_000_000);
    let store = Store::in_memory_with(MemoryLimits::default(), clock.clone());
    let sessions = Sessions::builder(store).lifetimes(lifetimes);
    (site(&sessions.cookie_lifetime(CookieLifetime::Persistent).build().unwrap()), clock)
}

async fn sign_in(app: &Router) -> Browser {
    let mut browser = Browser::new(app);
    browser.post("/login/alice").await;
    browser
}

async fn user(browser: &mut Browser) -> Value {
    browser.get("/me").await.json()["user"].clone()
}

#[tokio::test]
async fn an_unused_session_ends_to_the_millisecond() {
    for (unused_ms, alive) in [(99_999, true), (100_000, false)] {
        let (app, clock) = on_the_clock(lifetimes());
        let mut browser = sign_in(&app).await;
        clock.advance(Duration::from_millis(unused_ms));
        assert_eq!(user(&mut browser).await == "alice", alive, "{unused_ms}");
    }
}

#[tokio::test]
async fn use_keeps_a_session_until_its_absolute_end() {
    let (app, clock) = on_the_clock(lifetimes());
    let mut browser = sign_in(&app).await;
    for _ in 0..11 {
        clock.advance(90 * SECOND);
        assert_eq!(user(&mut browser).await, "alice");
    }
    clock.advance(Duration::from_millis(9_999));
    assert_eq!(user(&mut browser).await, "alice");
    clock.advance(Duration::from_millis(1));
    assert_eq!(browser.get("/me").await.json(), stranger());
}

#[tokio::test]
async fn signing_in_begins_the_absolute_time_anew() {
    let (app, clock) = on_the_clock(lifetimes().idle(1_000 * SECOND));
    let mut browser = sign_in(&app).await;
    clock.advance(999 * SECOND);
    browser.post("/login/alice").await;
    clock.advance(999 * SECOND);
    assert_eq!(user(&mut browser).await, "alice");
    clock.advance(SECOND);
    assert_eq!(user(&mut browser).await, Value::Null);
}

fn renewed(answer: &Answer) -> Option<String> {
    let cookie = answer.cookie(COOKIE)?;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    Some(cookie)
}

#[tokio::test]
async fn a_renewed_cookie_replaces_the_old_one_after_a_grace() {
    let (app, clock) = on_the_clock(lifetimes());
    let mut browser = sign_in(&app).await;
    let (old, handle) = (browser.session().to_owned(), browser.handle());
    clock.advance(Duration::from_millis(59_999));
    assert_eq!(renewed(&browser.get("/me").await), None);
    clock.advance(Duration::from_millis(1));
    let answer = browser.get("/me").await;
    let new = renewed(&answer).expect("the renewal is due");
    assert!(answer.set_cookies()[0].contains("; Max-Age=940"), "the cookie ends with the session");
    assert_eq!(browser.handle(), handle);
    clock.advance(30 * SECOND);
    assert_eq!(me_with(&app, &old).await["user"], "alice", "the new one was not seen yet");
    assert_eq!(me_with(&app, &new).await["user"], "alice");
    clock.advance(Duration::from_millis(9_999));
    assert_eq!(me_with(&app, &old).await["user"], "alice", "requests under way");
    clock.advance(Duration::from_millis(1));
    assert_eq!(me_with(&app, &old).await, stranger());
    assert_eq!(me_with(&app, &new).await["user"], "alice");
}

#[tokio::test]
async fn a_lost_renewal_logs_nobody_out() {
    let (app, clock) = on_the_clock(lifetimes());
    let browser = sign_in(&app).await;
    let (old, mut offers) = (browser.session().to_owned(), 0);
    for _ in 0..99 {
        clock.advance(10 * SECOND);
        let mut lost = Browser::new(&app);
        lost.cookies.insert(COOKIE.into(), old.clone());
        let answer = lost.get("/me").await;
        assert_eq!(answer.json()["user"], "alice");
        offers += usize::from(renewed(&answer).is_some());
    }
    assert_eq!(offers, 990 / 60, "offered again each time that it is due");
}

#[tokio::test]
async fn signing_in_ends_a_renewed_cookie_and_the_one_before_at_once() {
    let (app, clock) = on_the_clock(lifetimes());
    let mut browser = sign_in(&app).await;
    let old = browser.session().to_owned();
    clock.advance(60 * SECOND);
    let new = renewed(&browser.get("/me").await).unwrap();
    browser.post("/login/alice").await;
    assert_eq!(me_with(&app, &old).await, stranger());
    assert_eq!(me_with(&app, &new).await, stranger());
    assert_eq!(user(&mut browser).await, "alice");
}

/// Many requests at once with the cookie whose renewal is due.
async fn burst(browser: &Browser, requests: usize) -> Vec<String> {
    let cookies = Arc::new(std::sync::Mutex::new(Vec::new()));
    let counter = Arc::new(AtomicUsize::new(0));
    let task = {
        let (cookies, counter) = (Arc::clone(&cookies), Arc::clone(&counter));
        move |i: usize| {
            let (mut browser, cookies, counter) =
                (browser.clone(), Arc::clone(&cookies), Arc::clone(&counter));
            async move {
                let answer = match i % 3 {
                    0 => browser.put(&format!("/entries/e{}", i % 20), &i.to_string()).await,
                    1 => browser.post("/count/n").await,
                    _ => browser.get("/me").await,
                };
                assert_eq!(answer.status, StatusCode::OK);
                if i % 3 == 2 {
                    assert_eq!(answer.json()["user"], "alice");
                }
                cookies.lock().unwrap().extend(renewed(&answer));
                counter.fetch_add(1, Ordering::SeqCst);
            }
        }
    };
    in_parallel(requests, task).await;
    assert_eq!(counter.load(Ordering::SeqCst), requests);
    let cookies = cookies.lock().unwrap();
    cookies.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_parallel_requests_exactly_one_renews() {
    let (app, clock) = on_the_clock(lifetimes().absolute(1_000_000 * SECOND));
    let mut browser = sign_in(&app).await;
    for round in 1..=200 {
        clock.advance(60 * SECOND);
        let old = browser.session().to_owned();
        let new = burst(&browser, 30).await;
        assert_eq!(new.len(), 1, "round {round}");
        assert_eq!(me_with(&app, &old).await["user"], "alice");
        browser.cookies.insert(COOKIE.into(), new[0].clone());
        let me = browser.get("/me").await.json();
        assert_eq!((&me["user"], &me["entries"]["n"]), (&json!("alice"), &json!(10 * round)));
    }
}

/// A site on Redis, whose own clock decides.
async fn on_redis(lifetimes: Lifetimes) -> (Backend, Router) {
    let backend = Backend::redis();
    let app = site(&backend.builder().lifetimes(lifetimes).build().unwrap());
    (backend, app)
}

#[tokio::test(flavor = "multi_thread")]
async fn on_redis_too_exactly_one_of_parallel_requests_renews() {
    let (_backend, app) = on_redis(Lifetimes::new().renewal(2 * SECOND)).await;
    let mut browser = sign_in(&app).await;
    for _ in 0..2 {
        tokio::time::sleep(2_050 * SECOND / 1000).await;
        let new = burst(&browser, 100).await;
        assert_eq!(new.len(), 1);
        assert_eq!(user(&mut browser).await, "alice", "with the old cookie");
        browser.cookies.insert(COOKIE.into(), new[0].clone());
        assert_eq!(user(&mut browser).await, "alice", "with the new cookie");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_redis_unused_sessions_end_by_themselves() {
    let (backend, app) = on_redis(Lifetimes::new().idle(SECOND / 5)).await;
    let server = backend.redis.as_ref().unwrap();
    let mut browser = sign_in(&app).await;
    eventually("nothing is left in Redis but the index", async || server.cmd::<u64>("DBSIZE", &[""; 0]) <= 1)
        .await;
    assert_eq!(browser.get("/me").await.json(), stranger());
    assert_eq!(backend.sessions().list("alice").await.unwrap(), []);
    eventually("the index ends too", async || server.cmd::<u64>("DBSIZE", &[""; 0]) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_redis_use_moves_the_idle_timer_but_not_the_absolute_one() {
    let (backend, app) = on_redis(Lifetimes::new().idle(2 * SECOND).absolute(5 * SECOND)).await;
    let server = backend.redis.as_ref().unwrap();
    let now_ms = || -> u64 {
        let (seconds, micros): (u64, u64) = server.cmd("TIME", &[""; 0]);
        seconds * 1000 + micros / 1000
    };
    let earliest = now_ms();
    let mut browser = sign_in(&app).await;
    let latest = now_ms();
    let (key, mut last) = (crate::harness::key(&browser.handle()), latest);
    loop {
        let before = now_ms();
        let alive = user(&mut browser).await == "alice";
        let after = now_ms();
        if after - last >= 1_000 {
            return; // the machine stood still for most of the idle time
        }
        if !alive {
            assert!(after >= earliest + 5_000, "it ended too early");
            break;
        }
        assert!(before <= latest + 5_000, "it lives too long");
        let ttl: i64 = server.cmd("PTTL", &key);
        assert!(ttl <= 2_000, "{ttl}");
        last = before;
        tokio::time::sleep(SECOND / 10).await;
    }
    assert!(last - latest > 2_500, "use moved the idle timer");
}
