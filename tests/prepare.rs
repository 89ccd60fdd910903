//! Engines prepare operations and complete from the replies, so that one batch serves several of them.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests fail by panicking")]

use http::Request;
use keep_testing::{Monitor, RedisServer};
use tower_keep::rate_limit::{Limit, Quota, RateLimiter};
use tower_keep::session::Sessions;
use tower_keep::store::Store;
use tower_keep::store::op::{ListMembers, PrincipalAt};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prepared_session_is_loaded_without_a_round_trip_of_its_own() {
    let server = RedisServer::start();
    let sessions = Sessions::new(Store::builder().without_self_check().connect(&server.url()).unwrap());
    let session = sessions.start();
    session.login("alice").unwrap();
    session.save().await.unwrap();
    let cookie = session.take_set_cookie().unwrap();
    let request = Request::builder().header("cookie", cookie.split(';').next().unwrap()).body(()).unwrap();

    let mut monitor = Monitor::start(&server).await;
    let lazy = sessions.begin(&request);
    let loads = lazy.prepare().unwrap();
    let index = PrincipalAt { namespace: "session".into(), principal: "alice".into() };
    let (answers, members) = sessions.store().batch((loads, ListMembers(index))).await.unwrap();
    lazy.complete(Ok(answers));
    assert_eq!(members.unwrap().len(), 1);
    assert!(lazy.is_untouched(), "loaded ahead is not used");
    assert!(lazy.finish().await.set_cookie.is_none());

    let session = lazy.load().await.unwrap();
    assert_eq!(session.principal().as_deref(), Some("alice"));
    assert!(lazy.prepare().is_none(), "there is nothing left to ask");
    let mut heard = monitor.heard(&server).await;
    heard.retain(|line| ![":probe:", "\"TIME\"", "\"SCRIPT\""].iter().any(|word| line.contains(word))); // a new connection
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(heard[0].contains("HGETALL") && heard[1].contains("ZRANGE"), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_and_a_session_are_one_round_trip() {
    let server = RedisServer::start();
    let store = Store::builder().without_self_check().connect(&server.url()).unwrap();
    let (sessions, quota) = (Sessions::new(store.clone()), Quota::per_second(1));
    let limiter = RateLimiter::builder(store).limit(Limit::new("api", quota)).build().unwrap();
    let session = sessions.start();
    session.login("alice").unwrap();
    session.save().await.unwrap();
    let cookie = session.take_set_cookie().unwrap();
    let request = Request::builder().header("cookie", cookie.split(';').next().unwrap()).body(()).unwrap();

    let (lazy, check) = (sessions.begin(&request), limiter.begin("alice").unwrap());
    let mut monitor = Monitor::start(&server).await;
    let batch = (check.prepare(), lazy.prepare().unwrap());
    let (decided, loaded) = limiter.store().batch(batch).await.unwrap();
    let decision = check.complete(Ok(decided.unwrap())).unwrap();
    lazy.complete(Ok(loaded));
    assert!(decision.is_admitted() && decision.remaining() == Some(0));
    assert_eq!(lazy.load().await.unwrap().principal().as_deref(), Some("alice"));
    let mut heard = monitor.heard(&server).await;
    heard.retain(|line| line.contains("EVALSHA") || line.contains("HGETALL"));
    assert_eq!(heard.len(), 2, "{heard:?}");

    let again = limiter.begin("alice").unwrap();
    assert!(!limiter.check("alice").await.unwrap().is_admitted());
    assert!(limiter.begin("alice").unwrap().prepare().is_none(), "a known refusal asks nothing");
    assert!(again.known().unwrap().is_admitted(), "who does not ask goes by the policy");
}
