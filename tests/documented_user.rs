//! The Redis user of `docs/operations.md` may do all that is needed, and nothing that is not.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests fail by panicking")]

use keep_testing::RedisServer;
use tower_keep::session::Sessions;
use tower_keep::store::Store;
use tower_keep::store::key::KeyPrefix;
use tower_keep::test_util::accept_store;

/// The arguments of the documented `ACL SETUSER`.
fn documented() -> Vec<String> {
    let (_, rest) = include_str!("../docs/operations.md").split_once("redis-cli ACL SETUSER ").unwrap();
    let (line, _) = rest.split_once("\n```").unwrap();
    line.replace("\\\n", " ").split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_user_may_do_what_is_needed_and_no_more() {
    let server = RedisServer::start();
    let user = documented();
    let _: () = server.cmd("ACL", [&["SETUSER".to_owned()][..], &user].concat());
    let url = server.url().replace("redis://", "redis://keep:PASSWORD@");
    let store = Store::builder().prefix(KeyPrefix::new("demo").unwrap()).connect(&url).unwrap();
    assert!(store.health().await.is_up());
    server.reset_calls();

    accept_store(&store, async |by| tokio::time::sleep(by).await).await;
    let _: () = server.cmd("SCRIPT", "FLUSH"); // so that one is sent in full as well
    let session = Sessions::new(store).start();
    session.insert("a", "b").unwrap();
    session.save().await.unwrap();

    let refused: Vec<redis::Value> = server.cmd("ACL", "LOG");
    assert!(refused.is_empty(), "{refused:?}");
    let calls = server.calls();
    let granted = user.iter().filter_map(|word| word.strip_prefix('+'));
    let unused: Vec<_> =
        granted.filter(|name| *name != "script|load" && !calls.contains_key(*name)).collect();
    assert!(unused.is_empty(), "granted without need: {unused:?}");
}
