//! The Redis user of `docs/operations.md` may do all that is needed, and nothing that is not.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::time::Duration;

use keep_testing::RedisServer;
use tower_keep::kv::{Counters, KeyValue, Lists, Members, Ttl, Update};
use tower_keep::lock::Locks;
use tower_keep::pubsub::PubSub;
use tower_keep::session::Sessions;
use tower_keep::store::Store;
use tower_keep::store::key::KeyPrefix;
use tower_keep::test_util::accept_store;

const PAGE: &str = include_str!("../docs/operations.md");
const HOUR: Ttl = Ttl::After(Duration::from_secs(3600));

/// The arguments of the documented `ACL SETUSER`.
fn documented() -> Vec<String> {
    let (_, rest) = PAGE.split_once("redis-cli ACL SETUSER ").unwrap();
    let (line, _) = rest.split_once("\n```").unwrap();
    words(&line.replace("\\\n", " "))
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect()
}

/// The commands that the page's table has for a module.
fn module(name: &str) -> Vec<String> {
    let row = PAGE.lines().find(|line| line.starts_with(&format!("| {name}"))).unwrap();
    words(row.rsplit('`').nth(1).unwrap())
}

/// A store whose connections are this user's. Patterns must be allowed by themselves.
fn sign_in(server: &RedisServer, rules: &[String]) -> Store {
    let _: () = server.cmd("ACL", [&["SETUSER".to_owned(), "keep".to_owned()][..], rules].concat());
    server.tell("ACL SETUSER keep &demo:channel:order%3A*");
    let url = server.url().replace("redis://", "redis://keep:PASSWORD@");
    let store = Store::builder()
        .prefix(KeyPrefix::new("demo").unwrap())
        .deadline(Duration::from_secs(10))
        .without_self_check();
    store.connect(&url).unwrap()
}

async fn values(store: Store, _: &RedisServer) {
    let state = KeyValue::<u8>::new(store, "n").unwrap();
    let revision = state.set("a", &1, HOUR).await.unwrap();
    state.replace("a", &2, Ttl::KeepRemaining, revision).await.unwrap();
    state.update("b", |_| Update::Set(1, HOUR)).await.unwrap();
    state.get_many(["a", "b"]).await.unwrap();
    state.remaining("a").await.unwrap();
    assert!(state.remove("a").await.unwrap());
    assert_eq!(state.purge_all().await.unwrap(), 1);
}

async fn aside(store: Store, _: &RedisServer) {
    let state = KeyValue::<u8>::new(store, "n").unwrap();
    for _ in 0..2 {
        assert_eq!(state.get_or_fetch("c", HOUR, async || Ok::<_, std::io::Error>(1)).await.unwrap(), 1);
    }
}

async fn counters(store: Store, _: &RedisServer) {
    let counters = Counters::new(store, "n").unwrap();
    counters.add("a", 1, HOUR).await.unwrap();
    counters.remove("a").await.unwrap();
}

async fn sets(store: Store, _: &RedisServer) {
    let members = Members::new(store, "n", 9).unwrap();
    for ttl in [HOUR, Ttl::Never] {
        members.add("a", "b", ttl).await.unwrap();
    }
    assert!(members.contains("a", "b").await.unwrap() && members.count("a").await.unwrap() == 1);
    assert!(members.list("a").await.unwrap() == ["b"] && members.remove("a", "b").await.unwrap());
}

async fn lists(store: Store, _: &RedisServer) {
    let lists = Lists::<u8>::new(store, "n", 9).unwrap();
    for ttl in [HOUR, Ttl::Never, Ttl::KeepRemaining] {
        lists.push("a", &1, ttl).await.unwrap();
    }
    assert!(lists.items("a").await.unwrap().len() == 3 && lists.pop("a").await.unwrap() == Some(1));
}

async fn locks(store: Store, _: &RedisServer) {
    let locks = Locks::builder(store).build().unwrap();
    let mut lock = locks.acquire("a").await.unwrap();
    let _ = (lock.extend().await.unwrap(), lock.release().await.unwrap());
    let held = locks.acquire("a").await.unwrap();
    assert!(locks.force_release("a").await.unwrap());
    drop(held);
}

async fn messages(store: Store, server: &RedisServer) {
    let events = PubSub::new(store);
    let mut kept = events.subscribe::<u8>("a").await.unwrap();
    let pattern = events.subscribe_pattern::<u8>("order:*").await.unwrap();
    drop((events.subscribe::<u8>("b").await.unwrap(), pattern));
    events.publish("a", &1).await.unwrap();
    assert_eq!(kept.next().await.unwrap().value, 1);
    while !server.calls().contains_key("ping") {
        tokio::time::sleep(Duration::from_millis(50)).await; // after 10 s of silence
    }
}

fn refused(server: &RedisServer) -> Vec<redis::Value> {
    server.cmd("ACL", "LOG")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_user_may_do_what_is_needed_and_no_more() {
    let server = RedisServer::start();
    let user = documented();
    let store = sign_in(&server, &user[1..]);
    assert!(store.health().await.is_up());
    server.reset_calls();

    accept_store(&store, async |by| tokio::time::sleep(by).await).await;
    let _: () = server.cmd("SCRIPT", "FLUSH"); // so that one is sent in full as well
    let session = Sessions::new(store.clone()).start();
    session.insert("a", "b").unwrap();
    session.save().await.unwrap();
    messages(store, &server).await;

    let log = refused(&server);
    assert!(log.is_empty(), "{log:?}");
    let calls = server.calls();
    let granted = user.iter().filter_map(|word| word.strip_prefix('+'));
    let unused: Vec<_> =
        granted.filter(|name| *name != "script|load" && !calls.contains_key(*name)).collect();
    assert!(unused.is_empty(), "granted without need: {unused:?}");
}

/// Each row of the table is enough for its module, and no word of it too much.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_module_needs_what_its_row_says() {
    let base = ["on", ">PASSWORD", "resetkeys", "~demo:*", "resetchannels", "&demo:*", "nocommands"];
    let base =
        base.into_iter().chain(["+eval", "+evalsha", "+script|load", "+del", "+time"]).map(str::to_owned);
    let all: BTreeSet<String> = documented().into_iter().collect();
    let server = RedisServer::start();
    macro_rules! check {
        ($($name:literal $work:ident),+) => {$({
            let row = module($name);
            assert!(row.iter().all(|word| all.contains(word)), "the recipe has it all");
            let store = sign_in(&server, &base.clone().chain(row.clone()).collect::<Vec<_>>());
            assert!(store.health().await.is_up());
            server.reset_calls();
            let _: () = server.cmd("SCRIPT", "FLUSH");
            $work(store, &server).await;
            let (log, calls) = (refused(&server), server.calls());
            assert!(log.is_empty(), "{}: {log:?}", $name);
            let unused: Vec<_> = row.iter().filter(|word| !calls.contains_key(&word[1..])).collect();
            assert!(unused.is_empty(), "{}: granted without need: {unused:?}", $name);
        })+};
    }
    check!(
        "values" values, "cache-aside" aside, "counters" counters, "sets" sets, "lists" lists, "locks" locks,
        "pub/sub" messages
    );
}
