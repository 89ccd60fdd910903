//! When Redis fails, pages come from their handlers, and nobody hears of it but the counters.

use std::time::Duration;

use keep_testing::RedisServer;
use tower_keep::cache::{CacheError, CachePolicy, HttpCache, Purging};
use tower_keep::store::Store;

use crate::fixture::*;

/// A cache with the deadlines that a site would have.
fn hasty(server: &RedisServer) -> HttpCache {
    let store = Store::builder().probe_interval(Duration::from_millis(20)).connect(&server.url()).unwrap();
    HttpCache::builder(store).deadline(Duration::from_millis(50)).build().unwrap()
}

/// Each request is answered by the handler, as if there were no cache.
async fn served_without(site: &Site, paths: &[&str]) {
    for path in paths {
        let before = site.calls();
        let reply = site.get(path).await;
        assert_eq!((reply.status.as_u16(), reply.text()), (200, &*before.to_string()), "{}", reply.told());
        assert!(!reply.is_hit());
        assert_eq!(site.send(request("HEAD", path, &[])).await.status, 200);
        let failed = site.send(request("DELETE", path, &[])).await;
        assert_eq!(failed.status, 200, "an unsafe request is answered, too");
    }
}

async fn serves(site: &Site) {
    eventually("it is answered from the store", async || site.get("/well").await.is_hit()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_redis_costs_a_deadline_and_nothing_else() {
    let server = RedisServer::start();
    let site = Site::counting(hasty(&server), DAY);
    serves(&site).await;
    site.stored(|| get("/stored", &[])).await;
    server.freeze();
    served_without(&site, &["/a", "/stored", "/a"]).await;
    let told = site.get("/a").await.told().to_owned();
    assert_eq!(told, "tower-keep; fwd=miss; detail=store-unavailable");
    let refused = site.cache.purge(Purging::all()).await;
    assert!(matches!(refused, Err(CacheError::Store(_))), "who purges hears of it");
    server.thaw();
    serves(&site).await;
    assert!(site.get("/stored").await.is_hit() || site.get("/stored").await.is_hit());
}

/// Frozen at each moment of a fill: before it, while the handler runs, while the body passes, before the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_freezes_while_a_page_is_filled_holds_nobody_back() {
    let server = RedisServer::start();
    let (runs, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let site = Site::new(hasty(&server), move |_, _| {
        let (pieces, body) = piped();
        runs.send(pieces).unwrap();
        async move { Ok(answer(200, "", DAY).map(|_| body)) }
    });
    for moment in 0..3 {
        let path = format!("/{moment}");
        let asked = tokio::spawn({
            let (site, path) = (site.clone(), path.clone());
            async move { site.get(&path).await }
        });
        let pieces = begun.recv().await.unwrap();
        for piece in 0..3 {
            if piece == moment {
                server.freeze();
            }
            pieces.send(Ok(vec![b'x'; 200_000].into())).unwrap();
        }
        drop(pieces);
        assert_eq!(asked.await.unwrap().body.len(), 600_000);
        let second = tokio::spawn({
            let (site, path) = (site.clone(), path.clone());
            async move { site.get(&path).await }
        });
        begun.recv().await.unwrap().send(Ok("again".into())).unwrap();
        assert_eq!(second.await.unwrap().text(), "again");
        server.thaw();
        eventually("redis serves again", async || site.cache.purge(Purging::all()).await.is_ok()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_full_serves_what_it_has_and_everything_else_comes_from_the_handler() {
    let server = RedisServer::start();
    let site = Site::counting(hasty(&server), DAY);
    let stored = site.stored(|| get("/stored", &[])).await;
    server.tell("CONFIG SET maxmemory-policy noeviction");
    server.tell("CONFIG SET maxmemory 1");
    assert_eq!(site.hit(get("/stored", &[])).await.body, stored.body);
    for path in ["/a", "/a", "/b"] {
        let before = site.calls();
        let reply = site.get(path).await;
        assert_eq!((reply.status.as_u16(), reply.text()), (200, &*before.to_string()), "{}", reply.told());
    }
    // What only deletes still works.
    site.cache.purge(Purging::url(HOST, "/stored")).await.unwrap();
    assert!(matches!(site.cache.purge(Purging::tags(["a"])).await, Err(CacheError::Store(_))));
    assert!(!site.get("/stored").await.is_hit());
    server.tell("CONFIG SET maxmemory 0");
    serves(&site).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_was_killed_is_missed_by_nobody_and_taken_up_again() {
    let mut server = RedisServer::start();
    let site = Site::counting(hasty(&server), DAY);
    serves(&site).await;
    server.stop();
    served_without(&site, &["/a", "/well", "/a"]).await;
    server.restart();
    serves(&site).await;
    server.kill_clients();
    serves(&site).await;
}

/// It is killed while a page streams from it: what came is right, and the rest is an error, not silence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_dies_while_a_page_streams_from_it_ends_the_body_with_an_error() {
    let mut server = RedisServer::start();
    let body = vec![b'x'; 1_000_000];
    let whole = body.clone();
    let cache = hasty(&server).with_policy(CachePolicy::new());
    let site = Site::new(cache, move |_, _| {
        let body = body.clone();
        async move { page(body, DAY) }
    });
    eventually("it is stored", async || site.get("/").await.is_hit()).await;
    let response = site.raw(get("/", &[])).await;
    server.stop();
    assert!(is_truncated(&Reply::read(response).await.unwrap_err()));
    assert!(site.get("/").await.body == whole);
}

/// A page that a request was promised while Redis was there comes although it is not any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiters_are_served_when_redis_freezes_under_them() {
    let server = RedisServer::start();
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    let at_gate = gate.clone();
    let site = Site::new(hasty(&server), move |_, n| {
        let gate = at_gate.clone();
        async move {
            if n == 0 {
                gate.notified().await;
            }
            page(n.to_string(), DAY)
        }
    });
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let site = site.clone();
            tokio::spawn(async move { site.get("/").await })
        })
        .collect();
    eventually("one of them fills", async || site.calls() == 1).await;
    server.freeze();
    gate.notify_one();
    for asked in waiting {
        assert_eq!(asked.await.unwrap().status, 200);
    }
    server.thaw();
}
