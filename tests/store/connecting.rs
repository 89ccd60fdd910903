//! How a server is reached.

use keep_testing::RedisServer;
use tower_keep::store::key::KeyPrefix;
use tower_keep::store::{ConfigError, Store};

use crate::fixture::*;

#[tokio::test]
async fn every_way_of_writing_an_address_reaches_the_server() {
    let server = RedisServer::start();
    let port = server.port();
    let urls = [
        format!("redis://127.0.0.1:{port}"),
        format!("redis://localhost:{port}/"),
        format!("valkey://127.0.0.1:{port}"),
        format!("redis://127.0.0.1:{port}/?protocol=resp3"),
        server.unix_url(),
        format!("{}?db=0", server.unix_url()),
    ];
    for (n, url) in urls.iter().enumerate() {
        let store = patient().connect(url).unwrap();
        make(&store, &n.to_string(), url).await;
        assert_eq!(read(&store, &n.to_string()).await.unwrap().as_ref(), Some(url));
    }
}

#[tokio::test]
async fn a_unix_socket_recovers_as_well() {
    let mut server = RedisServer::start();
    let store = patient().connect(&server.unix_url()).unwrap();
    make(&store, "a", "1").await;
    server.restart();
    settle().await;
    eventually("it serves again", async || serves(&store).await).await;
    make(&store, "a", "2").await;
}

#[tokio::test]
async fn databases_are_apart() {
    let server = RedisServer::start();
    let urls = [server.url(), format!("{}/3", server.url()), format!("{}?db=5", server.unix_url())];
    let stores = urls.map(|url| patient().connect(&url).unwrap());
    for (n, store) in stores.iter().enumerate() {
        make(store, "a", &n.to_string()).await;
    }
    for (n, store) in stores.iter().enumerate() {
        assert_eq!(read(store, "a").await.unwrap(), Some(n.to_string()));
    }
    let keyspace: String = server.cmd("INFO", "keyspace");
    assert!(["db0:", "db3:", "db5:"].iter().all(|db| keyspace.contains(db)), "{keyspace}");
}

#[tokio::test]
async fn prefixes_are_apart_on_the_same_connections() {
    let server = RedisServer::start();
    let one = patient().prefix(KeyPrefix::new("one").unwrap()).connect(&server.url()).unwrap();
    let two = one.with_prefix(KeyPrefix::new("two").unwrap());
    make(&one, "a", "1").await;
    make(&two, "a", "2").await;
    assert_eq!(read(&one, "a").await.unwrap().as_deref(), Some("1"));
    assert_eq!(read(&two, "a").await.unwrap().as_deref(), Some("2"));
    let mut keys: Vec<String> = server.cmd("KEYS", "*");
    keys.sort();
    assert_eq!(keys, ["one:session:canary-a", "two:session:canary-a"]);
    assert_eq!(one.health().await.pool.connections, two.health().await.pool.connections);
}

#[tokio::test]
async fn settings_that_cannot_work_are_told_without_the_password() {
    for url in ["", "localhost", "http://:canary@localhost", "redis://:canary@", "redis://:canary@h:99999"] {
        let error = Store::connect(url).unwrap_err();
        assert_eq!(error, ConfigError::Url, "{url}");
        tells_no_secret(&error);
    }
    #[cfg(not(feature = "tls"))]
    assert_eq!(Store::connect("rediss://localhost").unwrap_err(), ConfigError::TlsFeature);
}

#[test]
fn a_store_needs_a_runtime() {
    assert_eq!(Store::connect("redis://127.0.0.1").unwrap_err(), ConfigError::NoRuntime);
}
