//! The store fails: each policy does what it says, nobody is signed out, and nothing of the inside shows.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::{get, post, put};
use keep_testing::{Answer, RedisServer};
use serde_json::{Value, json};
use tower_keep_axum::session::{FailurePolicy, SessionError, Sessions};
use tower_keep_axum::store::Store;
use tower_keep_axum::{OptionalSession, RequiredSession, Session, SessionProblem};

use crate::harness::{Browser, eventually, send, with_layer};
use crate::site::{Pause, pause, site};

const DEADLINE: Duration = Duration::from_millis(100);
/// What a busy machine may add to the deadline of a load and that of a save.
const PATIENCE: Duration = Duration::from_secs(5);

fn sessions(server: &RedisServer, policy: FailurePolicy) -> Sessions {
    let store = Store::builder().deadline(DEADLINE).probe_interval(Duration::from_millis(20));
    Sessions::builder(store.connect(&server.url()).unwrap()).on_failure(policy).build().unwrap()
}

async fn optional(session: OptionalSession) -> Result<String, SessionProblem> {
    if session.is_read_only() {
        let refused = [
            session.insert("x", &1),
            session.remove("x").map(drop),
            session.clear(),
            session.flash("x", &1),
            session.login("mallory").map(drop),
            session.logout(),
            session.rotate(),
            session.csrf_token().map(drop),
            session.increment("x", 1).await.map(drop),
        ];
        assert!(refused.iter().all(|result| matches!(result, Err(SessionError::ReadOnly))), "{refused:?}");
        session.save().await?;
    }
    Ok(json!({ "user": session.principal(), "read_only": session.is_read_only() }).to_string())
}

async fn required(session: RequiredSession) -> String {
    session.principal().unwrap_or_default()
}

async fn as_the_layer_says(session: Session) -> String {
    session.principal().unwrap_or_default()
}

fn app(sessions: &Sessions) -> Router {
    let router = Router::new()
        .route("/optional", get(optional))
        .route("/required", get(required))
        .route("/as-the-layer-says", get(as_the_layer_says));
    with_layer(router, sessions).merge(site(sessions))
}

/// A browser that has signed in. The first requests may come before the store's first connection is open.
async fn sign_in(app: &Router) -> Browser {
    for _ in 0..200 {
        let mut browser = Browser::new(app);
        if browser.put("/entries/cart", "tea").await.status == StatusCode::OK
            && browser.post("/login/alice").await.status == StatusCode::OK
            && browser.cookies.len() == 1
        {
            return browser;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the store does not serve");
}

fn assert_unavailable(answer: &Answer, what: &str) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{what}");
    assert_eq!(answer.header("retry-after"), Some("1"), "{what}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
    let problem = json!({ "type": "about:blank", "title": "Service Unavailable", "status": 503 });
    assert_eq!(answer.json(), problem, "{what}: opaque");
    assert_eq!(answer.set_cookies(), Vec::<&str>::new(), "{what}");
}

/// What holds while the store is away, in whatever way.
async fn assert_policies(browser: &mut Browser, layer: FailurePolicy) {
    for _ in 0..8 {
        let begun = Instant::now();
        assert_eq!(browser.get("/plain").await.body, "ok");
        assert_unavailable(&browser.get("/required").await, "required");
        let optional = browser.get("/optional").await;
        assert_eq!(optional.json(), json!({ "user": null, "read_only": true }));
        assert_eq!(optional.header("vary"), Some("cookie"), "with the store it would be another answer");
        assert_eq!(optional.set_cookies(), Vec::<&str>::new());
        let layers = browser.get("/as-the-layer-says").await;
        match layer {
            FailurePolicy::Optional => assert_eq!((layers.status.as_u16(), layers.body.as_str()), (200, "")),
            _ => assert_unavailable(&layers, "as the layer says"),
        }
        for answer in [browser.put("/entries/a", "1").await, browser.post("/login/bob").await] {
            assert_unavailable(&answer, "a write");
        }
        assert!(begun.elapsed() < 10 * PATIENCE, "it hangs: {:?}", begun.elapsed());
    }
    assert_eq!(browser.cookies.len(), 1, "nobody takes the cookie away");
}

async fn assert_recovery(browser: &mut Browser) {
    let last = browser.clone();
    eventually("it serves again", async || {
        let answer = last.clone().get("/required").await;
        answer.status == StatusCode::OK && answer.body == "alice"
    })
    .await;
    let entries = browser.get("/me").await.json()["entries"].clone();
    assert_eq!(entries, json!({ "cart": "tea" }), "nothing was lost or written meanwhile");
}

#[tokio::test]
async fn a_frozen_store_follows_the_policies_and_signs_nobody_out() {
    for layer in [FailurePolicy::Required, FailurePolicy::Optional] {
        let server = RedisServer::start();
        let mut browser = sign_in(&app(&sessions(&server, layer))).await;
        server.freeze();
        assert_policies(&mut browser, layer).await;
        server.thaw();
        // What was sent to the frozen server and given up may still be carried out: the entry's name is its own.
        let last = browser.clone();
        eventually("it serves again", async || last.clone().get("/required").await.body == "alice").await;
        assert_eq!(browser.get("/me").await.json()["entries"]["cart"], "tea");
    }
}

#[tokio::test]
async fn a_stopped_store_follows_the_policies_and_an_empty_one_makes_strangers() {
    for layer in [FailurePolicy::Required, FailurePolicy::Optional] {
        let mut server = RedisServer::start();
        let mut browser = sign_in(&app(&sessions(&server, layer))).await;
        server.stop();
        assert_policies(&mut browser, layer).await;
        server.restart();
        let last = browser.clone();
        eventually("it serves again", async || last.clone().get("/required").await.status == StatusCode::OK)
            .await;
        assert_eq!(
            browser.get("/me").await.json()["user"],
            Value::Null,
            "it lost everything, and is no error"
        );
        assert_eq!(browser.post("/login/alice").await.status, StatusCode::OK);
        assert_eq!(browser.get("/me").await.json()["user"], "alice");
    }
}

#[tokio::test]
async fn a_store_that_refuses_is_not_an_empty_one() {
    let server = RedisServer::start();
    let mut browser = sign_in(&app(&sessions(&server, FailurePolicy::Required))).await;
    let mut admin = server.admin(); // stays signed in
    let mut run = |name: &str, args: &[&str]| redis::cmd(name).arg(args).exec(&mut admin).unwrap();
    run("CONFIG", &["SET", "requirepass", "hunter2"]);
    run("CLIENT", &["KILL", "TYPE", "normal"]);
    assert_policies(&mut browser, FailurePolicy::Required).await;
    drop(browser.put("/entries/cart", "lost").await);
    run("CONFIG", &["SET", "requirepass", ""]);
    assert_recovery(&mut browser).await;
}

#[tokio::test]
async fn without_a_cookie_the_store_is_not_needed() {
    let mut server = RedisServer::start();
    let app = app(&sessions(&server, FailurePolicy::Required));
    sign_in(&app).await;
    server.stop();
    for _ in 0..10 {
        let mut stranger = Browser::new(&app);
        assert_eq!(stranger.get("/required").await.status, StatusCode::OK);
        stranger.cookies.insert("__Host-session".into(), "garbage".into());
        assert_eq!(stranger.get("/required").await.status, StatusCode::OK);
        assert_eq!(stranger.get("/optional").await.json()["read_only"], false);
        assert_unavailable(&stranger.put("/entries/a", "1").await, "a write needs it");
    }
}

/// The load succeeds, then the server freezes, then the save comes.
async fn frozen_under_way(layer: FailurePolicy, method: &str, path: &str) -> (RedisServer, Browser, Answer) {
    async fn write(session: OptionalSession, axum::Extension(pause): axum::Extension<Pause>) -> &'static str {
        session.insert("late", &1).unwrap();
        pause.wait().await;
        pause.wait().await;
        "the handler's own response"
    }
    let server = RedisServer::start();
    let sessions = sessions(&server, layer);
    let optional = with_layer(Router::new().route("/optional-write", put(write)), &sessions);
    let app = app(&sessions).merge(optional);
    let browser = sign_in(&app).await;
    let gate = pause();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("cookie", format!("__Host-session={}", browser.session()))
        .extension(gate.clone())
        .body(Body::from("1"))
        .unwrap();
    let freeze = async {
        gate.wait().await;
        server.freeze();
        gate.wait().await;
    };
    let (answer, ()) = tokio::join!(send(&app, request), freeze);
    server.thaw();
    (server, browser, answer)
}

#[tokio::test]
async fn a_save_that_fails_is_told_where_the_session_is_required() {
    let (_server, browser, answer) = frozen_under_way(FailurePolicy::Required, "PUT", "/entries/late").await;
    assert_unavailable(&answer, "the save");
    let last = browser.clone();
    eventually("it serves again", async || last.clone().get("/required").await.body == "alice").await;
}

/// The frozen server finds the rotation in its socket when it goes on. Nobody waits for it any more: the new secret would reach no
/// browser, so the old one must go on to count.
#[tokio::test]
async fn a_rotation_that_comes_too_late_signs_nobody_out() {
    for path in ["/rotate", "/login/alice"] {
        let (_server, browser, answer) = frozen_under_way(FailurePolicy::Required, "POST", path).await;
        assert_unavailable(&answer, path);
        assert_eq!(answer.set_cookies(), Vec::<&str>::new());
        let last = browser.clone();
        eventually("it serves again", async || last.clone().get("/required").await.body == "alice").await;
    }
}

#[tokio::test]
async fn a_save_that_fails_leaves_the_response_where_the_session_is_optional() {
    let (_server, browser, answer) =
        frozen_under_way(FailurePolicy::Optional, "PUT", "/optional-write").await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "the handler's own response"));
    assert_eq!(answer.set_cookies(), Vec::<&str>::new());
    let last = browser.clone();
    eventually("it serves again", async || last.clone().get("/required").await.body == "alice").await;
}

#[tokio::test]
async fn a_full_store_refuses_writes_and_keeps_what_it_has() {
    use tower_keep_axum::clock::Clock;
    use tower_keep_axum::store::MemoryLimits;
    let store = Store::in_memory_with(MemoryLimits::new(3, 4_000), Clock::system());
    let sessions = Sessions::new(store);
    let mut browser = sign_in(&app(&sessions)).await;
    let mut other = Browser::new(&app(&sessions));
    assert_eq!(other.put("/entries/a", "1").await.status, StatusCode::OK, "session, index, session");
    assert_unavailable(&Browser::new(&app(&sessions)).put("/entries/a", "1").await, "one too many");
    assert_unavailable(&other.put("/entries/a", &"x".repeat(4_000)).await, "too many bytes");
    assert_unavailable(&other.post("/login/bob").await, "no room for bob's index");
    assert_eq!(other.get("/me").await.json()["user"], Value::Null);
    assert_eq!(browser.get("/me").await.json()["user"], "alice");
}

#[tokio::test]
async fn errors_of_inner_services_pass() {
    use tower::{Layer, Service, ServiceExt, service_fn};
    use tower_keep_axum::session::{SessionLayer, SessionSet};

    async fn fail(request: Request<Body>) -> Result<axum::response::Response, String> {
        let set = request.extensions().get::<SessionSet>().unwrap();
        if request.uri().path() == "/load" {
            let session = set.innermost().load().await.unwrap();
            session.insert("a", &1).unwrap();
            session.rotate().unwrap();
        }
        Err("the inner service's own error".to_owned())
    }
    let server = RedisServer::start();
    let sessions = sessions(&server, FailurePolicy::Required);
    let mut browser = sign_in(&app(&sessions)).await;
    for stopped in [false, true] {
        if stopped {
            server.freeze();
        }
        let mut service = SessionLayer::new(sessions.clone()).layer(service_fn(fail));
        for path in ["/", "/load"] {
            let cookie = format!("__Host-session={}", browser.session());
            let cookie = if stopped { String::new() } else { cookie };
            let request = Request::post(path).header("cookie", cookie).body(Body::empty()).unwrap();
            let error = service.ready().await.unwrap().call(request).await.err();
            assert_eq!(error.as_deref(), Some("the inner service's own error"), "{path}");
        }
        if !stopped {
            let me = browser.get("/me").await.json();
            assert_eq!(
                (&me["user"], &me["entries"]),
                (&json!("alice"), &json!({ "cart": "tea" })),
                "nothing is saved"
            );
        }
    }
    server.thaw();
}

#[tokio::test]
async fn a_response_that_streams_is_not_replaced_once_it_has_begun() {
    async fn stream(session: RequiredSession) -> Result<Body, SessionProblem> {
        session.insert("seen", &1)?;
        session.save().await?;
        Ok(Body::from("the body"))
    }
    let server = RedisServer::start();
    let sessions = sessions(&server, FailurePolicy::Required);
    let app = app(&sessions).merge(with_layer(Router::new().route("/stream", post(stream)), &sessions));
    let mut browser = sign_in(&app).await;
    let answer = browser.post("/stream").await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "the body"));
}
