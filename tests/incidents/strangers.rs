//! Ids that a client made up, stole from the store, or uses up.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::StatusCode;
use keep_testing::RedisServer;
use tokio::task::JoinSet;
use tower_keep::session::Sessions;
use tower_keep::store::Store;

use crate::app::{App, Browser, COOKIE, STRANGER};
use crate::stored::patient;

/// A cookie's value that nobody was given.
fn unknown(n: usize) -> String {
    format!("{n:0>21}A.{n:0>42}A")
}

fn with_cookie(app: &App, value: &str) -> Browser {
    let mut browser = Browser::new(app);
    browser.cookies.insert(COOKIE.into(), value.to_owned());
    browser
}

/// SncRedisBundle#364, aiohttp-session#272: an id that the client chose must not become its session, or who planted it is signed in too.
#[tokio::test]
async fn snc_redis_bundle_364_aiohttp_session_272_an_unknown_id_is_never_adopted() {
    let server = RedisServer::start();
    for store in [Store::in_memory(), patient().connect(&server.url()).unwrap()] {
        let app = App::new(&Sessions::new(store));
        for chosen in [unknown(7), "attacker-chosen-id".to_owned(), "../../admin".to_owned(), "A".repeat(66)]
        {
            for path in ["/put/cart/tea", "/login/alice", "/count/n"] {
                let mut victim = with_cookie(&app, &chosen);
                victim.get(path).await;
                assert_ne!(victim.session(), chosen, "{path}: it was given one of the server's own");
                assert_ne!(Some(victim.handle()), chosen.split('.').next(), "{path}: nor half of it");
                assert_ne!(victim.me().await, STRANGER);
                assert_eq!(
                    with_cookie(&app, &chosen).me().await,
                    STRANGER,
                    "{path}: the planted one is nobody's"
                );
            }
        }
        // A session of the attacker's own that a victim signs in with.
        let mut attacker = Browser::new(&app);
        attacker.get("/put/cart/tea").await;
        let mut victim = attacker.clone();
        victim.get("/login/alice").await;
        assert_ne!(victim.session(), attacker.session());
        assert_eq!(attacker.me().await, STRANGER);
    }
}

/// CVE-2019-16782: what the store holds, or looks up by, must not be what the cookie proves: neither a dump nor the time that a
/// look-up takes may give anybody a cookie.
#[tokio::test]
async fn cve_2019_16782_nothing_in_the_store_is_a_cookie() {
    let server = RedisServer::start();
    let app = App::new(&Sessions::new(patient().connect(&server.url()).unwrap()));
    let alice = app.signed_in("alice").await;
    let (handle, secret) = alice.session().split_once('.').unwrap();
    let mut words = BTreeSet::new();
    for key in server.cmd::<Vec<String>>("KEYS", "*") {
        words.extend(key.split(':').map(str::to_owned));
        if server.cmd::<String>("TYPE", &key) == "hash" {
            for part in server.cmd::<Vec<String>>("HGETALL", &key) {
                words.extend(part.split(' ').map(str::to_owned));
            }
        }
    }
    assert!(words.contains(handle) && words.len() > 10, "the store was read: {words:?}");
    assert!(words.iter().all(|word| !word.contains(secret)));
    for word in &words {
        for forged in [word.clone(), format!("{handle}.{word}"), format!("{word}.{word}")] {
            let line = format!("{COOKIE}={forged}");
            assert_eq!(app.me(&[line.as_bytes()]).await.body, STRANGER, "{forged}");
        }
    }
    // What is looked up is the public half, whatever the secret one: a guess of it is one look at the same key.
    server.probed_by(1).await;
    server.reset_calls();
    for n in 0..50 {
        let line = format!("{COOKIE}={handle}.{}", unknown(n).split_once('.').unwrap().1);
        assert_eq!(app.me(&[line.as_bytes()]).await.body, STRANGER);
    }
    assert_eq!(server.calls(), [("hgetall".to_owned(), 50)].into());
}

/// Sends the requests of 100,000 visitors whom nobody knows.
async fn crowd(app: &App, path: &'static str, shows: fn(usize) -> Option<String>) {
    const VISITORS: usize = 100_000;
    const AT_ONCE: usize = 100;
    let mut tasks = JoinSet::new();
    for task in 0..AT_ONCE {
        let app = app.clone();
        tasks.spawn(async move {
            for n in (task..VISITORS).step_by(AT_ONCE) {
                let mut browser =
                    shows(n).map_or_else(|| Browser::new(&app), |value| with_cookie(&app, &value));
                let answer = browser.get(path).await;
                assert_eq!(answer.status, StatusCode::OK);
                assert!(answer.cookie(COOKIE).is_none(), "nobody needs a session here");
            }
        });
    }
    tasks.join_all().await;
}

/// CVE-2015-5143: asking for pages with ids that nobody was given must not fill the store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2015_5143_a_hundred_thousand_unknown_ids_leave_no_key() {
    let server = Arc::new(RedisServer::start());
    let app = App::new(&Sessions::new(patient().connect(&server.url()).unwrap()));
    crowd(&app, "/me", |n| (n % 2 == 0).then(|| unknown(n))).await;
    assert_eq!(server.cmd::<u64>("DBSIZE", &[""; 0]), 0);
}

/// CVE-2015-5963 and CVE-2015-5964: neither may signing out without a session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2015_5963_cve_2015_5964_a_hundred_thousand_sign_outs_leave_no_key() {
    let server = Arc::new(RedisServer::start());
    let app = App::new(&Sessions::new(patient().connect(&server.url()).unwrap()));
    crowd(&app, "/logout", |n| (n % 2 == 0).then(|| unknown(n))).await;
    assert_eq!(server.cmd::<u64>("DBSIZE", &[""; 0]), 0);
}
