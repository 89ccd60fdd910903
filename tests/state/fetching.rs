//! Cache-aside: how often the fetcher is called, and what callers get when things go wrong.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use keep_testing::RedisServer;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tower_keep::kv::{FetchError, KeyValue, KvError, Remainder, Ttl};
use tower_keep::store::Store;

use crate::fixture::*;

async fn never() -> Result<Cart, io::Error> {
    panic!("it is stored")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_misses_over_two_processes_fetch_at_most_twice() {
    let server = RedisServer::start();
    let processes = [carts(&on_redis(&server)), carts(&on_redis(&server))];
    for round in 0..5 {
        let fetches = Arc::new(AtomicU32::new(0));
        let mut tasks = JoinSet::new();
        for n in 0..1000 {
            let (carts, fetches) = (processes[n % 2].clone(), Arc::clone(&fetches));
            tasks.spawn(async move {
                let fetch = async || {
                    fetches.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    Ok::<_, io::Error>(cart("fetched"))
                };
                carts.get_or_fetch(&round.to_string(), HOUR, fetch).await.unwrap()
            });
        }
        assert!(tasks.join_all().await.into_iter().all(|got| got == cart("fetched")));
        let fetches = fetches.load(Ordering::SeqCst);
        assert!(fetches <= 2, "round {round}: {fetches} fetches");
    }
}

#[tokio::test]
async fn what_is_stored_is_not_fetched_and_lives_about_as_long_as_said() {
    on_both(async |store| {
        let carts = carts(&store);
        let ttl = Ttl::After(Duration::from_secs(1000));
        assert_eq!(
            carts.get_or_fetch("a", ttl, async || Ok::<_, io::Error>(cart("x"))).await.unwrap(),
            cart("x")
        );
        assert_eq!(carts.get_or_fetch("a", ttl, never).await.unwrap(), cart("x"));
        let Some(Remainder::For(left)) = carts.remaining("a").await.unwrap() else { panic!("it ends") };
        assert!((890..=1100).contains(&left.as_secs()), "{left:?}");
        for bad in [Ttl::KeepRemaining, Ttl::After(Duration::ZERO)] {
            let refused = carts.get_or_fetch("b", bad, never).await;
            assert!(matches!(refused, Err(FetchError::State(KvError::Ttl))));
        }
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_read_is_fetched_again_and_replaced() {
    let server = RedisServer::start();
    let carts = carts(&on_redis(&server));
    for corrupt in ["{bad", "", "1AAAAAAAAAAAAAAAA 00000000 {}"] {
        let _: () = server.cmd("SET", &["keep:state:carts:{a}", corrupt]);
        let got = carts.get_or_fetch("a", HOUR, async || Ok::<_, io::Error>(cart("new"))).await;
        assert_eq!(got.unwrap(), cart("new"));
        assert_eq!(carts.get("a").await.unwrap(), Some(cart("new")));
    }
    let _: u64 = server.cmd("DEL", "keep:state:carts:{a}");
    let _: u64 = server.cmd("SADD", &["keep:state:carts:{a}", "x"]);
    let got = carts.get_or_fetch("a", HOUR, async || Ok::<_, io::Error>(cart("new"))).await;
    assert_eq!(got.unwrap(), cart("new"), "something else lies there: it is fetched, and not stored");
}

#[tokio::test]
async fn without_redis_the_fetcher_answers_once_for_all_who_ask() {
    let mut server = RedisServer::start();
    let store = Store::builder().connect(&server.url()).unwrap();
    server.stop();
    let carts = carts(&store);
    let (fetches, go_on) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let (carts, fetches, go_on) = (carts.clone(), Arc::clone(&fetches), Arc::clone(&go_on));
        tasks.spawn(async move {
            let fetch = async || {
                fetches.fetch_add(1, Ordering::SeqCst);
                go_on.notified().await;
                Ok::<_, io::Error>(cart("x"))
            };
            carts.get_or_fetch("a", HOUR, fetch).await.unwrap()
        });
    }
    while fetches.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    go_on.notify_one();
    while let Some(got) = tasks.join_next().await {
        assert_eq!(got.unwrap(), cart("x"));
        go_on.notify_one(); // who came after the first had landed fetches again
    }
}

/// Nine callers that wait for somebody else's fetch.
async fn follow(carts: &KeyValue<Cart>) -> JoinSet<Result<Cart, FetchError>> {
    let following = (0..9).map(|_| {
        let carts = carts.clone();
        async move { carts.get_or_fetch("a", HOUR, never).await }
    });
    let following = following.collect();
    // On one thread everybody gets as far as it can before the answer comes.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    following
}

/// The error is everybody's, and nothing is stored.
#[tokio::test]
async fn a_fetcher_that_fails_is_asked_once_for_all_who_wait() {
    on_both(async |store| {
        let carts = carts(&store);
        let (fail, told) = oneshot::channel::<()>();
        let leader = carts.clone();
        let leading = tokio::spawn(async move {
            leader
                .get_or_fetch("a", HOUR, async || {
                    told.await.map(|()| cart("never")).map_err(io::Error::other)
                })
                .await
        });
        let following = follow(&carts).await;
        drop(fail);
        assert!(matches!(leading.await.unwrap(), Err(FetchError::Fetch(_))));
        assert!(following.join_all().await.iter().all(|got| matches!(got, Err(FetchError::Fetch(_)))));
        assert_eq!(carts.get("a").await.unwrap(), None);
        let again = carts.get_or_fetch("a", HOUR, async || Ok::<_, io::Error>(cart("x"))).await;
        assert_eq!(again.unwrap(), cart("x"), "the right to fetch was given back");
    })
    .await;
}

/// What somebody wrote while it was fetched is newer.
#[tokio::test]
async fn a_value_that_was_written_meanwhile_stays() {
    on_both(async |store| {
        let carts = carts(&store);
        let slow = async || {
            carts.set("a", &cart("new"), HOUR).await.map_err(io::Error::other)?;
            Ok::<_, io::Error>(cart("old"))
        };
        assert_eq!(carts.get_or_fetch("a", HOUR, slow).await.unwrap(), cart("old"));
        assert_eq!(carts.get("a").await.unwrap(), Some(cart("new")));
        assert_eq!(carts.get_or_fetch("a", HOUR, never).await.unwrap(), cart("new"));
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_stored_is_fetched_once_for_all_who_wait() {
    on_both(async |store| {
        let small = KeyValue::<Cart>::builder(store, "carts").max_bytes(64).build().unwrap();
        let (go, told) = oneshot::channel::<()>();
        let leader = small.clone();
        let leading = tokio::spawn(async move {
            let fetch = async || told.await.map(|()| cart(&"x".repeat(100))).map_err(io::Error::other);
            leader.get_or_fetch("a", HOUR, fetch).await
        });
        let following = follow(&small).await;
        go.send(()).unwrap();
        assert!(matches!(leading.await.unwrap(), Err(FetchError::State(_))));
        assert!(following.join_all().await.iter().all(|got| matches!(got, Err(FetchError::State(_)))));
    })
    .await;
}

#[tokio::test]
async fn a_fetch_that_is_cancelled_is_taken_over() {
    on_both(async |store| {
        let carts = carts(&store);
        let (entered, begun) = oneshot::channel();
        let leader = carts.clone();
        let leading = tokio::spawn(async move {
            let fetch = async || {
                entered.send(()).unwrap();
                std::future::pending::<Result<Cart, io::Error>>().await
            };
            leader.get_or_fetch("a", HOUR, fetch).await
        });
        begun.await.unwrap();
        let second = carts.clone();
        let waiting = tokio::spawn(async move {
            second.get_or_fetch("a", HOUR, async || Ok::<_, io::Error>(cart("x"))).await
        });
        tokio::task::yield_now().await;
        leading.abort();
        assert_eq!(waiting.await.unwrap().unwrap(), cart("x"));
    })
    .await;
}

#[tokio::test]
async fn nobody_waits_longer_than_told() {
    on_both(async |store| {
        let carts =
            KeyValue::<Cart>::builder(store, "carts").wait(Duration::from_millis(50)).build().unwrap();
        let (entered, begun) = oneshot::channel();
        let leader = carts.clone();
        let leading = tokio::spawn(async move {
            let fetch = async || {
                entered.send(()).unwrap();
                std::future::pending::<Result<Cart, io::Error>>().await
            };
            leader.get_or_fetch("a", HOUR, fetch).await
        });
        begun.await.unwrap();
        let own = carts.get_or_fetch("a", HOUR, async || Ok::<_, io::Error>(cart("own"))).await;
        assert_eq!(own.unwrap(), cart("own"));
        leading.abort();
    })
    .await;
}
