//! Pools that the user made.

use bb8::{ManageConnection, Pool};
use bb8_redis::RedisConnectionManager;
use keep_testing::{Fault, Proxy, RedisServer};
use tower_keep::store::op::{AddOutcome, LoadSession};
use tower_keep::store::{ForeignConnection, Store, StoreErrorKind as Kind};

use crate::fixture::*;

fn of_bb8_redis(url: &str) -> RedisConnectionManager {
    RedisConnectionManager::new(url).unwrap()
}

fn of_redis(url: &str) -> redis::Client {
    redis::Client::open(url).unwrap()
}

async fn pool<M: ManageConnection>(manager: M, tested: bool) -> Pool<M> {
    Pool::builder().max_size(2).test_on_check_out(tested).build_unchecked(manager)
}

async fn works_heals_and_stays_open<M>(server: &RedisServer, name: &str, pool: Pool<M>)
where
    M: ManageConnection,
    M::Connection: ForeignConnection,
{
    server.reset_calls();
    let store = patient().from_pool(pool.clone()).unwrap();
    make(&store, name, "1").await;
    probed(server).await;
    server.tell("SCRIPT FLUSH");
    let (loaded, committed, added) =
        store.batch((LoadSession(session(name)), change(name, count()), enter("p", name))).await.unwrap();
    assert_eq!(entry(loaded.unwrap()).as_deref(), Some("1"));
    assert_eq!(done(committed.unwrap()), [1]);
    assert_eq!(added.unwrap().outcome, AddOutcome::Done);

    for _ in 0..10 {
        server.kill_clients();
        settle().await;
        assert_eq!(read(&store, name).await.unwrap().as_deref(), Some("1"), "a read finds a live connection");
        server.kill_clients();
        settle().await;
        // A write that met a dead connection says so; from then on all is well.
        let unclear = store.run(change(name, set("1"))).await.err().map(|error| told(&error));
        assert!(unclear.is_none_or(|kind| kind == Kind::Disconnected), "{unclear:?}");
        for _ in 0..4 {
            done(store.run(change(name, set("1"))).await.unwrap());
        }
    }
    let counts = store.health().await.pool;
    assert!((1..=2).contains(&counts.connections) && counts.idle == counts.connections, "{counts:?}");

    drop(store);
    settle().await;
    for _ in 0..4 {
        assert!(pool.get().await.is_ok(), "the owner's pool goes on");
    }
}

#[tokio::test]
async fn a_pool_of_the_users_works_heals_and_is_never_closed() {
    let server = RedisServer::start();
    for tested in [true, false] {
        let name = format!("bb8-redis-{tested}");
        works_heals_and_stays_open(&server, &name, pool(of_bb8_redis(&server.url()), tested).await).await;
        let name = format!("redis-{tested}");
        works_heals_and_stays_open(&server, &name, pool(of_redis(&server.url()), tested).await).await;
    }
}

#[tokio::test]
async fn the_owner_and_the_store_share_a_pool() {
    let server = RedisServer::start();
    let pool = pool(of_bb8_redis(&server.url()), true).await;
    let store = patient().from_pool(pool.clone()).unwrap();
    let clone = store.clone();
    make(&store, "a", "1").await;
    drop(store);
    let mut connection = pool.get().await.unwrap();
    let kind: String = redis::cmd("TYPE").arg(session_key("a")).query_async(&mut *connection).await.unwrap();
    assert_eq!(kind, "hash");
    assert_eq!(read(&clone, "a").await.unwrap().as_deref(), Some("1"));
}

#[tokio::test]
async fn a_pool_whose_server_is_away_is_an_outage_that_ends() {
    let mut server = RedisServer::start();
    let pool = pool(of_bb8_redis(&server.url()), false).await;
    let store = hasty().from_pool(pool.clone()).unwrap();
    make(&store, "a", "1").await;
    for _ in 0..2 {
        server.stop();
        settle().await;
        eventually("the breaker is open", async || refusal(read(&store, "a").await) == Kind::Unavailable)
            .await;
        server.restart();
        eventually("it serves again", async || serves(&store).await).await;
        make(&store, "a", "1").await;
    }
}

#[tokio::test]
async fn a_shifted_reply_is_found_out_in_a_foreign_pool() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let store = patient().from_pool(pool(of_bb8_redis(&proxy.url()), false).await).unwrap();
    for name in ["a", "b"] {
        make(&store, name, name).await;
    }
    probed(&server).await;
    let mut found = 0;
    for _ in 0..20 {
        proxy.set(Fault::ExtraReply);
        for name in ["a", "b", "a"] {
            // The extra reply meets a read, or the test of a connection under suspicion, which replaces it.
            match read(&store, name).await {
                Ok(value) => assert_eq!(value.as_deref(), Some(name)),
                Err(error) => {
                    assert_eq!(told(&error), Kind::Desync);
                    found += 1;
                }
            }
        }
        assert_eq!(proxy.fault(), Fault::None);
    }
    assert!(found > 0 && store.health().await.desyncs == found);
}

#[tokio::test]
async fn from_pool_needs_nothing_but_the_pool() {
    let server = RedisServer::start();
    let store = Store::from_pool(pool(of_redis(&server.url()), true).await).unwrap();
    eventually("it serves", async || serves(&store).await).await;
}
