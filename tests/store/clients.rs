//! What `CLIENT LIST` tells about a store.

use std::time::Duration;

use keep_testing::RedisServer;
use tower_keep::pubsub::PubSub;
use tower_keep::store::{ConfigError, Store};

use crate::fixture::*;

const POOL: usize = 3;

/// The names of all connections, sorted.
fn names(server: &RedisServer) -> Vec<String> {
    let name =
        |line: &String| line.split(' ').find_map(|word| word.strip_prefix("name=")).unwrap().to_owned();
    let mut names: Vec<_> = server.clients().iter().map(name).collect();
    names.sort();
    names
}

async fn crowd(store: &Store) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let store = store.clone();
        tasks.spawn(async move { drop(read(&store, "a").await) });
    }
    tasks.join_all().await;
}

/// At most the pool's, the probe's and the one that subscribes; each has its name.
fn tidy(server: &RedisServer) {
    let names = names(server);
    let count = |name: &str| names.iter().filter(|other| *other == name).count();
    let (pool, probe, subscribe) = (count("shop"), count("shop:probe"), count("shop:subscribe"));
    assert_eq!(pool + probe + subscribe, names.len(), "{names:?}");
    assert!(pool <= POOL && probe <= 1 && subscribe <= 1, "{names:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_connection_has_its_name_there_are_few_and_none_stays_behind() {
    let server = RedisServer::start();
    let pool = u32::try_from(POOL).unwrap();
    let builder =
        Store::builder().deadline(Duration::from_millis(200)).probe_interval(Duration::from_millis(20));
    let store = builder.pool_size(pool).client_name("shop").connect(&server.url()).unwrap();
    let heard = PubSub::new(store.clone()).subscribe::<u8>("news").await.unwrap();
    eventually("the probe's connection is the pool's now", async || {
        names(&server).contains(&"shop".to_owned()) && !names(&server).contains(&"shop:probe".to_owned())
    })
    .await;
    for _ in 0..5 {
        crowd(&store).await;
        tidy(&server);
        server.kill_clients();
        crowd(&store).await;
        server.freeze();
        crowd(&store).await;
        server.thaw();
        eventually("it serves again", async || serves(&store).await).await;
        eventually("what was given up is closed", async || names(&server).len() <= POOL + 2).await;
        tidy(&server);
    }
    drop((store, heard));
    eventually("none is left", async || names(&server).is_empty()).await;
}

#[tokio::test]
async fn a_name_needs_no_permission_and_keeps_the_protocol() {
    let server = RedisServer::start();
    server.tell("ACL SETUSER app on >p ~* &* +@all -client|setname");
    for (n, query) in ["", "/3", "/?protocol=resp3"].iter().enumerate() {
        let url = server.url().replace("redis://", "redis://app:p@") + query;
        let name = format!("shop-{n}");
        let store = patient().client_name(&name).connect(&url).unwrap();
        make(&store, &name, "1").await;
        let resp = if n == 2 { "resp=3" } else { "resp=2" };
        assert!(
            server
                .clients()
                .iter()
                .any(|line| line.contains(&format!("name={name} ")) && line.contains(resp))
        );
    }
    assert_eq!(server.cmd::<Vec<redis::Value>>("ACL", "LOG"), []);
}

#[tokio::test]
async fn names_that_cannot_be_shown_are_refused() {
    for name in ["", "a b", "a\n", "ü", &"x".repeat(65)] {
        let error = Store::builder().client_name(name).connect("redis://127.0.0.1").unwrap_err();
        assert_eq!(error, ConfigError::ClientName, "{name:?}");
    }
}
