//! Passwords, users and what they may do.

use keep_testing::{Log, RedisServer};
use tower_keep::store::op::{AddOutcome, RemoveSession};
use tower_keep::store::{Store, StoreErrorKind as Kind};

use crate::fixture::*;

const PASSWORD: &str = "canary-password";

fn acl(server: &RedisServer, user: &str, rules: &[&str]) {
    let password = format!(">{PASSWORD}");
    let args = [&["SETUSER", user, "reset", "on", &password, "~*", "&*"], rules].concat();
    let _: () = server.cmd("ACL", args);
}

fn url(server: &RedisServer, user: &str) -> String {
    format!("redis://{user}:{PASSWORD}@127.0.0.1:{}", server.port())
}

async fn refused(store: &Store, kind: Kind) {
    eventually("both are refused", async || {
        let kinds = [refusal(read(store, "a").await), refusal(store.run(change("a", count())).await)];
        let expected = kinds.iter().all(|k| [kind, Kind::Unavailable].contains(k));
        assert!(expected, "{kinds:?} instead of {kind:?}");
        refusal(store.health().await.latency) == kind
    })
    .await;
}

#[tokio::test]
async fn a_user_and_password_in_the_url_sign_in() {
    let server = RedisServer::start();
    acl(&server, "app", &["+@all"]);
    let store = patient().connect(&url(&server, "app")).unwrap();
    make(&store, "a", "1").await;
    assert!(server.cmd::<String>("CLIENT", "LIST").contains("user=app"));
    assert!(!format!("{store:?} {store:#?}").contains("canary"));
}

#[tokio::test]
async fn a_wrong_password_is_told_without_repeating_it() {
    let log = Log::start();
    let server = RedisServer::start();
    acl(&server, "app", &["+@all"]);
    for url in [
        format!("redis://app:canary-wrong@127.0.0.1:{}", server.port()),
        format!("redis://canary-nobody:{PASSWORD}@127.0.0.1:{}", server.port()),
        format!("redis://app:canary-wrong@127.0.0.1:{}/?protocol=resp3", server.port()),
    ] {
        let store = patient().connect(&url).unwrap();
        refused(&store, Kind::Auth).await;
        assert!(!format!("{store:?} {:?}", store.health().await).contains("canary"));
    }
    assert!(log.text().contains("credentials"), "{}", log.text());
    assert!(!log.text().contains("canary"), "{}", log.text());
}

#[tokio::test]
async fn a_password_that_is_asked_for_from_now_on_concerns_new_connections() {
    let server = RedisServer::start();
    let mut admin = server.admin();
    let mut config = |value: &str| {
        redis::cmd("CONFIG").arg("SET").arg("requirepass").arg(value).exec(&mut admin).unwrap();
    };
    let with = patient().connect(&format!("redis://:{PASSWORD}@127.0.0.1:{}", server.port())).unwrap();
    let without = patient().pool_size(1).connect(&server.url()).unwrap();
    make(&without, "a", "1").await;
    config(PASSWORD);
    assert_eq!(read(&without, "a").await.unwrap().as_deref(), Some("1"), "what is open goes on");
    eventually("the password lets in", async || serves(&with).await).await;
    let mut killer = redis::Client::open(format!("redis://:{PASSWORD}@127.0.0.1:{}", server.port()))
        .unwrap()
        .get_connection()
        .unwrap();
    redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]).exec(&mut killer).unwrap();
    settle().await;
    refused(&without, Kind::Auth).await;
    assert_eq!(read(&with, "a").await.unwrap().as_deref(), Some("1"));
    redis::cmd("CONFIG").arg("SET").arg("requirepass").arg("").exec(&mut killer).unwrap();
    eventually("nobody needs one any more", async || serves(&without).await).await;
}

#[tokio::test]
async fn a_user_who_may_not_run_a_command_is_told_so() {
    let server = RedisServer::start();
    acl(&server, "app", &["+@all", "-hgetall"]);
    let store = patient().connect(&url(&server, "app")).unwrap();
    for _ in 0..10 {
        done(store.run(create("a", "1")).await.unwrap());
        assert_eq!(refusal(read(&store, "a").await), Kind::Forbidden);
        assert!(store.run(RemoveSession(session("a"))).await.unwrap());
    }
    acl(&server, "app", &["+@all", "-evalsha", "-eval", "-del", "-time"]);
    settle().await;
    for _ in 0..10 {
        assert_eq!(refusal(store.run(create("a", "1")).await), Kind::Forbidden);
        assert_eq!(refusal(store.run(RemoveSession(session("a"))).await), Kind::Forbidden);
        assert_eq!(read(&store, "a").await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_user_who_may_not_load_scripts_runs_them_all_the_same() {
    let server = RedisServer::start();
    acl(&server, "app", &["+@all", "-script|load"]);
    let store = patient().pool_size(1).connect(&url(&server, "app")).unwrap();
    make(&store, "a", "1").await;
    assert_eq!(done(store.run(change("a", count())).await.unwrap()), [1]);
    assert_eq!(store.run(enter("p", "a")).await.unwrap().outcome, AddOutcome::Done);
    let calls = server.calls();
    assert_eq!((calls["eval"], calls["evalsha"]), (2, 3), "each went out in full once");
}

#[tokio::test]
async fn a_user_confined_to_the_prefix_is_enough() {
    let server = RedisServer::start();
    acl(&server, "app", &["resetkeys", "~keep:*", "+@all"]);
    let store = patient().connect(&url(&server, "app")).unwrap();
    make(&store, "a", "1").await;
    assert!(serves(&store).await);
    acl(&server, "app", &["resetkeys", "~other:*", "+@all"]);
    assert_eq!(refusal(read(&store, "a").await), Kind::Forbidden);
    assert_eq!(refusal(store.run(create("b", "1")).await), Kind::Forbidden);
    assert_eq!(refusal(store.run(enter("p", "b")).await), Kind::Forbidden);
}
