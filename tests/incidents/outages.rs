//! Servers that close connections, go away, or are demoted.

use std::time::{Duration, Instant};

use keep_testing::{RedisServer, SentinelGroup};
use tower_keep::session::{SessionHandle, Sessions};
use tower_keep::store::{Store, StoreErrorKind as Kind};

use crate::app::{App, STRANGER, greeting};
use crate::stored::*;

/// actix-extras#230: a connection that the server closed for being idle must not fail the next request.
#[tokio::test]
async fn actix_extras_230_connections_closed_for_being_idle_fail_no_request() {
    let server = RedisServer::start();
    let app = App::new(&Sessions::new(patient().connect(&server.url()).unwrap()));
    let mut alice = app.signed_in("alice").await;
    server.tell("CONFIG SET timeout 1");
    for _ in 0..2 {
        eventually("the server has closed them", async || server.clients().is_empty()).await;
        assert_eq!(alice.me().await, greeting("alice"));
    }
    eventually("the server has closed them", async || server.clients().is_empty()).await;
    assert_eq!(alice.get("/count/n").await.body, "1", "a write does not fail either");
}

/// tower-sessions#78: after a restart of the server the app must not need one too.
#[tokio::test]
async fn tower_sessions_78_a_restart_of_the_server_needs_none_of_the_app() {
    let mut server = RedisServer::start();
    let store = patient().connect(&server.url()).unwrap();
    let app = App::new(&Sessions::new(store.clone()));
    for _ in 0..3 {
        let mut alice = app.signed_in("alice").await;
        server.restart();
        settle().await;
        eventually("it serves again", async || serves(&store).await).await;
        assert_eq!(alice.me().await, STRANGER, "the server came back empty: that is no error");
    }
}

/// PrefectHQ/prefect#22478: an outage under load, however long, must not leave a pool that never serves again.
#[tokio::test]
async fn prefect_22478_a_pool_recovers_from_an_outage_under_load() {
    let mut server = RedisServer::start();
    let store = hasty().connect(&server.url()).unwrap();
    let app = App::new(&Sessions::new(store.clone()));
    let ask = async |count: usize| {
        let mut alice = crate::app::Browser::new(&app);
        alice.cookies.insert(crate::app::COOKIE.into(), format!("{}.{}", "A".repeat(22), "A".repeat(43)));
        for _ in 0..count {
            drop(alice.get("/me").await);
        }
    };
    for _ in 0..2 {
        server.stop();
        settle().await;
        tokio::join!(ask(500), ask(500), ask(500), ask(500));
        server.restart();
        eventually("it serves again", async || serves(&store).await).await;
        let counts = store.health().await.pool;
        assert!(counts.waiting == 0 && counts.idle == counts.connections, "{counts:?}");
        assert_eq!(app.signed_in("alice").await.me().await, greeting("alice"));
    }
}

/// redis-py#460, redis-client#69: a connection to a server that became a replica must not be kept, or each write fails on it for ever.
#[tokio::test]
async fn redis_py_460_a_connection_to_a_demoted_server_is_not_kept() {
    let server = RedisServer::start();
    let store = patient().pool_size(1).connect(&server.url()).unwrap();
    make(&store, "a", "1").await;
    probed(&server).await;
    let ids = || server.clients().iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    for _ in 0..3 {
        let before: Vec<String> = ids();
        server.tell("REPLICAOF 127.0.0.1 1");
        assert_eq!(refusal(store.run(change("a", count())).await), Kind::ReadOnly);
        eventually("it is replaced, and reads go on", async || {
            assert_eq!(read(&store, "a").await.unwrap().as_deref(), Some("1"));
            ids().iter().all(|id| !before.contains(id))
        })
        .await;
        server.tell("REPLICAOF NO ONE");
        // What a probe saw before it was promoted again may still be on its way; its connection ends with it.
        eventually("writes go on", async || {
            store.run(change("a", count())).await.is_ok() && server.clients().len() == 1
        })
        .await;
    }
}

/// No public identifier: during a failover by Sentinel the old primary goes on acknowledging writes that are then lost. A sign-out that
/// was confirmed a second after the change must not be undone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinel_window_a_sign_out_that_was_confirmed_is_not_undone() {
    const USERS: usize = 60;
    let group = SentinelGroup::start();
    let store: Store = hasty().connect(&group.url()).unwrap();
    eventually("it serves", async || serves(&store).await).await;
    let sessions = Sessions::new(store.clone());
    let mut handles: Vec<SessionHandle> = Vec::new();
    for user in 0..USERS {
        let session = sessions.start();
        handles.push(session.login(&user.to_string()).unwrap());
        session.save().await.unwrap();
    }
    let keys = || group.second.cmd::<Vec<String>>("KEYS", "keep:session:*").len();
    eventually("the replica has them", async || keys() == USERS).await;
    let group = tokio::task::spawn_blocking(move || {
        group.fail_over();
        group
    });
    let group = group.await.unwrap();
    let changed = Instant::now();
    let mut confirmed = Vec::new();
    for handle in handles {
        let revoked = sessions.revoke(&handle).await;
        if changed.elapsed() > Duration::from_secs(1) && revoked.is_ok_and(|was_there| was_there) {
            confirmed.push(handle);
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    assert!(confirmed.len() > USERS / 4, "{} confirmed", confirmed.len());
    for handle in confirmed {
        assert_eq!(group.second.cmd::<u64>("EXISTS", format!("keep:session:{handle}")), 0, "it came back");
        assert!(sessions.open(&handle).await.unwrap().is_none());
    }
}
