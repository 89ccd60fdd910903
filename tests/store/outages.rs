//! Redis does not answer: every call ends in time, and the store comes back by itself.

use std::time::{Duration, Instant};

use keep_testing::{Fault, Log, Proxy, RedisServer};
use tower_keep::store::op::RemoveSession;
use tower_keep::store::{Store, StoreErrorKind as Kind, StoreStatus};

use crate::fixture::*;

/// Far beyond any deadline here, and far below "hangs".
const SOON: Duration = Duration::from_secs(5);
const NOT_ANSWERED: [Kind; 2] = [Kind::Timeout, Kind::Unavailable];

/// One read and one write, both refused, each within its deadline.
async fn both_are_refused(store: &Store, kinds: &[Kind]) {
    let begun = Instant::now();
    let read = refusal(read(store, "a").await);
    let write = refusal(store.run(change("a", count())).await);
    assert!(kinds.contains(&read) && kinds.contains(&write), "{read:?} {write:?}");
    assert!(begun.elapsed() < SOON, "took {:?}", begun.elapsed());
}

async fn is_refused_at_once(store: &Store) {
    eventually("the breaker is open", async || store.health().await.status == StoreStatus::Down).await;
    let begun = Instant::now();
    for _ in 0..1_000 {
        both_are_refused(store, &[Kind::Unavailable]).await;
    }
    assert!(begun.elapsed() < SOON, "2,000 deadlines were not paid: {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_frozen_server_costs_a_deadline_until_the_breaker_opens() {
    let server = RedisServer::start();
    let store = hasty().connect(&server.url()).unwrap();
    make(&store, "a", "1").await;
    for _ in 0..2 {
        server.freeze();
        for _ in 0..8 {
            both_are_refused(&store, &NOT_ANSWERED).await;
        }
        is_refused_at_once(&store).await;
        server.thaw();
        eventually("it serves again", async || serves(&store).await).await;
        assert_eq!(read(&store, "a").await.unwrap().as_deref(), Some("1"));
        done(store.run(change("a", set("1"))).await.unwrap());
    }
}

#[tokio::test]
async fn many_requests_at_a_frozen_server_all_end_within_the_deadline() {
    let server = RedisServer::start();
    let store = hasty().connect(&server.url()).unwrap();
    make(&store, "a", "1").await;
    server.freeze();
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..500 {
        let store = store.clone();
        tasks.spawn(async move { refusal(read(&store, "a").await) });
    }
    for kind in tasks.join_all().await {
        assert!(NOT_ANSWERED.contains(&kind), "{kind:?}");
    }
    assert!(begun.elapsed() < SOON);
    server.thaw();
    eventually("it serves again", async || serves(&store).await).await;
}

#[tokio::test]
async fn recovery_needs_no_request_and_each_change_is_logged_once() {
    let log = Log::start();
    let server = RedisServer::start();
    let store = hasty().connect(&server.url()).unwrap();
    make(&store, "a", "1").await;
    for round in 1..=3 {
        server.freeze();
        eventually("the breaker is open", async || {
            refusal(read(&store, "a").await) == Kind::Unavailable && log.warnings().len() == 2 * round - 1
        })
        .await;
        for _ in 0..50 {
            both_are_refused(&store, &[Kind::Unavailable]).await;
        }
        server.thaw();
        eventually("the log says so", async || log.warnings().len() == 2 * round).await;
        assert_eq!(read(&store, "a").await.unwrap().as_deref(), Some("1"));
        done(store.run(change("a", set("1"))).await.unwrap());
    }
    let warnings = log.warnings();
    assert_eq!(warnings.len(), 6, "{warnings:#?}");
    for pair in warnings.chunks(2) {
        assert!(pair[0].contains("unavailable") && pair[1].contains("answers again"), "{pair:#?}");
    }
    assert!(!log.text().contains("canary"));
}

#[tokio::test]
async fn a_closed_port_is_an_error_at_once_and_is_found_open_again() {
    let mut server = RedisServer::start();
    let store = patient().connect(&server.url()).unwrap();
    make(&store, "a", "1").await;
    for round in 0..3 {
        server.stop();
        settle().await;
        for _ in 0..20 {
            both_are_refused(&store, &[Kind::Refused, Kind::Disconnected, Kind::Unavailable]).await;
        }
        is_refused_at_once(&store).await;
        server.restart();
        eventually("it serves again", async || serves(&store).await).await;
        make(&store, &round.to_string(), "2").await;
    }
}

#[tokio::test]
async fn a_store_built_while_redis_is_down_serves_when_it_is_up() {
    let log = Log::start();
    let mut server = RedisServer::reserve(&[]);
    let begun = Instant::now();
    let store = patient().connect(&server.url()).unwrap();
    for _ in 0..20 {
        both_are_refused(&store, &[Kind::Refused, Kind::Unavailable]).await;
    }
    assert!(begun.elapsed() < SOON);
    assert!(store.health().await.latency.is_err());
    server.restart();
    eventually("the log says so", async || log.warnings().len() == 2).await;
    make(&store, "a", "1").await;
    assert_eq!(log.warnings().len(), 2, "{:#?}", log.warnings());
}

#[tokio::test]
async fn an_absent_server_is_not_stormed() {
    let proxy = Proxy::start(keep_testing::free_port()).await; // accepts, and closes at once
    let interval = Duration::from_millis(50);
    let store = hasty().pool_size(4).probe_interval(interval).connect(&proxy.url()).unwrap();
    let begun = Instant::now();
    let mut calls = 0;
    while proxy.accepted() < 12 {
        both_are_refused(&store, &[Kind::Refused, Kind::Disconnected, Kind::Unavailable]).await;
        calls += 2;
        tokio::task::yield_now().await;
        assert!(begun.elapsed() < 2 * SOON, "it is probed");
    }
    let probes = begun.elapsed().as_millis() / interval.as_millis();
    assert!(
        u128::from(proxy.accepted()) <= 2 * probes + 12,
        "{} connects, {probes} probes",
        proxy.accepted()
    );
    assert!(calls > 100, "{calls} calls");
}

/// Each of these servers takes connections and then refuses to serve them.
#[tokio::test]
async fn a_connection_that_cannot_be_set_up_is_an_outage_and_not_stormed() {
    let server = RedisServer::start_with(&["--requirepass", "canary"]);
    let url = |rest: &str| format!("redis://{rest}127.0.0.1:{}", server.port());
    let received = || -> u64 {
        let mut admin = redis::Client::open(url(":canary@")).unwrap().get_connection().unwrap();
        let info: String = redis::cmd("INFO").arg("stats").query(&mut admin).unwrap();
        info.lines().find_map(|l| l.strip_prefix("total_connections_received:")?.parse().ok()).unwrap()
    };
    for url in [url(""), url(":canary-wrong@"), format!("{}/99", url(":canary@"))] {
        let before = received();
        let store = patient().connect(&url).unwrap();
        for _ in 0..20 {
            let refused = refusal(read(&store, "a").await);
            assert!(matches!(refused, Kind::Auth | Kind::Server | Kind::Unavailable), "{refused:?}");
        }
        let begun = Instant::now();
        is_refused_at_once(&store).await;
        let probes = u64::try_from(begun.elapsed().as_millis()).unwrap() / 20;
        assert!(received() - before < 30 + 2 * probes, "{} connects", received() - before);
    }
}

#[tokio::test]
async fn a_server_without_room_for_more_connections_serves_on_those_it_has() {
    let server = RedisServer::start();
    let store = patient().connect(&server.url()).unwrap();
    make(&store, "a", "1").await;
    probed(&server).await;
    let mut admin = server.admin();
    settle().await;
    redis::cmd("CONFIG").arg(&["SET", "maxclients", "1"]).exec(&mut admin).unwrap();
    for sum in 1..=20 {
        assert_eq!(read(&store, "a").await.unwrap().as_deref(), Some("1"));
        assert_eq!(done(store.run(change("a", count())).await.unwrap()), [sum]);
    }
    redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]).exec(&mut admin).unwrap();
    settle().await;
    let kinds = [Kind::Server, Kind::Disconnected, Kind::Refused, Kind::Unavailable];
    both_are_refused(&store, &kinds).await;
    is_refused_at_once(&store).await;
    redis::cmd("CONFIG").arg(&["SET", "maxclients", "100"]).exec(&mut admin).unwrap();
    eventually("it serves again", async || serves(&store).await).await;
}

#[tokio::test]
async fn a_black_hole_is_left_and_its_connections_are_replaced() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let connect_timeout = Duration::from_millis(200);
    let store = hasty().connect_timeout(connect_timeout).connect(&proxy.url()).unwrap();
    make(&store, "a", "1").await;
    for _ in 0..2 {
        let before = proxy.accepted();
        proxy.set(Fault::BlackHole);
        for _ in 0..8 {
            both_are_refused(&store, &NOT_ANSWERED).await;
        }
        is_refused_at_once(&store).await;
        proxy.set(Fault::None);
        eventually("it serves again", async || serves(&store).await).await;
        assert_eq!(read(&store, "a").await.unwrap().as_deref(), Some("1"));
        assert!(proxy.accepted() > before, "what did not answer was replaced");
        assert!(store.health().await.pool.connections <= 4);
    }
}

#[tokio::test]
async fn paused_writes_are_refused_while_reads_go_on() {
    let log = Log::start();
    let server = RedisServer::start();
    // Reads must find time on a busy machine.
    let store = hasty().deadline(Duration::from_millis(500)).connect(&server.url()).unwrap();
    make(&store, "a", "1").await;
    for round in 1..=2 {
        server.tell("CLIENT PAUSE 60000 WRITE");
        eventually("writes are known to be paused", async || {
            refusal(store.run(change("a", count())).await) == Kind::Unavailable
                && store.health().await.status == StoreStatus::ReadOnly
        })
        .await;
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(500) {
            assert_eq!(read(&store, "a").await.unwrap().as_deref(), Some("1"));
            assert_eq!(refusal(store.run(RemoveSession(session("b"))).await), Kind::Unavailable);
        }
        server.tell("CLIENT UNPAUSE");
        eventually("it serves again", async || serves(&store).await).await;
        done(store.run(change("a", set("1"))).await.unwrap());
        assert_eq!(log.warnings().len(), 2 * round, "{:#?}", log.warnings());
    }
}
