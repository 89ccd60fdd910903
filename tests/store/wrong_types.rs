//! Values that are not ours under our keys.

use keep_testing::RedisServer;
use tower_keep::session::{SessionHandle, Sessions};
use tower_keep::store::StoreErrorKind as Kind;
use tower_keep::store::op::{
    AddOutcome, CommitOutcome, HasMember, ListMembers, LoadSession, Loaded, MarkRevoked, PeekSession,
    RemoveMember, RemoveSession, SessionExists,
};

use crate::fixture::*;

const STRING: &[&str] = &["SET", "KEY", "canary"];
const LIST: &[&str] = &["RPUSH", "KEY", "canary"];
const HASH: &[&str] = &["HSET", "KEY", "canary", "canary"];
const SET: &[&str] = &["SADD", "KEY", "canary"];
const SORTED: &[&str] = &["ZADD", "KEY", "1", "canary"];
const STREAM: &[&str] = &["XADD", "KEY", "*", "canary", "canary"];

fn put(server: &RedisServer, command: &[&str], key: &str) {
    let _: u64 = server.cmd("DEL", key);
    let args: Vec<_> = command[1..].iter().map(|word| if *word == "KEY" { key } else { word }).collect();
    let _: redis::Value = server.cmd(command[0], args);
}

fn kind_of(server: &RedisServer, key: &str) -> String {
    server.cmd("TYPE", key)
}

#[tokio::test]
async fn a_foreign_type_under_a_sessions_key_is_told_and_left_alone() {
    let server = RedisServer::start();
    let store = patient().connect(&server.url()).unwrap();
    for foreign in [STRING, LIST, SET, SORTED, STREAM] {
        put(&server, foreign, &session_key("a"));
        let kind = kind_of(&server, &session_key("a"));
        assert_eq!(refusal(store.run(LoadSession(session("a"))).await), Kind::WrongType, "{kind}");
        assert_eq!(refusal(store.run(PeekSession(session("a"))).await), Kind::WrongType, "{kind}");
        assert_eq!(refusal(store.run(change("a", count())).await), Kind::WrongType, "{kind}");
        assert_eq!(store.run(create("a", "1")).await.unwrap().outcome, CommitOutcome::Exists, "{kind}");
        assert!(store.run(SessionExists(session("a"))).await.unwrap(), "{kind}");
        assert_eq!(kind_of(&server, &session_key("a")), kind, "nothing was written over it");
        assert!(store.run(RemoveSession(session("a"))).await.unwrap(), "{kind}");
        make(&store, "a", "1").await;
    }
    assert!(store.health().await.is_up());
}

#[tokio::test]
async fn a_foreign_hash_under_a_sessions_key_is_taken_for_another_requests_reply() {
    let server = RedisServer::start();
    let store = patient().connect(&server.url()).unwrap();
    put(&server, HASH, &session_key("a"));
    assert_eq!(refusal(store.run(LoadSession(session("a"))).await), Kind::Desync);
    assert_eq!(store.run(PeekSession(session("a"))).await.unwrap(), None);
    assert_eq!(store.run(change("a", count())).await.unwrap().outcome, CommitOutcome::Gone);
    assert_eq!(store.run(create("a", "1")).await.unwrap().outcome, CommitOutcome::Exists);
    let _: u64 = server.cmd("HSET", &[&session_key("a"), "@", "canary"]);
    assert_eq!(store.run(LoadSession(session("a"))).await.unwrap(), Loaded::Corrupt);
}

#[tokio::test]
async fn a_foreign_type_under_an_indexs_key_is_told_to_readers_and_gives_way_to_writers() {
    let server = RedisServer::start();
    let store = patient().connect(&server.url()).unwrap();
    make(&store, "a", "1").await;
    let handle = session("a").handle;
    for foreign in [STRING, LIST, HASH, SET, STREAM] {
        put(&server, foreign, &index_key("p"));
        let kind = kind_of(&server, &index_key("p"));
        assert_eq!(refusal(store.run(ListMembers(index("p"))).await), Kind::WrongType, "{kind}");
        assert_eq!(
            refusal(store.run(HasMember(index("p"), handle.clone())).await),
            Kind::WrongType,
            "{kind}"
        );
        let leave = RemoveMember(index("p"), vec![handle.to_string()]);
        assert_eq!(refusal(store.run(leave).await), Kind::WrongType, "{kind}");
        assert_eq!(kind_of(&server, &index_key("p")), kind, "nothing was written over it");

        assert_eq!(store.run(enter("p", "a")).await.unwrap().outcome, AddOutcome::Done, "{kind}");
        assert_eq!(store.run(ListMembers(index("p"))).await.unwrap(), [handle.to_string()], "{kind}");
        put(&server, foreign, &index_key("p"));
        assert!(store.run(MarkRevoked(index("p"))).await.unwrap().handles.is_empty(), "{kind}");
        assert!(store.run(ListMembers(index("p"))).await.unwrap().is_empty(), "{kind}");
    }
    assert!(store.health().await.is_up());
}

#[tokio::test]
async fn the_session_engine_takes_foreign_values_for_no_session() {
    let server = RedisServer::start();
    let sessions = Sessions::new(patient().connect(&server.url()).unwrap());
    for foreign in [STRING, LIST, HASH, SET, SORTED, STREAM] {
        let session = sessions.start();
        session.insert("entry", "canary").unwrap();
        session.save().await.unwrap();
        let handle: SessionHandle = session.handle().unwrap();
        put(&server, foreign, &format!("keep:session:{handle}"));
        assert!(sessions.open(&handle).await.unwrap().is_none());
        // A save in flight does not bring it back, and is told why.
        session.insert("entry", "late").unwrap();
        tells_no_secret(&session.save().await.unwrap_err());
        assert!(sessions.revoke(&handle).await.unwrap());
    }
}
