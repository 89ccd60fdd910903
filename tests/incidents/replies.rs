//! Replies that nobody waits for any more, and replies that are somebody else's.

use std::time::Duration;

use bb8::Pool;
use http::StatusCode;
use keep_testing::{Fault, Proxy, RedisServer};
use redis::{cmd, pipe};
use tower_keep::cache::{CacheTags, HttpCache, Purging};
use tower_keep::kv::{KeyValue, Ttl};
use tower_keep::lock::{Locks, Still};
use tower_keep::rate_limit::{Limit, Quota, RateLimiter};
use tower_keep::session::{Login, Sessions};
use tower_keep::store::Store;
use tower_keep::store::op::LoadSession;

use crate::app::{App, greeting};
use crate::fixture::{DAY, Site, answer, get, page};
use crate::stored::*;

fn cache(store: &Store) -> HttpCache {
    HttpCache::builder(store.clone()).deadline(LONG).build().unwrap()
}

/// A server whose replies take a while, and one connection to it.
struct Scene {
    server: RedisServer,
    store: Store,
    _proxy: Proxy,
}

impl Scene {
    async fn new(own_pool: bool) -> Self {
        let server = RedisServer::start();
        let proxy = Proxy::start(server.port()).await;
        let store = if own_pool {
            patient().pool_size(1).connect(&proxy.url())
        } else {
            let client = redis::Client::open(proxy.url()).unwrap();
            patient().from_pool(Pool::builder().max_size(1).build(client).await.unwrap())
        };
        let store = store.unwrap();
        for name in ["a", "b"] {
            make(&store, name, name).await;
        }
        probed(&server).await;
        proxy.set(Fault::Delay(20));
        Self { server, store, _proxy: proxy }
    }

    /// Gives work up when the server has done it and the reply is on its way. The next three get what is theirs.
    async fn given_up(&self, what: &str, work: impl Future<Output = ()> + Send + 'static) {
        self.server.reset_calls();
        let task = tokio::spawn(work);
        eventually(what, async || !self.server.calls().is_empty()).await;
        task.abort();
        for name in ["b", "a", "b"] {
            assert_eq!(read(&self.store, name).await.unwrap().as_deref(), Some(name), "after {what}");
        }
        assert_eq!(self.store.health().await.desyncs, 0, "{what}");
    }
}

/// CVE-2023-28858: a command that is cancelled after it was sent must not leave its reply to the next one.
#[tokio::test]
async fn cve_2023_28858_a_command_that_is_given_up_leaves_its_reply_to_nobody() {
    for own_pool in [true, false] {
        let scene = Scene::new(own_pool).await;
        for _ in 0..10 {
            let store = scene.store.clone();
            scene.given_up("a read", async move { drop(store.run(LoadSession(session("a"))).await) }).await;
        }
    }
}

/// CVE-2023-28859: neither may pipelines, transactions, scripts and whatever else has several replies or long ones.
#[tokio::test]
async fn cve_2023_28859_no_other_shape_of_operation_leaves_its_replies_to_anybody() {
    for own_pool in [true, false] {
        let scene = Scene::new(own_pool).await;
        let (store, state) = (&scene.store, KeyValue::<String>::new(scene.store.clone(), "kv").unwrap());
        let locks = Locks::builder(store.clone()).build().unwrap();
        for _ in 0..3 {
            let one = store.clone();
            let batch =
                async move { drop(one.batch((LoadSession(session("a")), change("a", count()))).await) };
            scene.given_up("a batch", batch).await;
            let one = store.clone();
            scene.given_up("a script", async move { drop(one.run(change("a", count())).await) }).await;
            scene.server.tell("SCRIPT FLUSH");
            let one = store.clone();
            scene.given_up("a lost script", async move { drop(one.run(change("a", count())).await) }).await;
            let mut raw = store.raw().unwrap();
            let pipeline =
                async move { drop(pipe().get("x").incr("n", 1).query_async::<()>(&mut raw).await) };
            scene.given_up("a pipeline", pipeline).await;
            let mut raw = store.raw().unwrap();
            let transaction = async move {
                drop(pipe().atomic().incr("n", 1).get("n").query_async::<()>(&mut raw).await);
            };
            scene.given_up("a transaction", transaction).await;
            let mut raw = store.raw().unwrap();
            let single = async move { drop(cmd("ECHO").arg("x").query_async::<()>(&mut raw).await) };
            scene.given_up("a raw command", single).await;
            let update = state.group("g").unwrap();
            let update = async move {
                drop(update.set("k", &"v".to_owned(), Ttl::After(LONG)).await);
                drop(update.get("k").await);
            };
            scene.given_up("typed state", update).await;
            let locks = locks.clone();
            scene.given_up("a lock", async move { drop(locks.acquire("name").await) }).await;
        }
    }
}

/// redis-rs#325 and #489, deadpool#97 and #102, mobc#28: a client that hangs up, so that its handler is dropped, must not leave
/// its session to the next visitor.
#[tokio::test]
async fn redis_rs_489_a_visitor_who_hangs_up_leaves_the_next_one_its_own_session() {
    for own_pool in [true, false] {
        let scene = Scene::new(own_pool).await;
        let app = App::new(&Sessions::new(scene.store.clone()));
        let (alice, mut bob) = (app.signed_in("alice").await, app.signed_in("bob").await);
        for path in ["/me", "/put/a/1", "/count/n", "/logout", "/me"] {
            let (app, request) = (app.clone(), alice.request(path));
            scene.given_up(path, async move { drop(app.send(request).await) }).await;
            assert_eq!(bob.me().await, greeting("bob"), "after {path}");
        }
    }
}

/// lettuce#2012 and #2590, redisson#4747, jedis#397: when replies are shifted, whyever, nobody must get what belongs to another key.
#[tokio::test]
async fn lettuce_2012_a_shifted_reply_gives_nobody_anothers_value() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let store = hasty().pool_size(1).deadline(Duration::from_millis(500)).connect(&proxy.url()).unwrap();
    probed(&server).await;
    let app = App::new(&Sessions::new(store.clone()));
    let state = KeyValue::<String>::new(store.clone(), "kv").unwrap();
    let site = Site::new(cache(&store), |request, _| async move {
        page(request.uri().path().to_owned(), &[("cache-control", "max-age=3600")])
    });
    let browsers = [app.signed_in("alice").await, app.signed_in("bob").await];
    for key in ["/alice", "/bob"] {
        state.set(key, &key.to_owned(), Ttl::After(LONG)).await.unwrap();
        site.get(key).await;
    }
    let faults = [Fault::ExtraReply, Fault::DoubleReply, Fault::LoseReply, Fault::Garbage];
    for fault in faults.into_iter().cycle().take(40) {
        proxy.set(fault);
        for (browser, key) in browsers.iter().zip(["/alice", "/bob"]) {
            let answer = browser.clone().get("/me").await;
            assert!(answer.status == StatusCode::SERVICE_UNAVAILABLE || answer.body == greeting(&key[1..]));
            if let Ok(value) = state.get(key).await {
                assert_eq!(value.as_deref(), Some(key), "{fault:?}");
            }
            assert_eq!(site.get(key).await.text(), key, "{fault:?}");
        }
        proxy.set(Fault::None);
        eventually("it serves", async || serves(&store).await).await;
    }
    assert!(store.health().await.desyncs > 0, "none was found out");
}

/// CVE-2025-67733: text with line ends, wherever it reaches a script or a reply, must not become another reply.
#[tokio::test]
async fn cve_2025_67733_line_ends_in_an_argument_forge_no_reply() {
    const FORGED: &str = "x\r\n+OK\r\n$6\r\nforged\r\n-ERR forged\r\n:1\r\n";
    let server = RedisServer::start();
    let store = patient().pool_size(1).connect(&server.url()).unwrap();
    make(&store, "next", "next").await;
    let next = async || assert_eq!(read(&store, "next").await.unwrap().as_deref(), Some("next"));

    let sessions = Sessions::new(store.clone());
    let session = sessions.start();
    assert!(session.login(FORGED).is_err(), "no name of a user has control characters");
    let handle = session.login_with(Login::new("alice").label(FORGED)).unwrap();
    session.insert(FORGED, FORGED).unwrap();
    session.increment(&FORGED[1..], 1).await.unwrap();
    session.save().await.unwrap();
    next().await;
    let session = sessions.open(&handle).await.unwrap().unwrap();
    assert_eq!(session.get::<String>(FORGED).unwrap().as_deref(), Some(FORGED));
    assert_eq!(session.increment(&FORGED[1..], 1).await.unwrap(), 2);
    assert_eq!(sessions.list("alice").await.unwrap().len(), 1);
    assert_eq!(sessions.revoke_all("alice").await.unwrap(), 1);
    next().await;

    let state = KeyValue::<String>::new(store.clone(), "kv").unwrap().group(FORGED).unwrap();
    state.set(FORGED, &FORGED.to_owned(), Ttl::After(LONG)).await.unwrap();
    assert_eq!(state.get(FORGED).await.unwrap().as_deref(), Some(FORGED));
    assert_eq!(state.scan("x\r\n").unwrap().next().await.unwrap(), Some(vec![FORGED.to_owned()]));
    next().await;

    let limit = Limit::new("only", Quota::window(1, LONG));
    let limiter = RateLimiter::builder(store.clone()).deadline(LONG).limit(limit).build().unwrap();
    assert!(limiter.check(FORGED).await.unwrap().is_admitted());
    assert!(!limiter.check(FORGED).await.unwrap().is_admitted());
    next().await;

    let locks = Locks::builder(store.clone()).build().unwrap();
    let held = locks.try_acquire(FORGED).await.unwrap().expect("it is free");
    assert!(locks.try_acquire(FORGED).await.unwrap().is_none());
    assert_eq!(held.release().await.unwrap(), Still::Held);
    next().await;

    let cache = cache(&store);
    let site = Site::new(cache.clone(), |_, n| async move {
        let mut response = answer(200, n.to_string(), DAY);
        response.extensions_mut().insert(CacheTags::new([FORGED]));
        Ok(response)
    });
    site.stored(|| get("/", &[])).await;
    cache.purge(Purging::tags([FORGED])).await.unwrap();
    assert!(!site.get("/").await.is_hit(), "the tag was taken as it is");
    next().await;

    let mut raw = store.raw().unwrap();
    let script = redis::Script::new("return {ARGV[1], redis.error_reply('WRONG ' .. ARGV[1])}");
    let reply = script.arg(FORGED).invoke_async::<Vec<String>>(&mut raw).await;
    assert!(reply.is_err(), "even an app's own script, whose error holds them: {reply:?}");
    next().await;
    assert_eq!(store.health().await.desyncs, 0);
}
