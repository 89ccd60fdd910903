//! Connections while they are set up.

use std::time::Duration;

use keep_testing::{Fault, Proxy, RedisServer};
use redis::{cmd, pipe};

use crate::stored::*;

/// CVE-2025-29923: a connection whose handshake was cut short or came too late must not serve with the handshake's replies still to come.
#[tokio::test]
async fn cve_2025_29923_a_handshake_that_is_cut_short_or_late_gives_no_connection() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let store = hasty().pool_size(2).connect(&proxy.url()).unwrap();
    for name in ["a", "b"] {
        eventually("it serves", async || serves(&store).await).await;
        make(&store, name, name).await;
    }
    let late = [Fault::Delay(60), Fault::Delay(150), Fault::BlackHole, Fault::LoseReply, Fault::DoubleReply];
    let cut = [1, 3, 5, 8, 12, 20, 40].map(Fault::CutAfter);
    for fault in late.into_iter().chain(cut).chain(late) {
        proxy.set(fault);
        server.kill_clients();
        settle().await;
        for name in ["a", "b", "a", "b"] {
            if let Ok(value) = store.run(tower_keep::store::op::LoadSession(session(name))).await {
                assert_eq!(entry(value).as_deref(), Some(name), "{fault:?}");
            }
        }
        // Replies that were held back come now.
        proxy.set(Fault::None);
        eventually("it serves", async || serves(&store).await).await;
        for name in ["a", "b", "a", "b"].into_iter().cycle().take(20) {
            assert_eq!(read(&store, name).await.unwrap().as_deref(), Some(name), "after {fault:?}");
        }
    }
}

/// deadpool#258, jgaskins/redis#75, redis-rs#565: no `WATCH`, `MULTI` or `SELECT` of one user must reach the next user of its connection.
#[tokio::test]
async fn deadpool_258_no_watch_multi_or_select_is_left_to_the_next_user_of_a_connection() {
    let server = RedisServer::start();
    let store = patient().pool_size(1).connect(&server.url()).unwrap();
    make(&store, "a", "a").await;
    for line in ["WATCH k", "MULTI", "SELECT 1", "CLIENT REPLY OFF"] {
        let (mut raw, mut words) = (store.raw().unwrap(), line.split(' '));
        let mut command = cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        assert!(command.query_async::<()>(&mut raw).await.is_err(), "{line} is refused");
        // What would be left behind: a transaction that does nothing, an answer `QUEUED`, another database.
        let _: () = server.cmd("SET", &["k", line]);
        let done: (String, i64) = pipe().atomic().get("k").incr("n", 1).query_async(&mut raw).await.unwrap();
        assert_eq!(done.0, line);
        assert_eq!(read(&store, "a").await.unwrap().as_deref(), Some("a"));
    }
    // A transaction that is given up half-way is one piece on the wire.
    for polls in 0..20 {
        let mut raw = store.raw().unwrap();
        let transaction = async { pipe().atomic().get("k").incr("n", 1).query_async::<()>(&mut raw).await };
        let _ = tokio::time::timeout(Duration::from_micros(polls * 40), transaction).await;
        assert_eq!(read(&store, "a").await.unwrap().as_deref(), Some("a"));
        done(store.run(change("a", count())).await.unwrap());
    }
    for client in server.clients() {
        assert!(client.contains(" db=0 ") && client.contains(" multi=-1 "), "{client}");
    }
}
