//! Scripts that the server has forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keep_testing::{Fault, Proxy, RedisServer};
use tower_keep::store::Store;
use tower_keep::store::op::{AddOutcome, LoadSession};

use crate::fixture::*;

async fn counted(store: &Store, name: &str) -> String {
    let record = store.run(LoadSession(session(name))).await.unwrap();
    let tower_keep::store::op::Loaded::Found(record) = record else { panic!("{record:?}") };
    String::from_utf8(record.fields["count"].clone()).unwrap()
}

#[tokio::test]
async fn a_lost_script_costs_one_more_round_trip_and_runs_once() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let store = patient().pool_size(1).connect(&proxy.url()).unwrap();
    for name in ["a", "b"] {
        make(&store, name, name).await;
    }
    probed(&server).await;
    for round in 1..=5 {
        server.tell("SCRIPT FLUSH");
        server.reset_calls();
        // One alone.
        proxy.set(Fault::Groups(&[1, 1]));
        assert_eq!(done(store.run(change("a", count())).await.unwrap()), [2 * round - 1]);
        assert_eq!(server.calls()["eval"], 1);

        // Three lost among five, one of them twice: all three go again at once, the reads do not.
        server.tell("SCRIPT FLUSH");
        server.reset_calls();
        proxy.set(Fault::Groups(&[5, 3]));
        let (first, a, (b, added), last) = store
            .batch((
                LoadSession(session("a")),
                change("a", count()),
                (change("b", count()), enter("p", "a")),
                LoadSession(session("b")),
            ))
            .await
            .unwrap();
        assert_eq!(entry(first.unwrap()).as_deref(), Some("a"));
        assert_eq!(done(a.unwrap()), [2 * round]);
        assert_eq!(done(b.unwrap()), [round]);
        assert_eq!(added.unwrap().outcome, AddOutcome::Done);
        assert_eq!(entry(last.unwrap()).as_deref(), Some("b"));
        let calls = server.calls();
        assert_eq!((calls["evalsha"], calls["eval"], calls["hgetall"]), (3, 3, 2));

        // The second trip has loaded them again.
        proxy.set(Fault::Groups(&[1]));
        assert_eq!(store.run(enter("p", "a")).await.unwrap().outcome, AddOutcome::Done);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_are_flushed_all_the_time_fail_nobody() {
    const TASKS: usize = 8;
    const EACH: usize = 150;
    let server = RedisServer::start();
    let store = patient().connect(&server.url()).unwrap();
    make(&store, "a", "a").await;
    let stop = Arc::new(AtomicBool::new(false));
    let flusher = {
        let (stop, mut admin) = (Arc::clone(&stop), server.admin());
        std::thread::spawn(move || {
            let mut flushes = 0;
            while !stop.load(Ordering::Relaxed) {
                redis::cmd("SCRIPT").arg("FLUSH").exec(&mut admin).unwrap();
                flushes += 1;
            }
            flushes
        })
    };
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..TASKS {
        let store = store.clone();
        tasks.spawn(async move {
            for _ in 0..EACH {
                let (committed, added) =
                    store.batch((change("a", count()), enter(&task.to_string(), "a"))).await.unwrap();
                done(committed.unwrap());
                assert_eq!(added.unwrap().outcome, AddOutcome::Done);
            }
        });
    }
    tasks.join_all().await;
    stop.store(true, Ordering::Relaxed);
    assert!(flusher.join().unwrap() > 10, "the scripts were flushed meanwhile");
    assert!(server.calls()["eval"] > 0, "some scripts were lost");
    assert_eq!(counted(&store, "a").await, (TASKS * EACH).to_string(), "each ran once");
}

#[tokio::test]
async fn a_server_that_starts_again_is_given_the_scripts_again() {
    let mut server = RedisServer::start();
    let store = patient().connect(&server.url()).unwrap();
    probed(&server).await;
    for round in 0..5 {
        make(&store, "a", &round.to_string()).await;
        assert_eq!(store.run(enter("p", "a")).await.unwrap().outcome, AddOutcome::Done);
        server.restart();
        settle().await;
        assert_eq!(read(&store, "a").await.unwrap(), None, "the server came back empty");
    }
}
