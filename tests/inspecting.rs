//! Every command of `docs/inspecting.md` finds what the crate wrote.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use keep_testing::RedisServer;
use redis::Value;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_keep::cache::{CacheLayer, HttpCache};
use tower_keep::kv::{Counters, KeyValue, Lists, Members, Ttl};
use tower_keep::lock::Locks;
use tower_keep::pubsub::PubSub;
use tower_keep::rate_limit::{Limit, Quota, RateLimiter};
use tower_keep::session::Sessions;
use tower_keep::store::Store;
use tower_keep::store::key::KeyPrefix;

const PAGE: &str = include_str!("../docs/inspecting.md");
const HOUR: Ttl = Ttl::After(Duration::from_secs(3600));

/// The documented commands, without their comments: each a list of words.
fn commands() -> Vec<Vec<String>> {
    let blocks = PAGE.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    let lines = blocks.flat_map(str::lines).map(|line| line.split(" #").next().unwrap());
    let words = |line: &str| line.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect();
    lines.map(|line| words(line.strip_prefix("redis-cli ").expect(line))).collect()
}

async fn session(store: Store) -> String {
    let sessions = Sessions::new(store);
    let session = sessions.start();
    session.insert("cart", &[1, 2]).unwrap();
    session.login("alice").unwrap();
    session.save().await.unwrap();
    session.handle().unwrap().to_string()
}

async fn page(store: Store) {
    let handler = service_fn(async |_: Request<()>| {
        let response = Response::builder().header("cache-control", "max-age=60");
        Ok::<_, Infallible>(response.body(Full::from("a page")).unwrap())
    });
    let site = CacheLayer::new(HttpCache::new(store).unwrap()).layer(handler);
    for _ in 0..2 {
        let response =
            site.clone().oneshot(Request::get("http://a.example/").body(()).unwrap()).await.unwrap();
        response.into_body().collect().await.unwrap();
    }
}

async fn state(store: &Store) {
    let carts = KeyValue::<Vec<u8>>::new(store.clone(), "carts").unwrap();
    carts.set("alice", &vec![1], HOUR).await.unwrap();
    Counters::new(store.clone(), "visits").unwrap().add("home", 1, HOUR).await.unwrap();
    Members::new(store.clone(), "followers", 9).unwrap().add("alice", "bob", HOUR).await.unwrap();
    Lists::<u8>::new(store.clone(), "history", 9).unwrap().push("alice", &1, HOUR).await.unwrap();
}

fn scan(server: &RedisServer, pattern: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut cursor = "0".to_owned();
    loop {
        let (next, page): (String, Vec<String>) = server.cmd("SCAN", &[&cursor, "MATCH", pattern]);
        keys.extend(page);
        if next == "0" {
            return keys;
        }
        cursor = next;
    }
}

/// The word of a key between two others.
fn between<'a>(keys: &'a [String], before: &str, after: &str) -> &'a str {
    let found = keys.iter().find_map(|key| key.split_once(before)?.1.split_once(after).map(|(word, _)| word));
    found.unwrap()
}

fn run(server: &RedisServer, words: &[String]) {
    let line = words.join(" ");
    let found = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--scan", "--pattern", pattern] => !scan(server, pattern).is_empty(),
        _ => match server.cmd::<Value>(&words[0], &words[1..]) {
            Value::Nil => false,
            Value::Int(number) => number > 0,
            Value::Array(items) => !items.is_empty() || ["SLOWLOG", "ACL"].contains(&words[0].as_str()),
            _ => true,
        },
    };
    assert!(found, "{line}: nothing is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_documented_command_finds_what_was_written() {
    let server = RedisServer::start();
    let store = Store::builder().prefix(KeyPrefix::new("demo").unwrap()).deadline(Duration::from_secs(10));
    let store = store.connect(&server.url()).unwrap();
    let handle = session(store.clone()).await;
    let quota = Quota::per_hour(5);
    let limiter = RateLimiter::builder(store.clone())
        .namespace("api")
        .limit(Limit::new("burst", quota))
        .build()
        .unwrap();
    assert!(limiter.check("alice").await.unwrap().is_admitted());
    page(store.clone()).await;
    state(&store).await;
    let lock = Locks::builder(store.clone()).build().unwrap().acquire("report").await.unwrap();
    let listening = PubSub::new(store.clone()).subscribe::<u8>("order:7").await.unwrap();
    let url = between(&scan(&server, "demo:cache:pages:*"), "pages:{", "}").to_owned();
    let quota = between(&scan(&server, "demo:limit:*"), "burst:", ":text").to_owned();
    let commands = commands();
    assert!(commands.len() > 30);
    for words in commands {
        let word = |word: String| {
            word.replace("HANDLE", &handle).replace("{URL}", &format!("{{{url}}}")).replace("QUOTA", &quota)
        };
        run(&server, &words.into_iter().map(word).collect::<Vec<_>>());
    }
    drop((lock, listening));
}
