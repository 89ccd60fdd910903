//! Signing in while all sessions of the same principal are revoked: what began before the revocation does not live after it.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Request, StatusCode};
use axum::routing::post;
use keep_testing::Answer;
use serde_json::json;
use tower_keep_axum::session::{SessionHandle, Sessions};
use tower_keep_axum::store::Store;
use tower_keep_axum::{Session, SessionProblem};

use crate::harness::{Backend, Browser, COOKIE, for_each_store, in_parallel, me_with, send, with_layer};
use crate::site::{Pause, pause, site};

const ROUNDS: usize = 1_000;

fn login_of(user: &str, pause: &Pause) -> Request<Body> {
    let request = Request::post(format!("/login/{user}")).extension(pause.clone());
    request.body(Body::empty()).unwrap()
}

/// A sign-in whose handler has called `login` and not ended yet, and what happens before it does.
async fn login_around(app: &Router, user: &str, meanwhile: impl Future<Output = ()>) -> Answer {
    let pause = pause();
    let answer = async { send(app, login_of(user, &pause)).await };
    let steps = async {
        pause.wait().await;
        meanwhile.await;
        pause.wait().await;
    };
    tokio::join!(answer, steps).0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_began_before_a_revocation_is_dead_after_it() {
    for_each_store(async |backend| {
        let sessions = backend.sessions();
        let app = site(&sessions);
        in_parallel(ROUNDS, |i| {
            let (app, sessions, user) = (app.clone(), sessions.clone(), format!("user{i}"));
            async move {
                let revoke = async {
                    sessions.revoke_all(&user).await.unwrap();
                };
                let answer = login_around(&app, &user, revoke).await;
                assert_eq!(answer.status, StatusCode::OK, "the handler's response arrives unchanged");
                assert_eq!(answer.set_cookies(), Vec::<&str>::new());
                assert_eq!(sessions.list(&user).await.unwrap(), []);
                let handle = SessionHandle::parse(&answer.body).unwrap();
                assert!(sessions.open(&handle).await.unwrap().is_none(), "nothing is left in the store");
            }
        })
        .await;
    })
    .await;
}

/// The same store, seen from another process of the fleet.
fn elsewhere(backend: &Backend) -> Sessions {
    let url = backend.redis.as_ref().unwrap().url();
    let builder = Store::builder().prefix(backend.store.prefix().clone()).deadline(Duration::from_secs(20));
    Sessions::new(builder.connect(&url).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_by_another_process_holds_however_slowly_the_store_hears_of_the_sign_in() {
    let backend = Backend::redis();
    let (sessions, other, server) =
        (backend.sessions(), elsewhere(&backend), backend.redis.as_ref().unwrap());
    let app = site(&sessions);
    for pause_ms in ["0", "20", "100", "300"] {
        let revoke = async {
            other.revoke_all("alice").await.unwrap();
            let _: () = server.cmd("CLIENT", &["PAUSE", pause_ms, "ALL"]);
        };
        let answer = login_around(&app, "alice", revoke).await;
        assert_eq!(answer.set_cookies(), Vec::<&str>::new(), "{pause_ms} ms");
        assert_eq!(sessions.list("alice").await.unwrap(), [], "{pause_ms} ms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_began_before_a_revocation_by_another_process_is_dead_after_it() {
    let backend = Backend::redis();
    let (sessions, other) = (backend.sessions(), elsewhere(&backend));
    let app = site(&sessions);
    in_parallel(ROUNDS, |i| {
        let (app, sessions, other, user) = (app.clone(), sessions.clone(), other.clone(), format!("user{i}"));
        async move {
            let revoke = async {
                other.revoke_all(&user).await.unwrap();
            };
            let answer = login_around(&app, &user, revoke).await;
            assert_eq!(answer.set_cookies(), Vec::<&str>::new());
            assert_eq!(sessions.list(&user).await.unwrap(), []);
        }
    })
    .await;
}

async fn sign_in_alone(
    State(sessions): State<Sessions>,
    session: Session,
    Path(user): Path<String>,
) -> Result<String, SessionProblem> {
    sessions.revoke_all(&user).await?;
    Ok(session.login(&user)?.to_string())
}

async fn sign_in_and_others_out(
    session: Session,
    Path(user): Path<String>,
) -> Result<String, SessionProblem> {
    session.login(&user)?;
    Ok(session.logout_others().await?.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_after_a_revocation_lives() {
    for_each_store(async |backend| {
        let sessions = backend.sessions();
        let router = Router::new().route("/alone/{user}", post(sign_in_alone)).with_state(sessions.clone());
        let app = site(&sessions).merge(with_layer(router, &sessions));
        in_parallel(ROUNDS, |i| {
            let (app, sessions, user) = (app.clone(), sessions.clone(), format!("user{i}"));
            async move {
                let mut before = Browser::new(&app);
                before.post(&format!("/login/{user}")).await;
                let mut alone = Browser::new(&app);
                alone.post(&format!("/alone/{user}")).await;
                assert_eq!(alone.get("/me").await.json()["user"], json!(user));
                assert_eq!(before.get("/me").await.json()["user"], json!(null));
                assert_eq!(sessions.list(&user).await.unwrap().len(), 1);
            }
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_may_sign_in_and_sign_the_others_out() {
    for_each_store(async |backend| {
        let sessions = backend.sessions();
        let router = Router::new().route("/only-me/{user}", post(sign_in_and_others_out));
        let app = site(&sessions).merge(with_layer(router, &sessions));
        for _ in 0..200 {
            let (mut other, mut this) = (Browser::new(&app), Browser::new(&app));
            other.post("/login/alice").await;
            assert_eq!(this.post("/only-me/alice").await.body, "1");
            assert_eq!(this.get("/me").await.json()["user"], "alice");
            assert_eq!(other.get("/me").await.json()["user"], json!(null));
            assert_eq!(this.post("/logout").await.status, StatusCode::NO_CONTENT);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_on_another_server_after_a_revocation_lives() {
    let backend = Backend::redis();
    let (here, app) = (backend.sessions(), site(&elsewhere(&backend)));
    for _ in 0..10 {
        here.revoke_all("alice").await.unwrap();
        // Within the time that the store's reply takes, the order could not be known.
        tokio::time::sleep(Duration::from_millis(250)).await;
        let mut browser = Browser::new(&app);
        browser.post("/login/alice").await;
        assert_eq!(browser.get("/me").await.json()["user"], "alice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_order_a_session_that_lives_is_listed() {
    for_each_store(async |backend| {
        let sessions = backend.sessions();
        let app = site(&sessions);
        in_parallel(ROUNDS, |i| {
            let (app, sessions, user) = (app.clone(), sessions.clone(), format!("user{i}"));
            async move {
                let revoke = {
                    let (sessions, user) = (sessions.clone(), user.clone());
                    tokio::spawn(async move { sessions.revoke_all(&user).await.unwrap() })
                };
                let mut browser = Browser::new(&app);
                let answer = browser.post(&format!("/login/{user}")).await;
                revoke.await.unwrap();
                let listed = sessions.list(&user).await.unwrap();
                let Some(cookie) = answer.cookie(COOKIE) else {
                    assert_eq!(listed, []);
                    return;
                };
                let alive = me_with(&app, &cookie).await["user"] == json!(user);
                assert_eq!(listed.len(), usize::from(alive), "alive: {alive}");
                sessions.revoke_all(&user).await.unwrap();
                assert_eq!(me_with(&app, &cookie).await["user"], json!(null));
            }
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_sign_in_can_be_repeated() {
    for_each_store(async |backend| {
        let sessions = backend.sessions();
        let app = site(&sessions);
        let revoke = async {
            sessions.revoke_all("alice").await.unwrap();
        };
        assert_eq!(login_around(&app, "alice", revoke).await.set_cookies(), Vec::<&str>::new());
        let mut browser = Browser::new(&app);
        browser.post("/login/alice").await;
        assert_eq!(browser.get("/me").await.json()["user"], "alice");
    })
    .await;
}
