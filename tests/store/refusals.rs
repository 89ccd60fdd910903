//! What Redis refuses, by the code of its answer.

use keep_testing::RedisServer;
use tower_keep::store::op::{RemoveSession, SessionExists};
use tower_keep::store::{Store, StoreErrorKind as Kind, StoreStatus};

use crate::fixture::*;

/// A server state in which writes are refused and reads go on.
struct Case {
    provoke: &'static [&'static str],
    end: &'static str,
    write: Kind,
    /// `None`: removals go on.
    remove: Option<Kind>,
    /// What the breaker makes of it.
    status: StoreStatus,
}

const CASES: [Case; 3] = [
    Case {
        provoke: &["CONFIG SET maxmemory-policy noeviction", "CONFIG SET maxmemory 1"],
        end: "CONFIG SET maxmemory 0",
        write: Kind::Full,
        remove: None,
        status: StoreStatus::Up,
    },
    Case {
        provoke: &["CONFIG SET min-replicas-to-write 1"],
        end: "CONFIG SET min-replicas-to-write 0",
        write: Kind::NoReplicas,
        remove: Some(Kind::NoReplicas),
        status: StoreStatus::Up,
    },
    Case {
        provoke: &["REPLICAOF 127.0.0.1 1"],
        end: "REPLICAOF NO ONE",
        write: Kind::ReadOnly,
        remove: Some(Kind::ReadOnly),
        status: StoreStatus::ReadOnly,
    },
];

async fn removed(store: &Store, name: &str) -> Result<bool, Kind> {
    store.run(RemoveSession(session(name))).await.map_err(|error| told(&error))
}

#[tokio::test]
async fn writes_that_the_server_refuses_are_typed_and_reads_go_on() {
    let server = RedisServer::start();
    let store = patient().connect(&server.url()).unwrap();
    for Case { provoke, end, write, remove, status } in CASES {
        for _ in 0..2 {
            make(&store, "a", "1").await;
            make(&store, "b", "1").await;
            provoke.iter().for_each(|line| server.tell(line));
            assert_eq!(refusal(store.run(change("a", set("2"))).await), write);
            eventually("the breaker knows", async || store.health().await.status == status).await;
            for _ in 0..30 {
                let refused = refusal(store.run(create("c", "2")).await);
                assert!(refused == write || status == StoreStatus::ReadOnly && refused == Kind::Unavailable);
                assert_eq!(read(&store, "a").await.unwrap().as_deref(), Some("1"), "{write:?}");
            }
            match remove {
                None => assert_eq!(removed(&store, "b").await, Ok(true), "{write:?}"),
                Some(kind) => {
                    let refused = removed(&store, "b").await.unwrap_err();
                    assert!(refused == kind || refused == Kind::Unavailable, "{refused:?}");
                    assert!(store.run(SessionExists(session("b"))).await.unwrap());
                }
            }
            server.tell(end);
            eventually("it serves again", async || serves(&store).await).await;
            done(store.run(change("a", set("2"))).await.unwrap());
            assert_eq!(removed(&store, "a").await, Ok(true));
            let _ = removed(&store, "b").await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_connections_of_a_demoted_server_are_dropped() {
    let server = RedisServer::start();
    let store = patient().pool_size(1).connect(&server.url()).unwrap();
    make(&store, "a", "1").await;
    probed(&server).await;
    let ids = || server.clients().iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    let before: Vec<String> = ids();
    server.tell("REPLICAOF 127.0.0.1 1");
    assert_eq!(refusal(store.run(change("a", count())).await), Kind::ReadOnly);
    eventually("the connections are others", async || {
        assert_eq!(read(&store, "a").await.unwrap().as_deref(), Some("1"));
        let now: Vec<String> = ids();
        !before.is_empty() && !now.iter().any(|id| before.contains(id))
    })
    .await;
}

#[tokio::test]
async fn a_server_that_cannot_persist_still_answers_reads() {
    let server = RedisServer::start();
    let store = patient().connect(&server.url()).unwrap();
    make(&store, "a", "1").await;
    let gone = server.dir().join("gone");
    std::fs::create_dir(&gone).unwrap();
    server.tell(&format!("CONFIG SET dir {}", gone.display()));
    let _: () = server.cmd("CONFIG", &["SET", "save", "3600 1"]);
    std::fs::remove_dir(&gone).unwrap();
    server.tell("BGSAVE");
    eventually("the save has failed", async || {
        server.cmd::<String>("INFO", "persistence").contains("rdb_last_bgsave_status:err")
    })
    .await;
    for _ in 0..10 {
        assert_eq!(refusal(store.run(change("a", count())).await), Kind::Misconfigured);
        assert_eq!(removed(&store, "a").await, Err(Kind::Misconfigured));
        assert_eq!(read(&store, "a").await.unwrap().as_deref(), Some("1"));
    }
    assert_eq!(store.health().await.status, StoreStatus::Up, "the server is there");
    server.tell("CONFIG SET save ");
    done(store.run(change("a", count())).await.unwrap());
}

#[tokio::test]
async fn a_server_that_runs_a_script_for_ever_is_an_outage() {
    let server = RedisServer::start();
    let store = hasty().connect(&server.url()).unwrap();
    make(&store, "a", "1").await;
    server.tell("CONFIG SET busy-reply-threshold 100");
    let script = {
        let mut busy = server.admin();
        std::thread::spawn(move || {
            redis::cmd("EVAL").arg("while true do end").arg(0).exec(&mut busy).unwrap_err()
        })
    };
    let mut seen = Vec::new();
    eventually("the server says that it is busy", async || {
        for result in [read(&store, "a").await.map(drop), store.run(change("a", set("2"))).await.map(drop)] {
            // Until the threshold has passed it says nothing, or it has not begun.
            match result {
                Ok(()) => {}
                Err(error) => seen.push(told(&error)),
            }
        }
        store.health().await.latency.is_err_and(|error| error.kind() == Kind::Busy)
    })
    .await;
    assert!(
        seen.iter().all(|kind| [Kind::Busy, Kind::Timeout, Kind::Unavailable].contains(kind)),
        "{seen:?}"
    );
    eventually("the breaker is open", async || refusal(read(&store, "a").await) == Kind::Unavailable).await;
    server.tell("SCRIPT KILL");
    script.join().unwrap();
    eventually("it serves again", async || serves(&store).await).await;
    done(store.run(change("a", count())).await.unwrap());
}

#[tokio::test]
async fn a_server_that_loads_its_data_is_an_outage() {
    let mut server = RedisServer::start_with(&["--loading-process-events-interval-bytes", "1024"]);
    let store = patient().connect(&server.url()).unwrap();
    make(&store, "a", "1").await;
    ["DEBUG POPULATE 20000 filler 50", "SAVE"].iter().for_each(|line| server.tell(line));
    server.restart_with(&["--key-load-delay", "1000"]);
    settle().await;
    let latency = store.health().await.latency;
    assert_eq!(refusal(latency), Kind::Loading);
    eventually("requests are refused at once", async || {
        let refused = refusal(read(&store, "a").await);
        assert!([Kind::Loading, Kind::Disconnected, Kind::Unavailable].contains(&refused), "{refused:?}");
        refused == Kind::Unavailable
    })
    .await;
    server.tell("CONFIG SET key-load-delay 0");
    eventually("it serves again", async || serves(&store).await).await;
    assert_eq!(read(&store, "a").await.unwrap().as_deref(), Some("1"));
}
