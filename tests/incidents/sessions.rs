//! Sessions that ended, that cannot be read, or that are shown to somebody else.

use std::time::Duration;

use http::StatusCode;
use keep_testing::{Fault, Proxy, RedisServer};
use tower::{Layer, ServiceExt};
use tower_keep::cache::{CacheLayer, HttpCache};
use tower_keep::session::{
    CookieLifetime, Lifetimes, Session, SessionHandle, SessionLayer, SessionSet, Sessions,
};
use tower_keep::store::Store;

use crate::app::{App, Browser, COOKIE, STRANGER, greeting};
use crate::fixture::{DAY, Origin, Reply, World, get, page};
use crate::stored::patient;

/// Runs a test on the embedded store, and on a Redis of its own.
async fn on_both(test: impl AsyncFn(App, Sessions)) {
    let server = RedisServer::start();
    for store in [Store::in_memory(), patient().connect(&server.url()).unwrap()] {
        let sessions = Sessions::new(store);
        test(App::new(&sessions), sessions).await;
    }
}

async fn stays_ended(app: &App, shown: &[Browser], sessions: &Sessions) {
    for browser in shown {
        assert_eq!(browser.clone().me().await, STRANGER, "it came back");
    }
    assert_eq!(sessions.list("alice").await.unwrap(), []);
    drop(app.signed_in("bob").await);
}

/// CVE-2025-32441: a request that loaded the session before the sign-out, and saves after it, must not bring it back.
#[tokio::test]
async fn cve_2025_32441_a_late_save_does_not_undo_a_sign_out() {
    on_both(async |app, sessions| {
        for path in ["/put/a/1", "/count/n", "/login/alice", "/me"] {
            let alice = app.signed_in("alice").await;
            let (late, pause) = alice.paused(path).await;
            assert_eq!(alice.clone().get("/logout").await.status, StatusCode::OK);
            pause.wait().await;
            let mut with_its_cookies = alice.clone();
            late.await.unwrap().fill(&mut with_its_cookies.cookies);
            stays_ended(&app, &[alice, with_its_cookies], &sessions).await;
        }
    })
    .await;
}

/// CVE-2025-46336: the same when somebody else ended the session, such as an administrator or its owner on another device.
#[tokio::test]
async fn cve_2025_46336_a_late_save_does_not_undo_a_revocation() {
    on_both(async |app, sessions| {
        for end in 0..3 {
            let alice = app.signed_in("alice").await;
            let handle = SessionHandle::parse(alice.handle()).unwrap();
            let (late, pause) = alice.paused("/put/a/1").await;
            match end {
                0 => assert!(sessions.revoke(&handle).await.unwrap()),
                1 => assert!(sessions.revoke_of("alice", &handle).await.unwrap()),
                _ => assert_eq!(sessions.revoke_all("alice").await.unwrap(), 1),
            }
            pause.wait().await;
            let mut with_its_cookies = alice.clone();
            late.await.unwrap().fill(&mut with_its_cookies.cookies);
            stays_ended(&app, &[alice, with_its_cookies], &sessions).await;
        }
    })
    .await;
}

/// connect-redis#328: moving the idle timer of a session that is gone must not write it again.
#[tokio::test]
async fn connect_redis_328_a_late_touch_writes_nothing() {
    let server = RedisServer::start();
    let sessions = Sessions::new(patient().connect(&server.url()).unwrap());
    let app = App::new(&sessions);
    let alice = app.signed_in("alice").await;
    let key = format!("keep:session:{}", alice.handle());
    // Last seen an hour ago: the next read owes a touch.
    let line: String = server.cmd("HGET", &[&key, "@"]);
    let mut words: Vec<_> = line.split(' ').map(str::to_owned).collect();
    words[4] = (words[4].parse::<u64>().unwrap() - 3_600_000).to_string();
    let _: u64 = server.cmd("HSET", &[&key, "@", &words.join(" ")]);
    let (late, pause) = alice.paused("/me").await;
    assert_eq!(server.cmd::<u64>("DEL", &key), 1);
    server.reset_calls();
    pause.wait().await;
    assert_eq!(late.await.unwrap().status, StatusCode::OK);
    assert!(server.calls().contains_key("evalsha"), "it did owe a touch: {:?}", server.calls());
    assert_eq!(server.cmd::<u64>("EXISTS", &key), 0);
    stays_ended(&app, &[alice], &sessions).await;
}

/// nextjs-auth0#2335 and #2590: looking whether the session lives and then writing leaves a gap. A sign-out in that gap must hold.
#[tokio::test]
async fn nextjs_auth0_2590_a_sign_out_between_look_and_write_holds() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let slow = Sessions::new(patient().connect(&proxy.url()).unwrap());
    let other = Sessions::new(patient().connect(&server.url()).unwrap());
    let (app, elsewhere) = (App::new(&slow), App::new(&other));
    for path in ["/put/a/1", "/count/n", "/login/alice"] {
        let mut alice = elsewhere.signed_in("alice").await;
        let there = alice.at(&app);
        let (late, pause) = there.paused(path).await;
        // The write is on its way, and all that was to be looked at has been looked at.
        proxy.set(Fault::BlackHole);
        pause.wait().await;
        tokio::task::yield_now().await;
        assert_eq!(alice.get("/logout").await.status, StatusCode::OK);
        proxy.set(Fault::None);
        let mut with_its_cookies = there.clone();
        late.await.unwrap().fill(&mut with_its_cookies.cookies);
        stays_ended(&app, &[there, with_its_cookies], &slow).await;
    }
}

/// django PR#5950: whoever finds its session gone while saving must not create it anew, nor get an error for it.
#[tokio::test]
async fn django_5950_a_save_that_finds_its_session_gone_creates_none() {
    let server = RedisServer::start();
    let sessions = Sessions::new(patient().connect(&server.url()).unwrap());
    let app = App::new(&sessions);
    for path in ["/put/a/1", "/count/n", "/me", "/logout"] {
        let alice = app.signed_in("alice").await;
        let (late, pause) = alice.paused(path).await;
        server.tell("FLUSHALL");
        pause.wait().await;
        assert_eq!(late.await.unwrap().status, StatusCode::OK, "{path}");
        assert_eq!(server.cmd::<Vec<String>>("KEYS", "keep:session:*"), Vec::<String>::new(), "{path}");
    }
}

/// spring-session#1939 and #529: a session that cannot be read must not be an error at each request until it ends.
#[tokio::test]
async fn spring_session_1939_an_unreadable_session_is_not_an_error_for_ever() {
    let server = RedisServer::start();
    let sessions = Sessions::new(patient().connect(&server.url()).unwrap());
    let app = App::new(&sessions);
    for garbage in
        [&b""[..], b"\xac\xed\x00\x05sr", b"{\"class\":\"User\"}", b"9 a newer format", &[0xff; 999]]
    {
        let mut alice = app.signed_in("alice").await;
        let key = format!("keep:session:{}", alice.handle());
        let _: u64 = server.cmd("HSET", &[key.as_bytes(), b"@", garbage]);
        for _ in 0..3 {
            assert_eq!(alice.me().await, STRANGER);
        }
        assert_eq!(alice.get("/login/alice").await.status, StatusCode::OK, "signing in again mends it");
        assert_eq!(alice.me().await, greeting("alice"));
    }
    // An entry of which the new release makes something else.
    let mut alice = app.signed_in("alice").await;
    alice.get("/put/cart/tea").await;
    let handle = SessionHandle::parse(alice.handle()).unwrap();
    let session = sessions.open(&handle).await.unwrap().unwrap();
    assert!(session.get::<u64>("cart").is_err(), "this entry alone");
    assert_eq!(alice.me().await, r#"Some("alice") {"cart": String("tea")}"#);
}

/// Whether no shared cache may store it: the handler itself said `max-age` alone.
fn is_private(reply: &Reply) -> bool {
    reply.headers.get_all("cache-control").iter().any(|line| line == "private" || line == "no-store")
}

type Access = fn(&Session);

/// Every way to look at a session.
const ACCESSES: [(&str, Access); 15] = [
    ("/get", |s| drop(s.get::<String>("a"))),
    ("/insert", |s| drop(s.insert("a", "1"))),
    ("/remove", |s| drop(s.remove("a"))),
    ("/clear", |s| drop(s.clear())),
    ("/entries", |s| drop(s.entries())),
    ("/flash", |s| drop(s.flash("f", "1"))),
    ("/take-flash", |s| drop(s.take_flash::<String>("f"))),
    ("/handle", |s| drop(s.handle())),
    ("/stored", |s| assert!(s.is_stored() || s.principal().is_none())),
    ("/created", |s| assert_eq!(s.created_at().is_some(), s.is_stored())),
    ("/principal", |s| drop(s.principal())),
    ("/fresh", |s| drop(s.fresh_within(Duration::from_secs(1)))),
    ("/csrf", |s| drop(s.csrf_token())),
    ("/typed", |s| drop(s.typed::<serde_json::Value>())),
    ("/nothing", |_| ()),
];

/// CVE-2023-30861 and CVE-2026-27205: whichever way a handler looked at the session, its response must say that it depends on the
/// cookie; one that carries a cookie must not be stored by anybody.
#[tokio::test]
async fn cve_2023_30861_cve_2026_27205_whoever_looks_at_the_session_varies_by_cookie() {
    for world in [World::embedded(), World::redis()] {
        // A persistent cookie that is renewed at each request.
        let lifetimes = Lifetimes::new().renewal(Duration::from_millis(1));
        let sessions = Sessions::builder(world.store.clone()).lifetimes(lifetimes);
        let sessions = sessions.cookie_lifetime(CookieLifetime::Persistent).build().unwrap();
        let origin = Origin::new(|request, n| async move {
            let set = request.extensions().get::<SessionSet>().unwrap().clone();
            let session = set.innermost().load().await.unwrap();
            match ACCESSES.iter().find(|(path, _)| *path == request.uri().path()) {
                Some((_, access)) => access(&session),
                None => drop(session.login("alice").unwrap()),
            }
            page(n.to_string(), DAY)
        });
        let cache = CacheLayer::new(HttpCache::new(world.store.clone()).unwrap());
        let service = SessionLayer::new(sessions).layer(cache.layer(origin));
        let ask = async |path: &str, cookie: &str| {
            let asked = get(path, &[("cookie", cookie)]);
            Reply::read(service.clone().oneshot(asked).await.unwrap()).await.unwrap()
        };
        let login = ask("/login", "").await;
        let cookie = login.field("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        assert!(cookie.starts_with(COOKIE) && is_private(&login), "{:?}", login.headers);
        for (path, _) in ACCESSES {
            if world.redis.is_none() {
                world.clock.advance(Duration::from_millis(5));
            }
            let own = ask(path, &cookie).await;
            let varies = own.headers.get_all("vary").iter().any(|value| value == "cookie");
            assert!(varies, "{path}: {:?}", own.headers);
            assert!(is_private(&own) || !own.headers.contains_key("set-cookie"), "{path}: {:?}", own.headers);
            let other = ask(path, "").await;
            assert!(!other.is_hit() && other.text() != own.text(), "{path}: somebody else's");
        }
    }
}
