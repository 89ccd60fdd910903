//! What others wrote under a session's key: never a 5xx, nobody signed in, and the hook hears of it.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use serde_json::{Value, json};
use tower_keep_axum::session::{CorruptEntry, SessionEvent, Sessions};
use tower_keep_axum::{Session, SessionProblem};

use crate::harness::{Backend, Browser, key, me_with, send, with_layer};
use crate::site::{pause, site, stranger};

type Heard = Arc<Mutex<Vec<&'static str>>>;

struct Scene {
    backend: Backend,
    sessions: Sessions,
    app: Router,
    heard: Heard,
    browser: Browser,
    key: String,
}

impl Scene {
    /// Alice has signed in and has an entry.
    async fn new() -> Self {
        let (backend, heard) = (Backend::redis(), Heard::default());
        let events = Arc::clone(&heard);
        let hook = move |event: &SessionEvent| events.lock().unwrap().push(event.as_str());
        let sessions = backend.builder().on_event(hook).build().unwrap();
        let app = site(&sessions);
        let mut browser = Browser::new(&app);
        browser.put("/entries/a", "1").await;
        browser.post("/login/alice").await;
        let key = key(&browser.handle());
        heard.lock().unwrap().clear();
        Self { backend, sessions, app, heard, browser, key }
    }

    fn cmd<T: redis::FromRedisValue>(&self, name: &str, args: impl redis::ToRedisArgs) -> T {
        self.backend.redis.as_ref().unwrap().cmd(name, args)
    }

    fn line(&self) -> Vec<u8> {
        self.cmd("HGET", &[self.key.as_str(), "@"])
    }

    fn put(&self, field: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let _: u64 = self.cmd("HSET", &[self.key.as_bytes(), field.as_ref(), value.as_ref()]);
    }

    fn heard(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }

    async fn me(&self) -> Value {
        me_with(&self.app, self.browser.session()).await
    }
}

const FOREIGN: [(&str, &[&str]); 6] = [
    ("SET", &["text"]),
    ("RPUSH", &["item"]),
    ("SADD", &["member"]),
    ("ZADD", &["1", "member"]),
    ("XADD", &["*", "field", "value"]),
    ("HSET", &["field", "value"]),
];

#[tokio::test]
async fn values_of_other_types_are_strangers() {
    for (command, args) in FOREIGN {
        let mut scene = Scene::new().await;
        let _: u64 = scene.cmd("DEL", &scene.key);
        let _: redis::Value = scene.cmd(command, [&[scene.key.as_str()], args].concat());
        let before: Vec<u8> = scene.cmd("DUMP", &scene.key);
        assert_eq!(scene.me().await, stranger(), "{command}");
        assert_eq!(scene.heard(), ["corrupt"], "{command}");

        let answer = scene.browser.put("/entries/b", "2").await;
        assert_eq!(answer.status, StatusCode::OK, "{command}");
        assert_ne!(key(&scene.browser.handle()), scene.key, "{command}: a new session elsewhere");
        assert_eq!(scene.browser.get("/me").await.json()["entries"], json!({ "b": "2" }));
        let after: Vec<u8> = scene.cmd("DUMP", &scene.key);
        assert_eq!(after, before, "{command}: what is not ours is not touched");
    }
}

#[tokio::test]
async fn administration_survives_values_of_other_types() {
    for (command, args) in FOREIGN {
        let scene = Scene::new().await;
        let mut other = Browser::new(&scene.app);
        other.post("/login/alice").await;
        let _: u64 = scene.cmd("DEL", &scene.key);
        let _: redis::Value = scene.cmd(command, [&[scene.key.as_str()], args].concat());
        let handle = scene.browser.handle();
        assert!(scene.sessions.open(&handle).await.unwrap().is_none(), "{command}");
        let devices = other.get("/devices").await;
        assert_eq!(devices.status, StatusCode::OK, "{command}");
        assert_eq!(devices.json().as_array().unwrap().len(), 1, "{command}: only the one that lives");
        let revoked = other.delete(&format!("/devices/{handle}")).await;
        assert!(revoked.status == 204 || revoked.status == 404, "{command}: {}", revoked.status);
        assert_eq!(other.post("/logout-others").await.status, StatusCode::OK, "{command}");
        assert_eq!(other.get("/me").await.json()["user"], "alice");
    }
}

#[tokio::test]
async fn a_garbage_record_is_a_stranger() {
    let scene = Scene::new().await;
    let line = String::from_utf8(scene.line()).unwrap();
    let words: Vec<_> = line.splitn(14, ' ').collect();
    let with = |i: usize, word: &str| {
        let mut words = words.clone();
        words[i] = word;
        words.join(" ").into_bytes()
    };
    for garbage in [
        b"".to_vec(),
        b"1".to_vec(),
        b"\xff\xfe\x00".to_vec(),
        b"{\"json\":true}".to_vec(),
        vec![b' '; 300],
        vec![b'1'; 100_000],
        with(0, "2"),
        with(0, "01"),
        with(1, ""),
        with(2, "-1"),
        with(3, "1e3"),
        with(4, "99999999999999999999999"),
        with(5, ""),
        with(9, "x"),
        with(10, ""),
        with(11, ""),
        with(12, "4"),
        with(12, "6"),
        with(13, "alice "),
        with(13, ""),
        line.replace(' ', "\t").into_bytes(),
        line.replace(' ', "  ").into_bytes(),
        line.to_uppercase().into_bytes(),
    ] {
        scene.put("@", &garbage);
        assert_eq!(scene.me().await, stranger(), "{}", String::from_utf8_lossy(&garbage));
        assert_eq!(scene.heard().last(), Some(&"corrupt"), "{}", String::from_utf8_lossy(&garbage));
    }
    scene.put("@", &line);
    assert_eq!(scene.me().await["user"], "alice");
}

#[tokio::test]
async fn a_truncated_record_signs_nobody_in() {
    let scene = Scene::new().await;
    let line = scene.line();
    for end in 0..line.len() {
        scene.put("@", &line[..end]);
        assert_eq!(scene.me().await["user"], Value::Null, "cut at {end} of {}", line.len());
        let events = scene.heard();
        assert!(!events.is_empty(), "cut at {end}: nobody was told");
    }
    scene.put("@", &line);
    assert_eq!(scene.me().await["user"], "alice");
}

#[tokio::test]
async fn a_flipped_bit_is_never_an_error_and_signs_nobody_else_in() {
    let scene = Scene::new().await;
    let line = scene.line();
    for bit in 0..line.len() * 8 {
        let mut flipped = line.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        scene.put("@", &flipped);
        let what = format!("bit {bit}: {}", String::from_utf8_lossy(&flipped));
        let (me, in_name) = (scene.me().await, bit / 8 >= line.len() - "alice".len());
        assert!(me["user"].is_null() || me["user"] == "alice" || in_name, "{what}: {me}");
        let written = send(&scene.app, write(scene.browser.session())).await;
        assert_eq!(written.status, StatusCode::OK, "{what}");
        assert!(scene.heard().iter().all(|event| *event != "logged_in"), "{what}");
    }
    scene.put("@", &line);
    assert_eq!(scene.me().await["user"], "alice");
}

fn write(cookie: &str) -> Request<Body> {
    let request = Request::put("/entries/w").header("cookie", format!("__Host-session={cookie}"));
    request.body(Body::from("1")).unwrap()
}

/// Numbers as large as they can be written, under the right handle and secret.
#[tokio::test]
async fn absurd_numbers_are_no_error() {
    let scene = Scene::new().await;
    let line = String::from_utf8(scene.line()).unwrap();
    for absurd in ["0", "18446744073709551615", "9007199254740993", "00000000000000000001"] {
        for i in 2..=9 {
            let mut words: Vec<_> = line.splitn(14, ' ').collect();
            words[i] = absurd;
            scene.put("@", words.join(" "));
            scene.me().await;
            let written = send(&scene.app, write(scene.browser.session())).await;
            assert_eq!(written.status, StatusCode::OK, "word {i} is {absurd}");
            scene.put("a", "\"1\"");
        }
    }
}

/// A record under another session's key, as a backup that was restored wrongly leaves it.
#[tokio::test]
async fn the_record_of_another_session_is_a_stranger() {
    let mut scene = Scene::new().await;
    let mut bob = Browser::new(&scene.app);
    bob.post("/login/bob").await;
    let _: bool = scene.cmd("COPY", &[key(&bob.handle()).as_str(), scene.key.as_str(), "REPLACE"]);
    scene.heard();
    assert_eq!(scene.me().await, stranger());
    assert_eq!(scene.heard(), ["corrupt"]);
    assert_eq!(scene.browser.put("/entries/b", "2").await.status, StatusCode::OK);
    assert_eq!(bob.get("/me").await.json()["user"], "bob");
}

#[tokio::test]
async fn the_record_of_another_session_is_not_listed_and_hides_no_others() {
    let mut scene = Scene::new().await;
    let mut phone = Browser::new(&scene.app);
    phone.post("/login/alice").await;
    let mut bob = Browser::new(&scene.app);
    bob.post("/login/bob").await;
    let _: bool = scene.cmd("COPY", &[key(&bob.handle()).as_str(), scene.key.as_str(), "REPLACE"]);
    let handles = |answer: keep_testing::Answer| answer.body.matches("handle").count();
    assert_eq!(handles(phone.get("/devices").await), 1);
    let answer = phone.delete(&format!("/devices/{}", scene.browser.handle())).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(handles(bob.get("/devices").await), 1);
    scene.browser.get("/me").await;
}

#[tokio::test]
async fn a_record_that_is_replaced_under_way_changes_no_response() {
    for (command, args) in FOREIGN {
        let scene = Scene::new().await;
        let gate = pause();
        let mut request = write(scene.browser.session());
        request.extensions_mut().insert(gate.clone());
        let replaced = async {
            gate.wait().await;
            let _: u64 = scene.cmd("DEL", &scene.key);
            let _: redis::Value = scene.cmd(command, [&[scene.key.as_str()], args].concat());
            gate.wait().await;
        };
        let (answer, ()) = tokio::join!(send(&scene.app, request), replaced);
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "written"), "{command}");
        assert_eq!(answer.set_cookies(), Vec::<&str>::new(), "{command}");
        assert_eq!(scene.me().await, stranger(), "{command}");
    }
}

async fn read(session: Session) -> Result<String, SessionProblem> {
    Ok(format!("{:?} {:?}", session.get::<String>("a")?, session.get::<String>("b")?))
}

const CORRUPT: [&[u8]; 6] = [b"", b"{", b"\xff\xfe", b"\"open", b"nul", b"1 2"];

#[tokio::test]
async fn a_corrupt_entry_is_dropped_and_the_others_live() {
    let mut scene = Scene::new().await;
    scene.app = scene.app.merge(with_layer(Router::new().route("/read", get(read)), &scene.sessions));
    scene.browser = {
        let mut b = Browser::new(&scene.app);
        b.cookies = scene.browser.cookies.clone();
        b
    };
    for corrupt in CORRUPT {
        scene.put("b", corrupt);
        scene.put(b"\xff\xfe", b"a name that is not utf-8");
        assert_eq!(scene.me().await["entries"], json!({ "a": "1" }));
        assert_eq!(scene.browser.get("/read").await.body, "Some(\"1\") None");
        let gone: Option<Vec<u8>> = scene.cmd("HGET", &[scene.key.as_str(), "b"]);
        assert_eq!(gone, None, "it is dropped from the store");
        scene.put("b", corrupt);
        assert_eq!(scene.browser.put("/entries/b", "new").await.status, StatusCode::OK);
        assert_eq!(scene.browser.get("/read").await.body, "Some(\"1\") Some(\"new\")");
    }
}

#[tokio::test]
async fn a_corrupt_entry_is_reported_where_that_is_asked_for() {
    let scene = Scene::new().await;
    let sessions = scene.backend.builder().on_corrupt_entry(CorruptEntry::Report).build().unwrap();
    let app = with_layer(Router::new().route("/read", get(read)), &sessions).merge(site(&sessions));
    let mut browser = Browser::new(&app);
    browser.cookies = scene.browser.cookies.clone();
    for corrupt in CORRUPT {
        scene.put("b", corrupt);
        let answer = browser.get("/read").await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(answer.body.contains("Internal Server Error"), "opaque: {}", answer.body);
        let kept: Vec<u8> = scene.cmd("HGET", &[scene.key.as_str(), "b"]);
        assert_eq!(kept, corrupt, "nothing is dropped");
        assert_eq!(browser.get("/me").await.json()["user"], "alice");
    }
}
