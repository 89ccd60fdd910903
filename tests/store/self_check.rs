//! What a store finds out about its server.

use std::collections::BTreeSet;
use std::time::Duration;

use keep_testing::{Log, RedisServer};
use tower_keep::cache::HttpCache;
use tower_keep::kv::{Counters, KeyValue, Lists, Members};
use tower_keep::lock::Locks;
use tower_keep::pubsub::PubSub;
use tower_keep::session::Sessions;
use tower_keep::store::{Finding, Store};

use crate::fixture::*;

const PAGE: &str = include_str!("../../docs/operations.md");

/// Builds every engine on a store.
async fn crowded(store: &Store) {
    let _sessions = Sessions::new(store.clone());
    HttpCache::new(store.clone()).unwrap();
    let values = KeyValue::<u8>::new(store.clone(), "n").unwrap();
    drop(values.get_or_fetch("a", tower_keep::kv::Ttl::Never, async || Ok::<_, std::io::Error>(1)).await);
    Counters::new(store.clone(), "n").unwrap();
    Members::new(store.clone(), "n", 9).unwrap();
    Lists::<u8>::new(store.clone(), "n", 9).unwrap();
    Locks::builder(store.clone()).build().unwrap();
    let _messages = PubSub::new(store.clone());
}

/// The commands of the documented user.
fn documented() -> BTreeSet<String> {
    let (_, rest) = PAGE.split_once("redis-cli ACL SETUSER ").unwrap();
    let (line, _) = rest.split_once("\n```").unwrap();
    let words = line.split_whitespace().map(|word| word.trim_matches('\''));
    words.filter_map(|word| word.strip_prefix('+')).map(str::to_uppercase).collect()
}

fn as_user(server: &RedisServer, rules: &str) -> Store {
    server.tell(&format!("ACL SETUSER app reset on >p {rules}"));
    patient().connect(&server.url().replace("redis://", "redis://app:p@")).unwrap()
}

#[tokio::test]
async fn a_server_that_suits_is_not_found_fault_with_and_leaves_no_trace() {
    let server = RedisServer::start();
    let store = as_user(
        &server,
        "~keep:* resetchannels &keep:* nocommands +eval +evalsha +script|load +del +time +hgetall",
    );
    assert_eq!(store.self_check().await.unwrap(), []);
    assert_eq!(server.cmd::<Vec<redis::Value>>("ACL", "LOG"), [], "INFO was not asked for");
    assert_eq!(Store::in_memory().self_check().await.unwrap(), []);
}

#[tokio::test]
async fn the_documented_user_lacks_nothing() {
    let server = RedisServer::start();
    let granted: Vec<_> = documented().iter().map(|name| format!("+{}", name.to_lowercase())).collect();
    let rules = format!("~keep:* resetchannels &keep:* nocommands {}", granted.join(" "));
    let store = as_user(&server, &rules);
    crowded(&store).await;
    assert_eq!(store.self_check().await.unwrap(), []);
    assert_eq!(server.cmd::<Vec<redis::Value>>("ACL", "LOG"), []);
}

#[tokio::test]
async fn every_command_that_is_missing_is_named() {
    let server = RedisServer::start();
    let store = as_user(&server, "~keep:* resetchannels &keep:* nocommands +eval +evalsha");
    crowded(&store).await;
    let found = store.self_check().await.unwrap();
    let [Finding::MissingCommands(missing)] = &found[..] else { panic!("{found:?}") };
    let mut expected = documented();
    ["EVAL", "EVALSHA", "SCRIPT|LOAD"].iter().for_each(|name| assert!(expected.remove(*name), "{name}"));
    assert_eq!(missing.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), expected);
    let store = as_user(&server, "~keep:* resetchannels &keep:* nocommands +hgetall");
    let found = store.self_check().await.unwrap();
    assert_eq!(found, [Finding::MissingCommands(vec!["EVALSHA", "EVAL"])]);
    let store = as_user(&server, "~other:* &other:* +@all");
    let found = store.self_check().await.unwrap();
    assert_eq!(found, [Finding::MissingCommands(vec!["EVALSHA", "EVAL"])], "another prefix");
}

#[tokio::test]
async fn a_server_that_evicts_is_told_to_those_who_must_keep_alone() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let store = patient().connect(&server.url()).unwrap();
    HttpCache::new(store.clone()).unwrap();
    assert_eq!(store.self_check().await.unwrap(), []);
    let _sessions = Sessions::new(store.clone());
    Locks::builder(store.clone()).build().unwrap();
    let lost = vec!["sessions", "locks"];
    assert_eq!(
        store.self_check().await.unwrap(),
        [Finding::Eviction { policy: "allkeys-lru".to_owned(), lost }]
    );
}

#[tokio::test]
async fn replicas_and_nodes_of_a_cluster_are_told() {
    let primary = RedisServer::start();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &primary.port().to_string()]);
    let store = patient().connect(&replica.url()).unwrap();
    assert_eq!(store.self_check().await.unwrap(), [Finding::Replica]);
    let node =
        RedisServer::start_with(&["--cluster-enabled", "yes", "--cluster-require-full-coverage", "no"]);
    let store = patient().connect(&node.url()).unwrap();
    assert_eq!(store.self_check().await.unwrap(), [Finding::ClusterNode], "without any slot");
    node.tell("CLUSTER ADDSLOTSRANGE 0 16383");
    eventually("the node serves", async || node.cmd::<String>("CLUSTER", "INFO").contains("state:ok")).await;
    eventually("it is the same", async || {
        store.self_check().await.is_ok_and(|found| found == [Finding::ClusterNode])
    })
    .await;
}

#[tokio::test]
async fn the_log_has_each_finding_once_and_by_itself() {
    let (log, server) = (Log::start(), RedisServer::start_with(&["--maxmemory-policy", "volatile-ttl"]));
    let store = Store::connect(&server.url()).unwrap();
    let _sessions = Sessions::new(store.clone());
    eventually("it is told", async || !log.warnings().is_empty()).await;
    server.kill_clients();
    eventually("it serves again", async || serves(&store).await).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let told = log.warnings();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("sessions") && told[0].contains("volatile-ttl"), "{told:?}");
}

#[tokio::test]
async fn who_asks_is_told_and_the_log_is_not() {
    let (log, server) = (Log::start(), RedisServer::start_with(&["--maxmemory-policy", "volatile-ttl"]));
    let store = Store::connect(&server.url()).unwrap();
    let _sessions = Sessions::new(store.clone());
    assert_eq!(store.self_check().await.unwrap().len(), 1);
    // Another one, whose turn comes later, looks by itself.
    let other = Store::connect(&server.url()).unwrap();
    let _sessions = Sessions::new(other.clone());
    eventually("the other one looks", async || !log.warnings().is_empty()).await;
    assert_eq!(log.warnings().len(), 1, "{:?}", log.warnings());
}
