//! The same log of requests through the demo on axum and the one on actix-web, both as programs and each on a Redis of its own: status,
//! cookies, fields and bodies are the same, and so is what Redis was asked. And a suite of requests with written answers, for the core alone
//! too.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

#[path = "../demo/client.rs"]
#[allow(dead_code, reason = "the demo's tests use the rest")]
mod client;
#[path = "../demo/program.rs"]
#[allow(dead_code, reason = "the demo's tests use the rest")]
mod program;
#[path = "../serve/mod.rs"]
mod serve;

mod apps;
mod compare;
mod pair;
mod script;
mod suite;
mod words;

use keep_testing::RedisServer;

use pair::Pair;
use script::{Script, Step};

/// How many requests of the log come without faults, and how many among faults.
const QUIET: usize = 1_800;
const FAULTY: usize = 600;

#[tokio::test]
async fn the_same_log_gives_the_same_answers_and_the_same_commands() {
    let mut pair = Pair::start().await;
    let mut script = Script::new(9_111);
    pair.reset_calls().await;
    for _ in 0..QUIET {
        pair.step(&script.quiet()).await;
    }
    let [axum, actix] = pair.calls();
    assert_eq!(axum, actix, "the same commands, as often");
    for _ in 0..FAULTY {
        pair.step(&script.faulty()).await;
    }
    pair.freeze().await;
    for request in script.while_redis_is_away() {
        pair.step(&Step::Ask(request)).await;
    }
    pair.thaw().await;
    for _ in 0..100 {
        pair.step(&script.quiet()).await;
    }
    pair.has_met_everything();
}

#[tokio::test]
async fn what_is_stale_is_answered_at_once_and_made_anew_behind_it() {
    let mut pair = Pair::start().await;
    let aging = Step::Ask(script::get(0, "/cached/aging"));
    pair.step(&aging).await;
    // `max-age` is ten seconds, and nothing but time makes a response stale.
    tokio::time::sleep(std::time::Duration::from_millis(10_500)).await;
    let [stale, _] = pair.step(&aging).await;
    assert!(stale.header("cache-status").unwrap().contains("; hit; ttl=-"), "{stale:?}");
    assert_eq!(stale.body, "aging: run 1\n");
    pair.is_stored(2).await;
    assert_eq!(pair.step(&aging).await[0].body, "aging: run 2\n");
}

/// For [`Pair`].
fn servers() -> [RedisServer; 2] {
    [RedisServer::start(), RedisServer::start()]
}
