//! Replies that do not belong to their request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use keep_testing::{Fault, Log, Proxy, RedisServer};
use tower_keep::store::op::{LoadSession, PeekSession};
use tower_keep::store::{Store, StoreErrorKind as Kind};

use crate::fixture::*;

const SESSIONS: usize = 40;

async fn prepared(store: &Store) {
    for n in 0..SESSIONS {
        make(store, &n.to_string(), &n.to_string()).await;
    }
}

#[tokio::test]
async fn a_shifted_reply_is_found_out_counted_and_its_connection_dropped() {
    let log = Log::start();
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let store = patient().pool_size(1).connect(&proxy.url()).unwrap();
    prepared(&store).await;
    probed(&server).await;
    for (round, fault) in (1..).zip([Fault::ExtraReply, Fault::Garbage, Fault::SplitReply, Fault::ExtraReply])
    {
        let connections = proxy.accepted();
        proxy.set(fault);
        assert_eq!(refusal(read(&store, "1").await), Kind::Desync, "{fault:?}");
        assert_eq!(store.health().await.desyncs, round, "{fault:?}");
        assert_eq!(read(&store, "2").await.unwrap().as_deref(), Some("2"));
        assert_eq!(proxy.accepted(), connections + 1, "the connection was dropped");
    }
    assert_eq!(log.warnings().len(), 4, "{:#?}", log.warnings());
    assert!(!log.text().contains("canary"));
}

#[tokio::test]
async fn a_batch_among_shifted_replies_gives_no_other_sessions_value() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let store = patient().pool_size(1).connect(&proxy.url()).unwrap();
    prepared(&store).await;
    probed(&server).await;
    for fault in [Fault::ExtraReply, Fault::DoubleReply, Fault::ExtraReply, Fault::DoubleReply] {
        proxy.set(fault);
        let reads: Vec<_> = (0..SESSIONS).map(|n| LoadSession(session(&n.to_string()))).collect();
        let mut refused = 0;
        for (n, loaded) in store.batch(reads).await.unwrap().into_iter().enumerate() {
            match loaded {
                Ok(loaded) => assert_eq!(entry(loaded), Some(n.to_string()), "{fault:?}"),
                Err(error) => {
                    assert_eq!(told(&error), Kind::Desync);
                    refused += 1;
                }
            }
        }
        assert!(refused >= SESSIONS - 1, "{fault:?}: {refused} found out");
        assert_eq!(read(&store, "2").await.unwrap().as_deref(), Some("2"));
    }
    assert_eq!(store.health().await.desyncs, 4);
}

/// Two texts may be fields and values of a hash, or what another request asked for.
#[tokio::test]
async fn the_values_of_another_request_are_not_taken_for_a_damaged_session() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let store = patient().pool_size(1).connect(&proxy.url()).unwrap();
    prepared(&store).await;
    let _: u64 = server.cmd("HSET", &[&session_key("1"), "@label", "a label"]);
    probed(&server).await;
    for _ in 0..10 {
        proxy.set(Fault::DoubleReply);
        let asked = (PeekSession(session("1")), LoadSession(session("2")));
        let (peeked, loaded) = store.batch(asked).await.unwrap();
        assert_eq!(peeked.unwrap().unwrap().label.as_deref(), Some("a label"));
        assert_eq!(refusal(loaded), Kind::Desync);
        assert_eq!(read(&store, "2").await.unwrap().as_deref(), Some("2"));
    }
    assert_eq!(store.health().await.desyncs, 10);
}

#[tokio::test]
async fn a_write_whose_reply_is_foreign_is_unclear_and_not_done_twice() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let store = patient().pool_size(1).connect(&proxy.url()).unwrap();
    make(&store, "a", "1").await;
    probed(&server).await;
    for round in 0..10 {
        proxy.set(Fault::ExtraReply);
        assert_eq!(refusal(store.run(change("a", count())).await), Kind::Desync);
        assert_eq!(done(store.run(change("a", count())).await.unwrap()), [2 * round + 2]);
    }
}

/// Thousands of reads of different sessions, while replies are added, doubled and lost: whatever is `Ok` is the session's own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_ever_gives_another_sessions_value() {
    const READS: u64 = 6_000;
    let server = RedisServer::start();
    let proxy = Arc::new(Proxy::start(server.port()).await);
    let store = Store::builder()
        .deadline(Duration::from_secs(1))
        .probe_interval(Duration::from_millis(5))
        .pool_size(2)
        .connect(&proxy.url())
        .unwrap();
    prepared(&store).await;
    probed(&server).await;
    let (stop, right) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..SESSIONS {
        let (store, stop, right) = (store.clone(), Arc::clone(&stop), Arc::clone(&right));
        tasks.spawn(async move {
            let name = task.to_string();
            while !stop.load(Ordering::Relaxed) {
                let own = match task % 3 {
                    0 => store.run(PeekSession(session(&name))).await.map(|peeked| {
                        assert_eq!(*peeked.expect("it lives").meta.handle, *session(&name).handle);
                    }),
                    _ => read(&store, &name).await.map(|value| assert_eq!(value.as_ref(), Some(&name))),
                };
                match own {
                    Ok(()) => right.fetch_add(1, Ordering::Relaxed),
                    Err(error) => {
                        told(&error);
                        tokio::time::sleep(Duration::from_millis(1)).await;
                        0
                    }
                };
            }
        });
    }
    let faults = [Fault::ExtraReply, Fault::DoubleReply, Fault::LoseReply, Fault::ExtraReply];
    let mut rounds = 0;
    while right.load(Ordering::Relaxed) < READS || rounds < 60 {
        proxy.set(faults[rounds % faults.len()]);
        rounds += 1;
        let before = right.load(Ordering::Relaxed);
        eventually("reads go on", async || {
            proxy.fault() == Fault::None && right.load(Ordering::Relaxed) >= before + 100
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    tasks.join_all().await;
    assert!(store.health().await.desyncs > 0);
    eventually("it serves", async || serves(&store).await).await;
}

#[tokio::test]
async fn a_reply_cut_at_any_byte_is_never_a_partial_value() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let store =
        patient().pool_size(1).probe_interval(Duration::from_millis(1)).connect(&proxy.url()).unwrap();
    make(&store, "a", "1").await;
    probed(&server).await;
    // The reply as it stands on the wire, by its parts.
    let fields: Vec<String> = server.cmd("HGETALL", session_key("a"));
    let parts = fields.iter().map(|part| format!("${}\r\n{part}\r\n", part.len()).len());
    let length: usize = "*4\r\n".len() + parts.sum::<usize>();
    for cut in 0..length as u64 {
        // Cut once: a read is sent again, and gives the whole.
        eventually("it serves", async || serves(&store).await).await;
        proxy.set(Fault::CutOnce(cut));
        assert_eq!(read(&store, "a").await.unwrap().as_deref(), Some("1"), "cut after {cut}");
        assert_eq!(proxy.fault(), Fault::None);
        // Cut on every connection: an error.
        proxy.set(Fault::CutAfter(cut));
        let refused = refusal(read(&store, "a").await);
        assert!(
            matches!(refused, Kind::Disconnected | Kind::Refused | Kind::Unavailable),
            "{refused:?} after {cut}"
        );
        proxy.set(Fault::None);
    }
    eventually("it serves", async || serves(&store).await).await;
    proxy.set(Fault::CutOnce(length as u64));
    assert_eq!(read(&store, "a").await.unwrap().as_deref(), Some("1"), "all was there");
}
