//! What ends something must not come back by a failover: replicas confirm it, or the caller is told.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::Full;
use keep_testing::{Monitor, RedisServer, SentinelGroup};
use tower::{Layer, ServiceExt, service_fn};
use tower_keep::lock::{LockError, Locks};
use tower_keep::session::{Session, SessionError, SessionHandle, SessionLayer, SessionSet, Sessions};
use tower_keep::store::{ConfigError, Replicas, Store, StoreBuilder, StoreErrorKind as Kind, StoreStatus};

use crate::fixture::*;

/// Time enough on a busy machine.
const WAIT: Duration = Duration::from_millis(700);
const SHORT: Duration = Duration::from_millis(100);

const LOCK: &str = "keep:lock:default:{a}";

struct Pair {
    primary: RedisServer,
    replica: RedisServer,
}

impl Pair {
    async fn start() -> Self {
        let primary = RedisServer::start();
        let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &primary.port().to_string()]);
        let pair = Self { primary, replica };
        eventually("the replica follows", async || {
            pair.replica.cmd::<String>("INFO", "replication").contains("master_link_status:up")
        })
        .await;
        pair
    }

    fn store(&self) -> Store {
        durable(patient(), WAIT).connect(&self.primary.url()).unwrap()
    }
}

fn durable(builder: StoreBuilder, wait: Duration) -> StoreBuilder {
    builder.replicas(Replicas::at_least(1).within(wait))
}

async fn signed_in(sessions: &Sessions) -> (Session, SessionHandle) {
    let session = sessions.start();
    session.login("alice").unwrap();
    session.save().await.unwrap();
    let handle = session.handle().unwrap();
    (session, handle)
}

fn key(handle: &SessionHandle) -> String {
    format!("keep:session:{handle}")
}

fn unreplicated<T: std::fmt::Debug>(result: Result<T, SessionError>) {
    match result {
        Err(SessionError::Store(error)) => assert_eq!(told(&error), Kind::Unreplicated),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_reported_as_done_lies_on_the_replica() {
    let pair = Pair::start().await;
    let store = pair.store();
    let (sessions, locks) = (Sessions::new(store.clone()), Locks::builder(store.clone()).build().unwrap());
    for _ in 0..50 {
        let (session, handle) = signed_in(&sessions).await;
        let _: u64 = pair.primary.cmd("WAIT", &["1", "5000"]); // a sign-in itself does not wait
        session.rotate().unwrap();
        session.save().await.unwrap();
        let rotated = pair.replica.cmd::<String>("HGET", &[&*key(&handle), "@"]);
        assert_eq!(rotated, pair.primary.cmd::<String>("HGET", &[&*key(&handle), "@"]));
        assert!(sessions.revoke(&handle).await.unwrap());
        assert_eq!(pair.replica.cmd::<u64>("EXISTS", key(&handle)), 0);
        let lock = locks.acquire("a").await.unwrap();
        assert_eq!(pair.replica.cmd::<u64>("EXISTS", LOCK), 1);
        let _ = lock.release().await.unwrap();
        let (_, other) = signed_in(&sessions).await;
        assert_eq!(sessions.revoke_all("alice").await.unwrap(), 1);
        assert_eq!(pair.replica.cmd::<u64>("EXISTS", key(&other)), 0);
    }
    let lasting = pair.primary.clients().into_iter().filter(|line| line.contains(":lasting ")).count();
    assert_eq!(lasting, 1, "one after the other needs one connection");
}

#[tokio::test]
async fn a_write_that_waits_is_one_round_trip_and_without_the_option_none_waits() {
    let pair = Pair::start().await;
    let server = &pair.primary;
    let mut monitor = Monitor::start(server).await;
    for (store, waits) in [(pair.store(), true), (patient().connect(&server.url()).unwrap(), false)] {
        let sessions = Sessions::new(store);
        let (_, handle) = signed_in(&sessions).await;
        monitor.heard(server).await;
        assert!(sessions.revoke(&handle).await.unwrap());
        let heard = monitor.heard(server).await;
        // The probe with which a store begins removes the same key.
        let is_marker = |line: &str| line.contains("\"SET\"") && line.contains(":probe:");
        let is_own =
            |line: &&String| line.contains(handle.as_str()) || line.contains("\"WAIT\"") || is_marker(line);
        let own = heard.iter().filter(is_own);
        let verbs: Vec<_> = own.map(|line| line.split('"').nth(1).unwrap()).collect();
        assert_eq!(verbs, if waits { vec!["DEL", "SET", "WAIT"] } else { vec!["DEL"] });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_frozen_replica_did_not_confirm_is_told_each_time() {
    let pair = Pair::start().await;
    let store = pair.store();
    let sessions = Sessions::new(store.clone());
    let (session, handle) = signed_in(&sessions).await;
    let [(_, one), (_, two), (out, gone)] =
        [signed_in(&sessions).await, signed_in(&sessions).await, signed_in(&sessions).await];
    pair.replica.freeze();
    for _ in 0..2 {
        unreplicated(sessions.revoke(&one).await);
        assert_eq!(pair.primary.cmd::<u64>("EXISTS", key(&one)), 0, "it was done");
    }
    for _ in 0..2 {
        unreplicated(sessions.revoke_of("alice", &two).await);
    }
    out.logout().unwrap();
    for _ in 0..2 {
        unreplicated(out.save().await);
    }
    assert!(out.take_set_cookie().unwrap().contains("Max-Age=0"), "the cookie goes in any case");
    assert_eq!(pair.primary.cmd::<u64>("EXISTS", key(&gone)), 0);
    session.rotate().unwrap();
    unreplicated(session.save().await);
    let cookie = session.take_set_cookie().unwrap();
    let request =
        Request::builder().header(header::COOKIE, cookie.split(';').next().unwrap()).body(()).unwrap();
    let seen = sessions.begin(&request).load().await.unwrap();
    assert_eq!(seen.principal().as_deref(), Some("alice"), "the new secret is the one that opens");
    for _ in 0..2 {
        unreplicated(sessions.revoke_all("alice").await);
        assert_eq!(pair.primary.cmd::<u64>("EXISTS", key(&handle)), 0, "it was done");
    }
    assert_eq!(store.health().await.status, StoreStatus::Up, "none of it is an outage");
    pair.replica.thaw();
    eventually("the replica confirms again", async || sessions.revoke(&one).await.is_ok()).await;
    assert!(!sessions.revoke_of("alice", &two).await.unwrap());
    out.save().await.unwrap();
    assert_eq!(sessions.revoke_all("alice").await.unwrap(), 0);
    for ended in [&one, &two, &gone, &handle] {
        assert_eq!(pair.replica.cmd::<u64>("EXISTS", key(ended)), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_no_replica_holds_is_an_error_and_given_back() {
    let pair = Pair::start().await;
    let locks = Locks::builder(pair.store()).build().unwrap();
    let held = locks.acquire("held").await.unwrap();
    pair.replica.freeze();
    let refused = |error: LockError| match error {
        LockError::Store(error) => assert_eq!(told(&error), Kind::Unreplicated),
        other => panic!("{other:?}"),
    };
    refused(locks.acquire("a").await.unwrap_err());
    refused(locks.try_acquire("b").await.unwrap_err());
    assert!(locks.try_acquire("held").await.unwrap().is_none(), "what is not written needs no replica");
    refused(locks.force_release("held").await.unwrap_err());
    refused(locks.force_release("held").await.unwrap_err());
    eventually("it is given back", async || pair.primary.cmd::<u64>("EXISTS", LOCK) == 0).await;
    pair.replica.thaw();
    eventually("it can be had", async || locks.try_acquire("a").await.is_ok_and(|lock| lock.is_some())).await;
    drop(held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_waits_holds_up_nobody_else_and_leaves_nothing_behind() {
    let pair = Pair::start().await;
    let builder = durable(Store::builder().deadline(Duration::from_millis(400)).without_self_check(), SHORT);
    let store = builder.connect(&pair.primary.url()).unwrap();
    eventually("it serves", async || serves(&store).await).await;
    make(&store, "a", "1").await;
    let sessions = Sessions::new(store.clone());
    let (_, handle) = signed_in(&sessions).await;
    pair.replica.freeze();
    let mut crowd = tokio::task::JoinSet::new();
    for n in 0..200 {
        let (sessions, handle) = (sessions.clone(), handle.clone());
        crowd.spawn(async move {
            if n % 3 == 0 {
                // Given up in the middle of the wait.
                drop(tokio::time::timeout(SHORT / 2, sessions.revoke(&handle)).await);
                return Kind::Unreplicated;
            }
            match sessions.revoke(&handle).await {
                Err(SessionError::Store(error)) => error.kind(),
                other => panic!("{other:?}"),
            }
        });
    }
    while !crowd.is_empty() {
        assert_eq!(read(&store, "a").await.unwrap().as_deref(), Some("1"));
        done(store.run(change("a", count())).await.unwrap());
        while let Some(ended) = crowd.try_join_next() {
            let kind = ended.unwrap();
            assert!([Kind::Unreplicated, Kind::Overloaded].contains(&kind), "{kind:?}");
        }
        let lasting = pair.primary.clients().into_iter().filter(|line| line.contains(":lasting "));
        assert!(lasting.count() <= 8, "four, and those that are being closed");
    }
    assert!(serves(&store).await);
    pair.replica.thaw();
    eventually("the replica confirms again", async || sessions.revoke(&handle).await.is_ok()).await;
}

type Answered = Response<Full<Bytes>>;

/// A logout by the layer, with the cookie of a session.
async fn log_out(sessions: &Sessions, cookie: &str) -> Response<impl Sized + use<>> {
    let handler = service_fn(async |request: Request<()>| {
        let session = request.extensions().get::<SessionSet>().unwrap().innermost().load().await.unwrap();
        session.logout().unwrap();
        Ok::<Answered, Infallible>(Response::new(Full::from("signed out")))
    });
    let request = Request::builder().header(header::COOKIE, cookie).body(()).unwrap();
    SessionLayer::new(sessions.clone()).layer(handler).oneshot(request).await.unwrap()
}

#[tokio::test]
async fn a_logout_that_is_not_confirmed_answers_503_and_takes_the_cookie_away() {
    let pair = Pair::start().await;
    let sessions = Sessions::new(pair.store());
    for is_frozen in [false, true] {
        let (session, handle) = signed_in(&sessions).await;
        let cookie = session.take_set_cookie().unwrap();
        if is_frozen {
            pair.replica.freeze();
        }
        let response = log_out(&sessions, cookie.split(';').next().unwrap()).await;
        assert_eq!(response.status(), if is_frozen { 503 } else { 200 });
        assert!(response.headers()[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(pair.primary.cmd::<u64>("EXISTS", key(&handle)), 0);
    }
}

#[tokio::test]
async fn a_primary_that_refuses_writes_for_want_of_replicas_is_no_logout() {
    let server = RedisServer::start();
    let sessions = Sessions::new(patient().connect(&server.url()).unwrap());
    let (session, handle) = signed_in(&sessions).await;
    let cookie = session.take_set_cookie().unwrap();
    server.tell("CONFIG SET min-replicas-to-write 1");
    let response = log_out(&sessions, cookie.split(';').next().unwrap()).await;
    assert_eq!(response.status(), 503);
    assert!(
        !response.headers().contains_key(header::SET_COOKIE),
        "the session lives, and so does its cookie"
    );
    match sessions.revoke(&handle).await {
        Err(SessionError::Store(error)) => assert_eq!(error.kind(), Kind::NoReplicas),
        other => panic!("{other:?}"),
    }
    assert!(sessions.open(&handle).await.unwrap().is_some());
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let replicas =
        |replicas: Replicas| Store::builder().replicas(replicas).connect("redis://127.0.0.1").unwrap_err();
    assert_eq!(replicas(Replicas::at_least(0)), ConfigError::OutOfRange("replicas"));
    let late = Replicas::at_least(1).within(Duration::from_millis(250));
    assert_eq!(replicas(late), ConfigError::OutOfRange("replicas within"), "the deadline is as long");
    assert_eq!(
        replicas(Replicas::at_least(1).connections(0)),
        ConfigError::OutOfRange("replicas connections")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_logout_is_undone_by_a_failover() {
    let group = SentinelGroup::start();
    let store = durable(Store::builder().without_self_check(), SHORT).connect(&group.url()).unwrap();
    eventually("it serves", async || serves(&store).await).await;
    let sessions = Sessions::new(store.clone());
    let (stop, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let mut load = tokio::task::JoinSet::new();
    for n in 0..8 {
        let (sessions, stop, ended) = (sessions.clone(), Arc::clone(&stop), Arc::clone(&ended));
        load.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let session = sessions.start();
                session.login(&format!("user-{n}")).unwrap();
                if session.save().await.is_err() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    continue;
                }
                let handle = session.handle().unwrap();
                if sessions.revoke(&handle).await.is_ok() {
                    ended.lock().unwrap().push(handle);
                }
            }
        });
    }
    eventually("logouts are under way", async || ended.lock().unwrap().len() > 100).await;
    let group = tokio::task::spawn_blocking(move || {
        group.fail_over();
        group
    })
    .await
    .unwrap();
    let begun = Instant::now();
    while !group.second.cmd::<String>("INFO", "replication").contains("state=online") {
        assert!(begun.elapsed() < Duration::from_secs(60), "the old primary never follows the new one");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = ended.lock().unwrap().len();
    let acknowledged = async || ended.lock().unwrap().len() > before + 100;
    eventually("logouts are acknowledged by the new primary", acknowledged).await;
    stop.store(true, Ordering::Relaxed);
    load.join_all().await;
    let ended = ended.lock().unwrap();
    let alive: Vec<_> =
        ended.iter().filter(|handle| group.second.cmd::<u64>("EXISTS", key(handle)) == 1).collect();
    assert!(alive.is_empty(), "{} of {} came back", alive.len(), ended.len());
}
