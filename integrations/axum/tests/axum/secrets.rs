//! What must not be told: the cookie, its secret half and that half's hash.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use keep_testing::{Log, RedisServer};
use tower_keep_axum::session::{NoSession, Session, SessionEvent, SessionHandle};
use tower_keep_axum::{SessionProblem, SessionRejection};

use crate::harness::{Backend, Browser, COOKIE, for_each_store, me_with};
use crate::site::{site, stranger};

fn secret_of(cookie: &str) -> &str {
    cookie.split_once('.').unwrap().1
}

/// All keys, fields, members and values, as whoever steals a dump reads them.
fn dump(server: &RedisServer) -> Vec<Vec<u8>> {
    let keys: Vec<String> = server.cmd("KEYS", "*");
    let mut found: Vec<Vec<u8>> = keys.iter().map(|key| key.clone().into_bytes()).collect();
    for key in &keys {
        match server.cmd::<String>("TYPE", key).as_str() {
            "hash" => found.extend(server.cmd::<Vec<Vec<u8>>>("HGETALL", key)),
            "zset" => {
                found.extend(server.cmd::<Vec<Vec<u8>>>("ZRANGE", &[key.as_str(), "0", "-1", "WITHSCORES"]))
            }
            other => panic!("a key of type {other}: {key}"),
        }
    }
    found
}

/// Everything in a dump that might be a word of a cookie.
fn words(dump: &[Vec<u8>]) -> BTreeSet<String> {
    let texts: Vec<_> = dump.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect();
    let split = |text: &String| {
        let parts = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'));
        parts.map(str::to_owned).collect::<Vec<_>>()
    };
    texts.iter().flat_map(split).filter(|word| !word.is_empty()).chain(texts.iter().cloned()).collect()
}

#[tokio::test]
async fn a_dump_of_redis_logs_nobody_in() {
    let backend = Backend::redis();
    let app = site(&backend.sessions());
    let mut browsers = Vec::new();
    for user in ["alice", "bob", "carol"] {
        let mut browser = Browser::new(&app);
        browser.put("/entries/cart", "tea").await;
        browser.post(&format!("/login/{user}")).await;
        browser.post("/rotate").await;
        browsers.push(browser);
    }
    let dump = dump(backend.redis.as_ref().unwrap());
    let words = words(&dump);
    assert!(words.len() > 20, "the dump was read: {words:?}");
    for browser in &browsers {
        let cookie = browser.session();
        for text in dump.iter().map(|bytes| String::from_utf8_lossy(bytes)) {
            assert!(!text.contains(secret_of(cookie)) && !text.contains(cookie));
        }
        for word in &words {
            for forged in [word.clone(), format!("{}.{word}", browser.handle())] {
                assert_eq!(me_with(&app, &forged.replace(['\n', '\0'], "")).await, stranger(), "{forged}");
            }
        }
        assert_ne!(me_with(&app, cookie).await, stranger(), "the cookie itself still works");
    }
}

/// The hash of each session's secret as the store holds it, where it can be read.
fn hashes(backend: &Backend, handle: &SessionHandle) -> Vec<String> {
    let Some(server) = &backend.redis else { return Vec::new() };
    let line: Option<String> = server.cmd("HGET", &[crate::harness::key(handle).as_str(), "@"]);
    let Some(line) = line else { return Vec::new() };
    line.split(' ').filter(|word| word.len() == 43).map(str::to_owned).collect()
}

#[tokio::test]
async fn logs_at_trace_level_hold_no_secret() {
    for_each_store(async |backend| {
        let log = Log::start();
        let sessions =
            backend.builder().on_event(|event: &SessionEvent| tracing::info!(?event)).build().unwrap();
        let app = site(&sessions);
        let (mut secrets, mut browser) = (Vec::new(), Browser::new(&app));
        for path in ["/entries/a", "/login/alice", "/rotate", "/logout-others", "/login/bob", "/entries/b"] {
            let answer = if path.contains("entries") {
                browser.put(path, "canary-value").await
            } else {
                browser.post(path).await
            };
            tracing::trace!(?answer.headers, "as a trace layer shows a response");
            if path != "/entries/b" {
                secrets.push(browser.session().to_owned());
                secrets.extend(hashes(backend, &browser.handle()));
            }
        }
        // Refused, forged and late ones as well.
        for old in secrets.clone() {
            me_with(&app, &old).await;
        }
        backend.delete(&sessions, &browser.handle()).await;
        browser.put("/entries/c", "canary-value").await;
        browser.post("/logout").await;
        let text = log.text();
        assert!(text.contains("TRACE") && text.contains("logged_in") || text.contains("LoggedIn"), "{text}");
        for secret in &secrets {
            let half = secret.split_once('.').map_or(secret.as_str(), |(_, half)| half);
            assert!(!text.contains(half), "{half} in {text}");
        }
        assert!(!text.contains("canary-value"));
    })
    .await;
}

#[tokio::test]
async fn debug_output_holds_no_secret_and_no_value() {
    for_each_store(async |backend| {
        let sessions = backend.sessions();
        let app = site(&sessions);
        let mut browser = Browser::new(&app);
        browser.put("/entries/a", "canary-value").await;
        browser.post("/login/canary-name").await;
        let cookie = browser.session().to_owned();
        let request = Request::get("/").header("cookie", format!("{COOKIE}={cookie}")).body(Body::empty());
        let lazy = sessions.begin(&request.unwrap());
        let before = format!("{lazy:?}");
        let session: Session = lazy.load().await.unwrap();
        session.insert("b", "canary-value").unwrap();
        session.rotate().unwrap();
        let error = session.get::<u8>("a").unwrap_err();
        let mut shown = vec![before, format!("{lazy:?} {session:?} {sessions:?} {:#?}", backend.store)];
        shown.push(format!("{error:?} {error} {:?}", SessionProblem(error.clone())));
        shown.push(format!("{:?}", SessionRejection(NoSession::Unavailable(error))));
        shown.push(format!("{:?}", session.typed::<serde_json::Value>()));
        let finish = lazy.finish().await;
        shown.push(format!("{finish:?}"));
        let sent = finish.set_cookie.unwrap();
        let new = sent.strip_prefix("__Host-session=").unwrap().split(';').next().unwrap();
        shown.push(format!("{lazy:?} {session:?}"));
        let mut secrets = vec![secret_of(&cookie).to_owned(), secret_of(new).to_owned(), "canary".to_owned()];
        secrets.extend(hashes(backend, &browser.handle()));
        for (text, secret) in shown.iter().flat_map(|text| secrets.iter().map(move |secret| (text, secret))) {
            assert!(!text.contains(secret.as_str()), "{secret} in {text}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_cookie_is_marked_sensitive_so_that_trace_layers_hide_it() {
    let app = site(&Backend::embedded().sessions());
    let mut browser = Browser::new(&app);
    let answer = browser.post("/login/alice").await;
    assert!(answer.headers["set-cookie"].is_sensitive());
    assert!(!format!("{:?}", answer.headers).contains(secret_of(browser.session())));
}
