//! Several operations make one round trip.

use keep_testing::{Fault, Proxy, RedisServer};
use tower_keep::store::op::{
    AddOutcome, HasMember, ListMembers, LoadSession, Loaded, MarkRevoked, PeekSession, RemoveMember,
    RemoveSession, SessionExists,
};
use tower_keep::store::{Store, StoreErrorKind as Kind, StoreKind};

use crate::fixture::*;

#[tokio::test]
async fn operations_of_every_kind_share_one_round_trip_and_have_typed_replies() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let store = patient().pool_size(1).connect(&proxy.url()).unwrap();
    make(&store, "a", "1").await;
    make(&store, "b", "2").await;
    probed(&server).await;
    server.reset_calls();

    proxy.set(Fault::Groups(&[10]));
    let reads = (
        LoadSession(session("a")),
        PeekSession(session("a")),
        SessionExists(session("x")),
        ListMembers(index("p")),
    );
    let writes =
        (change("b", count()), enter("p", "b"), MarkRevoked(index("q")), RemoveSession(session("a")));
    let index =
        (HasMember(index("p"), session("b").handle), RemoveMember(index("p"), vec!["none".to_owned()]));
    let ((loaded, peeked, exists, listed), (committed, added, marked, removed), (has, left)) =
        store.batch((reads, writes, index)).await.unwrap();

    assert_eq!(entry(loaded.unwrap()).as_deref(), Some("1"));
    assert_eq!(*peeked.unwrap().unwrap().meta.handle, *session("a").handle);
    assert!(!exists.unwrap() && listed.unwrap().is_empty());
    assert_eq!(done(committed.unwrap()), [1]);
    assert_eq!(added.unwrap().outcome, AddOutcome::Done);
    assert!(marked.unwrap().handles.is_empty() && removed.unwrap() && has.unwrap());
    assert_eq!(left.unwrap(), 0);
    let calls = server.calls();
    assert_eq!(calls["evalsha"], 3);
    assert!(!calls.contains_key("ping") && !calls.contains_key("eval"), "{calls:?}");
}

#[tokio::test]
async fn an_operation_that_fails_hurts_no_other_of_its_batch() {
    let server = RedisServer::start();
    let store = patient().connect(&server.url()).unwrap();
    make(&store, "good", "1").await;
    server.tell(&format!("SET {} canary", session_key("bad")));
    server.tell(&format!("SET {} canary", index_key("bad")));
    let (reads, writes) = store
        .batch((
            vec![LoadSession(session("bad")), LoadSession(session("good")), LoadSession(session("bad"))],
            (
                ListMembers(index("bad")),
                change("bad", count()),
                change("good", count()),
                enter("good", "good"),
            ),
        ))
        .await
        .unwrap();
    let mut reads = reads.into_iter();
    assert_eq!(refusal(reads.next().unwrap()), Kind::WrongType);
    assert_eq!(entry(reads.next().unwrap().unwrap()).as_deref(), Some("1"));
    assert_eq!(refusal(reads.next().unwrap()), Kind::WrongType);
    assert_eq!(refusal(writes.0), Kind::WrongType);
    assert_eq!(refusal(writes.1), Kind::WrongType);
    assert_eq!(done(writes.2.unwrap()), [1]);
    assert_eq!(writes.3.unwrap().outcome, AddOutcome::Done);
    assert!(store.health().await.is_up());
}

#[tokio::test]
async fn options_vectors_and_tuples_keep_their_shape() {
    let server = RedisServer::start();
    for store in [Store::in_memory(), patient().connect(&server.url()).unwrap()] {
        let names: Vec<_> = (0..300).map(|n| n.to_string()).collect();
        let made =
            store.batch(names.iter().map(|name| create(name, name)).collect::<Vec<_>>()).await.unwrap();
        assert!(made.into_iter().all(|committed| done(committed.unwrap()).is_empty()));
        let reads: Vec<_> =
            names.iter().map(|name| (LoadSession(session(name)), None::<LoadSession>)).collect();
        let (some, read, none) =
            store.batch((Some(LoadSession(session("7"))), reads, None::<MarkRevoked>)).await.unwrap();
        assert_eq!(entry(some.unwrap().unwrap()).as_deref(), Some("7"));
        assert!(none.is_none());
        for (name, (loaded, nothing)) in names.iter().zip(read) {
            assert_eq!(entry(loaded.unwrap()).as_ref(), Some(name));
            assert!(nothing.is_none());
        }
    }
}

#[tokio::test]
async fn a_batch_of_nothing_makes_no_round_trip() {
    let server = RedisServer::start();
    for store in [Store::in_memory(), patient().connect(&server.url()).unwrap()] {
        assert!(store.health().await.is_up());
        if store.kind() == StoreKind::Redis {
            probed(&server).await;
        }
        server.reset_calls();
        for _ in 0..10 {
            assert!(store.batch(Vec::<LoadSession>::new()).await.unwrap().is_empty());
            assert!(store.batch((None::<LoadSession>, Vec::<MarkRevoked>::new())).await.unwrap().0.is_none());
        }
        assert!(server.calls().is_empty());
        assert!(store.health().await.is_up());
        assert_eq!(store.run(LoadSession(session("x"))).await.unwrap(), Loaded::Missing);
        assert_eq!(store.run(RemoveMember(index("p"), Vec::new())).await.unwrap(), 0, "nothing is removed");
    }
}
