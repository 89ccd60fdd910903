//! The end of a store.

use std::time::Duration;

use keep_testing::{RedisServer, SentinelGroup};
use tower_keep::lock::Locks;
use tower_keep::pubsub::PubSub;
use tower_keep::session::Sessions;
use tower_keep::store::{Replicas, Store, StoreErrorKind as Kind};

use crate::fixture::*;

/// Connections of this store: tests give each its own name.
fn connections(server: &RedisServer, name: &str) -> usize {
    server.clients().iter().filter(|line| line.contains(&format!("name={name}"))).count()
}

#[tokio::test]
async fn a_closed_store_has_no_connection_left_refuses_at_once_and_opens_none() {
    let server = RedisServer::start();
    let builder = patient().client_name("closed").replicas(Replicas::at_least(1));
    let store = builder.connect(&server.url()).unwrap();
    make(&store, "a", "1").await;
    let events = PubSub::new(store.clone());
    let heard = events.subscribe::<u8>("news").await.unwrap();
    let sessions = Sessions::new(store.clone());
    let session = sessions.start();
    session.insert("a", &1).unwrap();
    session.save().await.unwrap();
    drop(sessions.revoke(&session.handle().unwrap()).await); // no replica: but it opens a connection for such writes
    assert!(connections(&server, "closed") >= 3, "{:?}", server.clients());
    store.close(LONG).await.unwrap();
    eventually("all are closed", async || connections(&server, "closed") == 0).await;
    for _ in 0..20 {
        assert_eq!(refusal(read(&store, "a").await), Kind::Unavailable);
        assert_eq!(refusal(store.run(change("a", count())).await), Kind::Unavailable);
        assert!(sessions.revoke(&session.handle().unwrap()).await.is_err());
        assert!(events.subscribe::<u8>("more").await.is_err());
    }
    settle().await;
    assert_eq!(connections(&server, "closed"), 0);
    store.close(LONG).await.unwrap();
    drop(heard);
}

#[tokio::test]
async fn what_goes_on_behind_responses_is_waited_for() {
    let server = RedisServer::start();
    let store = patient().connect(&server.url()).unwrap();
    let locks = Locks::builder(store.clone()).build().unwrap();
    for n in 0..50 {
        drop(locks.acquire(&n.to_string()).await.unwrap()); // given back in the background
    }
    store.close(LONG).await.unwrap();
    for n in 0..50 {
        assert_eq!(server.cmd::<u64>("EXISTS", format!("keep:lock:default:{{{n}}}")), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_under_way_is_answered_and_what_takes_too_long_is_told() {
    let server = RedisServer::start();
    let store = patient().connect(&server.url()).unwrap();
    make(&store, "a", "1").await;
    let lock = Locks::builder(store.clone()).build().unwrap().acquire("l").await.unwrap();
    server.freeze();
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let store = store.clone();
        requests.spawn(async move { read(&store, "a").await });
    }
    drop(lock);
    settle().await;
    tokio::time::sleep(Duration::from_millis(100)).await; // they are sent
    assert_eq!(refusal(store.close(Duration::from_millis(50)).await), Kind::Timeout);
    server.thaw();
    for answered in requests.join_all().await {
        assert_eq!(answered.unwrap().as_deref(), Some("1"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_are_asked_no_more() {
    let group = SentinelGroup::start();
    let store = hasty().client_name("closed").connect(&group.url()).unwrap();
    eventually("it serves", async || serves(&store).await).await;
    store.close(LONG).await.unwrap();
    eventually("all are closed", async || connections(&group.first, "closed") == 0).await;
    let port = group.url().rsplit(':').next().unwrap().to_owned();
    let sentinel = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
    eventually("those to Sentinels as well", async || {
        let mut connection = sentinel.get_connection().unwrap();
        let list: String = redis::cmd("CLIENT").arg("LIST").query(&mut connection).unwrap();
        !list.contains("closed:sentinel")
    })
    .await;
}

#[tokio::test]
async fn an_embedded_store_stays_as_it_is() {
    let store = Store::in_memory();
    make(&store, "a", "1").await;
    store.close(LONG).await.unwrap();
    assert_eq!(read(&store, "a").await.unwrap().as_deref(), Some("1"));
}
