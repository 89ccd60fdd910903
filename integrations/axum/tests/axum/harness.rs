//! The two stores, and a browser without a network.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode, header};
pub use keep_testing::eventually;
use keep_testing::{Answer, Jar, RedisServer, cookie_line};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::ServiceExt;
use tower_keep_axum::session::{SessionHandle, SessionLayer, Sessions, SessionsBuilder};
use tower_keep_axum::store::key::KeyPrefix;
use tower_keep_axum::store::{MemoryLimits, Store};

pub const COOKIE: &str = "__Host-session";
/// Long enough that a busy machine never runs into it; tests of failures choose their own.
const DEADLINE: Duration = Duration::from_secs(20);

/// A store, and the server behind it if there is one.
#[derive(Debug)]
pub struct Backend {
    pub store: Store,
    pub redis: Option<RedisServer>,
}

impl Backend {
    pub fn embedded() -> Self {
        let limits = MemoryLimits::new(1_000_000, 1 << 30);
        let store = Store::in_memory_with(limits, tower_keep_axum::clock::Clock::system());
        Self { store: store.with_prefix(prefix()), redis: None }
    }

    pub fn redis() -> Self {
        let server = RedisServer::start();
        let store = Store::builder()
            .prefix(prefix())
            .deadline(DEADLINE)
            .without_self_check()
            .connect(&server.url())
            .unwrap();
        Self { store, redis: Some(server) }
    }

    pub fn builder(&self) -> SessionsBuilder {
        Sessions::builder(self.store.clone())
    }

    pub fn sessions(&self) -> Sessions {
        Sessions::new(self.store.clone())
    }

    /// Ends a session behind the app's back: `DEL` by an administrator, or the engine where there is no Redis.
    pub async fn delete(&self, sessions: &Sessions, handle: &SessionHandle) {
        match &self.redis {
            Some(server) => {
                let deleted: u64 = server.cmd("DEL", key(handle));
                assert!(deleted <= 1);
            }
            None => drop(sessions.revoke(handle).await.unwrap()),
        }
    }
}

fn prefix() -> KeyPrefix {
    KeyPrefix::new("app").unwrap()
}

/// The key of a session in the default namespace.
pub fn key(handle: &SessionHandle) -> String {
    format!("app:session:{handle}")
}

/// Runs a test on the embedded store, and on a Redis of its own.
pub async fn for_each_store(test: impl AsyncFn(&Backend)) {
    test(&Backend::embedded()).await;
    test(&Backend::redis()).await;
}

/// Runs `count` numbered tasks, at most 48 of them at the same time.
pub async fn in_parallel<F>(count: usize, task: impl Fn(usize) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(48));
    let mut tasks = JoinSet::new();
    for i in 0..count {
        let turn = Arc::clone(&room).acquire_owned().await.unwrap();
        let task = task(i);
        tasks.spawn(async move {
            task.await;
            drop(turn);
        });
        while let Some(done) = tasks.try_join_next() {
            done.unwrap();
        }
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

/// A browser: keeps the cookies that it is given and sends them back. Clones have cookie jars of their own.
#[derive(Clone, Debug)]
pub struct Browser {
    app: Router,
    pub cookies: Jar,
}

impl Browser {
    pub fn new(app: &Router) -> Self {
        Self { app: app.clone(), cookies: Jar::new() }
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.call("GET", path, "").await
    }

    pub async fn post(&mut self, path: &str) -> Answer {
        self.call("POST", path, "").await
    }

    pub async fn put(&mut self, path: &str, body: &str) -> Answer {
        self.call("PUT", path, body).await
    }

    pub async fn delete(&mut self, path: &str) -> Answer {
        self.call("DELETE", path, "").await
    }

    async fn call(&mut self, method: &str, path: &str, body: &str) -> Answer {
        let request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned()));
        self.send(request.unwrap()).await
    }

    /// Sends a request with the jar's cookies, and keeps those of the response.
    pub async fn send(&mut self, mut request: Request<Body>) -> Answer {
        if let Some(line) = cookie_line(&self.cookies) {
            request.headers_mut().insert(header::COOKIE, line);
        }
        let answer = send(&self.app, request).await;
        answer.fill(&mut self.cookies);
        answer
    }

    /// The session cookie's value.
    pub fn session(&self) -> &str {
        self.cookies.get(COOKIE).expect("no session cookie")
    }

    /// The public half of the session cookie.
    pub fn handle(&self) -> SessionHandle {
        handle_of(self.session())
    }
}

/// The public half of a cookie's value.
pub fn handle_of(value: &str) -> SessionHandle {
    SessionHandle::parse(value.split('.').next().unwrap()).unwrap()
}

/// Sends a request as it is, and reads the response to its end.
pub async fn send(app: &Router, request: Request<Body>) -> Answer {
    Answer::read(app.clone().oneshot(request).await.unwrap()).await
}

/// `GET path` with `Cookie` lines as these bytes.
pub async fn get_with(app: &Router, path: &str, lines: &[&[u8]]) -> Answer {
    let mut request = Request::get(path).body(Body::empty()).unwrap();
    for line in lines {
        request.headers_mut().append(header::COOKIE, HeaderValue::from_bytes(line).unwrap());
    }
    send(app, request).await
}

/// What `GET /me` of the [site](crate::site) says to whoever shows this cookie value.
pub async fn me_with(app: &Router, value: &str) -> Value {
    let answer = get_with(app, "/me", &[format!("{COOKIE}={value}").as_bytes()]).await;
    assert_eq!(answer.status, StatusCode::OK);
    answer.json()
}

/// An app of one session layer.
pub fn with_layer(router: Router, sessions: &Sessions) -> Router {
    router.layer(SessionLayer::new(sessions.clone()))
}
