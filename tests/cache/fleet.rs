//! Several processes on one Redis: each has an engine, connections and memories of its own.

use std::time::Duration;

use keep_testing::RedisServer;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tower_keep::cache::{HttpCache, Purging};

use crate::fixture::*;

fn engine(server: &RedisServer) -> HttpCache {
    HttpCache::builder(patient(server)).deadline(LONG).wait(LONG).build().unwrap()
}

fn both(server: &RedisServer, site: &Site) -> [Site; 2] {
    [site.clone(), site.behind(engine(server))]
}

async fn all_at_once(sites: &[Site; 2], path: &str, requests: usize) -> Vec<Reply> {
    let mut tasks = JoinSet::new();
    for n in 0..requests {
        let (site, path) = (sites[n % 2].clone(), path.to_owned());
        tasks.spawn(async move { site.get(&path).await });
    }
    tokio::time::timeout(LONG, tasks.join_all()).await.expect("nobody hangs")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_misses_over_two_processes_run_the_handler_at_most_twice() {
    let server = RedisServer::start();
    let sites = both(&server, &Site::counting(engine(&server), DAY));
    for round in 0..5 {
        let before = sites[0].calls();
        let path = format!("/{round}");
        let replies = all_at_once(&sites, &path, 1000).await;
        assert_eq!(replies.len(), 1000);
        assert!(sites[0].calls() - before <= 2, "round {round}: {} runs", sites[0].calls() - before);
    }
}

/// The handler takes long enough for both to come while it runs: then once is enough.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_while_another_process_fills_waits_for_it() {
    let server = RedisServer::start();
    let (entered, mut entries) = mpsc::unbounded_channel();
    let site = Site::new(engine(&server), move |_, n| {
        let entered = entered.clone();
        async move {
            let (go_on, told) = tokio::sync::oneshot::channel();
            entered.send(go_on).unwrap();
            told.await.unwrap();
            page(n.to_string(), DAY)
        }
    });
    let sites = both(&server, &site);
    let asking = tokio::spawn(async move { (all_at_once(&sites, "/", 1000).await, sites) });
    let first = entries.recv().await.unwrap();
    eventually("the other process asks for the lease", async || {
        server.calls().get("evalsha").is_some_and(|calls| *calls >= 3)
    })
    .await;
    first.send(()).unwrap();
    let (replies, sites) = asking.await.unwrap();
    assert!(replies.iter().all(|reply| reply.text() == "0"));
    assert_eq!(sites[0].calls(), 1);
}

/// Refreshes are one for all, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_do_not_refresh_the_same_page_at_once() {
    let server = RedisServer::start();
    let (entered, mut entries) = mpsc::unbounded_channel();
    let site = Site::new(engine(&server), move |_, n| {
        let entered = entered.clone();
        async move {
            if n == 0 {
                return page(
                    "0",
                    &[("cache-control", "max-age=60, stale-while-revalidate=600"), ("age", "90")],
                );
            }
            let (go_on, told) = tokio::sync::oneshot::channel();
            entered.send(go_on).unwrap();
            told.await.unwrap();
            page(n.to_string(), DAY)
        }
    });
    let sites = both(&server, &site);
    site.stored(|| get("/", &[])).await;
    let first = entries.recv().await.unwrap();
    for _ in 0..50 {
        for site in &sites {
            assert_eq!(site.get("/").await.text(), "0", "nobody waits");
        }
    }
    assert_eq!(site.calls(), 2, "one filled, one refreshes");
    first.send(()).unwrap();
    for site in &sites {
        eventually("it is fresh", async || site.get("/").await.text() == "1").await;
    }
    assert_eq!(site.calls(), 2);
}

/// A process that is gone cannot give its right back. `wait` is much longer than the lease: who has waited for all of it stores nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_while_it_fills_delays_the_others_by_no_more_than_its_lease() {
    let server = RedisServer::start();
    let url = server.url();
    let (entered, mut entries) = mpsc::unbounded_channel();
    let dying = std::thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let site = runtime.block_on(async {
            let store = tower_keep::store::Store::builder().deadline(LONG).connect(&url).unwrap();
            let cache =
                HttpCache::builder(store).deadline(LONG).lease(Duration::from_millis(500)).build().unwrap();
            Site::new(cache, move |_, _| {
                let entered = entered.clone();
                async move {
                    entered.send(()).unwrap();
                    std::future::pending().await
                }
            })
        });
        // On a task, so that it dies with the runtime, without a chance to say anything.
        runtime.spawn(async move { site.get("/").await });
        (runtime, entries.blocking_recv())
    });
    let (runtime, _) = tokio::task::spawn_blocking(|| dying.join().unwrap()).await.unwrap();
    runtime.shutdown_background();

    let cache = HttpCache::builder(patient(&server))
        .deadline(LONG)
        .lease(Duration::from_millis(500))
        .wait(Duration::from_secs(3600))
        .build()
        .unwrap();
    let site = Site::counting(cache, DAY);
    let sites = [site.clone(), site.clone()];
    let replies = all_at_once(&sites, "/", 100).await;
    assert!(replies.iter().all(|reply| reply.text() == "0"));
    assert_eq!(replies.iter().filter(|reply| reply.told().contains("stored")).count(), 1);
    assert_eq!(site.calls(), 1);
}

/// The lease is an hour's: it must have been given back.
#[tokio::test]
async fn a_cancelled_fill_gives_its_right_back_to_other_processes() {
    let server = RedisServer::start();
    let long =
        || HttpCache::builder(patient(&server)).deadline(LONG).wait(LONG).lease(Duration::from_secs(60));
    let (entered, mut entries) = mpsc::unbounded_channel();
    let site = Site::new(long().build().unwrap(), move |_, n| {
        let entered = entered.clone();
        async move {
            entered.send(()).unwrap();
            if n == 0 { std::future::pending().await } else { page(n.to_string(), DAY) }
        }
    });
    let other = site.behind(long().build().unwrap());
    let cancelled = tokio::spawn(async move { site.get("/").await });
    entries.recv().await.unwrap();
    let waiting = tokio::spawn(async move { other.get("/").await });
    cancelled.abort();
    let reply = waiting.await.unwrap();
    assert!(reply.text() == "1" && reply.told().contains("stored"), "{}", reply.told());
}

/// Cancelled at any moment: a right that was on its way when nobody waited for it any more is given back as well.
#[tokio::test]
async fn a_fill_that_is_cancelled_at_any_moment_leaves_no_lease() {
    let server = RedisServer::start();
    let cache =
        HttpCache::builder(patient(&server)).deadline(LONG).lease(Duration::from_secs(60)).build().unwrap();
    let site = Site::counting(cache, DAY);
    for polls in 0..40 {
        let path = format!("/{polls}");
        let asked = site.try_raw(get(&path, &[]));
        let mut asked = Box::pin(asked);
        for _ in 0..polls {
            if std::future::poll_fn(|cx| std::task::Poll::Ready(asked.as_mut().poll(cx))).await.is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    eventually("no lease is left", async || {
        let left: Vec<String> = server.cmd("KEYS", "*:fill*");
        left.is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_purge_in_one_process_holds_in_the_other_at_once() {
    let server = RedisServer::start();
    let sites = both(&server, &Site::counting(engine(&server), DAY));
    for purging in [Purging::url(HOST, "/"), Purging::below(HOST, "/"), Purging::all()] {
        sites[0].stored(|| get("/", &[])).await;
        let known = sites[1].stored(|| get("/", &[])).await;
        sites[0].cache.purge(purging.clone()).await.unwrap();
        let after = sites[1].get("/").await;
        assert!(!after.is_hit() && after.text() != known.text(), "{purging:?}");
    }
}

/// Who stores with another store's prefix or another namespace has another cache.
#[tokio::test]
async fn namespaces_do_not_share() {
    let server = RedisServer::start();
    let site = Site::counting(engine(&server), DAY);
    let other = HttpCache::builder(patient(&server)).deadline(LONG).namespace("other").build().unwrap();
    let other = site.behind(other);
    site.stored(|| get("/", &[])).await;
    assert!(!other.get("/").await.is_hit());
    other.cache.purge(Purging::all()).await.unwrap();
    assert!(site.get("/").await.is_hit());
}
