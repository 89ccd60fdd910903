//! Who waits for another process is woken up by its message, and does without where there is none.

use std::time::Duration;

use keep_testing::RedisServer;
use tokio::sync::{mpsc, oneshot};
use tower_keep::cache::{HttpCache, HttpCacheBuilder};
use tower_keep::store::Store;

use crate::fixture::*;

/// Longer than any test runs: nobody looks by itself before.
const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

fn builder(store: Store) -> HttpCacheBuilder {
    HttpCache::builder(store).deadline(LONG).wait(HOUR).lease(MINUTE)
}

/// A site whose handler waits until it is told to go on.
fn held(cache: HttpCache) -> (Site, mpsc::UnboundedReceiver<oneshot::Sender<()>>) {
    let (entered, entries) = mpsc::unbounded_channel();
    let site = Site::new(cache, move |_, n| {
        let entered = entered.clone();
        async move {
            let (go_on, told) = oneshot::channel();
            entered.send(go_on).unwrap();
            told.await.unwrap();
            page(n.to_string(), DAY)
        }
    });
    (site, entries)
}

#[tokio::test]
async fn a_waiter_in_another_process_is_woken_up_when_the_page_is_stored() {
    let server = RedisServer::start();
    let (site, mut entries) = held(builder(patient(&server)).build().unwrap());
    let other = site.behind(builder(patient(&server)).pauses(HOUR, HOUR).build().unwrap());
    for path in ["/a", "/b"] {
        server.reset_calls();
        let filling = tokio::spawn({
            let site = site.clone();
            async move { site.get(path).await }
        });
        let go_on = entries.recv().await.unwrap();
        let waiting = tokio::spawn({
            let other = other.clone();
            async move { other.get(path).await }
        });
        // It asked for the right, looked, asked again, and has its pause now.
        eventually("the other one waits and listens", async || {
            let heard: Vec<(String, u64)> = server.cmd("PUBSUB", &["NUMSUB", "keep:cache:{pages}:log"]);
            heard[0].1 == 1 && server.calls().get("evalsha").is_some_and(|calls| *calls >= 3)
        })
        .await;
        go_on.send(()).unwrap();
        let text = filling.await.unwrap().text().to_owned();
        let reply = tokio::time::timeout(LONG, waiting).await.expect("it is woken up").unwrap();
        assert_eq!((reply.text(), reply.is_hit()), (text.as_str(), true));
    }
    assert_eq!(site.calls(), 2);
    let connections = server.clients().iter().filter(|client| client.contains("sub=1")).count();
    assert_eq!(connections, 1, "one subscription, kept from the first to the second");
}

/// A pool of the user's cannot subscribe: the waiter looks by itself.
#[tokio::test]
async fn a_waiter_that_cannot_subscribe_looks_by_itself() {
    let server = RedisServer::start();
    let (site, mut entries) = held(builder(patient(&server)).build().unwrap());
    let pool = bb8::Pool::builder().build(redis::Client::open(server.url()).unwrap()).await.unwrap();
    let foreign = Store::builder().deadline(LONG).from_pool(pool).unwrap();
    let other = site.behind(builder(foreign).build().unwrap());
    let filling = tokio::spawn({
        let site = site.clone();
        async move { site.get("/").await }
    });
    let go_on = entries.recv().await.unwrap();
    let waiting = tokio::spawn(async move { other.get("/").await });
    eventually("the other one waits", async || {
        let calls = server.calls();
        calls.get("evalsha").unwrap_or(&0) + calls.get("eval").unwrap_or(&0) >= 2
    })
    .await;
    go_on.send(()).unwrap();
    assert_eq!(filling.await.unwrap().text(), "0");
    // Who looks just before it is stored, and asks just after, finds the right free.
    tokio::spawn(async move {
        while let Some(go_on) = entries.recv().await {
            go_on.send(()).unwrap();
        }
    });
    tokio::time::timeout(LONG, waiting).await.expect("it looks").unwrap();
    assert!(site.calls() <= 2);
}
