//! Signing in and out, and the list of devices.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::post;
use axum::{Router, extract::Path};
use serde_json::{Value, json};
use tower_keep_axum::session::{SessionError, Sessions};
use tower_keep_axum::{Session, SessionProblem};

use crate::harness::{Backend, Browser, COOKIE, for_each_store, in_parallel, me_with, with_layer};
use crate::site::{site, stranger};

async fn sign_in(app: &Router, user: &str, device: &str) -> Browser {
    let mut browser = Browser::new(app);
    let request = Request::post(format!("/login/{user}")).header("user-agent", device).body(Body::empty());
    let answer = browser.send(request.unwrap()).await;
    assert_eq!(answer.body, browser.handle().as_str());
    browser
}

#[tokio::test]
async fn who_signs_in_is_signed_in_until_signing_out() {
    for_each_store(async |backend| {
        let app = site(&backend.sessions());
        let mut browser = sign_in(&app, "alice", "").await;
        let cookie = browser.session().to_owned();
        assert_eq!(browser.get("/me").await.json()["user"], "alice");
        let answer = browser.post("/logout").await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        assert!(
            answer.set_cookies()[0].starts_with("__Host-session=; Path=/; Secure; HttpOnly; SameSite=Lax")
        );
        assert!(browser.cookies.is_empty());
        assert_eq!(me_with(&app, &cookie).await, stranger());
        assert_eq!(browser.get("/me").await.json(), stranger());
        assert_eq!(backend.sessions().list("alice").await.unwrap(), []);
        if let Some(server) = &backend.redis {
            assert_eq!(server.cmd::<u64>("DBSIZE", &[""; 0]), 0, "nothing is left behind");
        }
    })
    .await;
}

#[tokio::test]
async fn another_principal_begins_with_an_empty_session() {
    for_each_store(async |backend| {
        let app = site(&backend.sessions());
        let mut browser = sign_in(&app, "alice", "").await;
        browser.put("/entries/secret", "alice's").await;
        let (cookie, handle) = (browser.session().to_owned(), browser.handle());
        let answer = browser.post("/login/bob").await;
        assert_eq!(answer.set_cookies().len(), 1);
        assert_ne!(browser.handle(), handle);
        let me = browser.get("/me").await.json();
        assert_eq!((&me["user"], &me["entries"]), (&json!("bob"), &json!({})));
        assert_eq!(me_with(&app, &cookie).await, stranger());
        assert_eq!(backend.sessions().list("alice").await.unwrap(), []);
        assert_eq!(backend.sessions().list("bob").await.unwrap().len(), 1);
    })
    .await;
}

async fn out_and_write(session: Session) -> Result<(), SessionProblem> {
    session.logout()?;
    session.insert("theme", "dark")?;
    Ok(())
}

async fn out_and_in(session: Session, Path(user): Path<String>) -> Result<(), SessionProblem> {
    session.logout()?;
    session.login(&user)?;
    Ok(())
}

#[tokio::test]
async fn what_is_written_after_signing_out_makes_a_new_session() {
    for_each_store(async |backend| {
        let router = Router::new()
            .route("/out-and-write", post(out_and_write))
            .route("/out-and-in/{user}", post(out_and_in));
        let sessions = backend.sessions();
        let app = site(&sessions).merge(with_layer(router, &sessions));
        for (path, user, entries) in [
            ("/out-and-write", Value::Null, json!({ "theme": "dark" })),
            ("/out-and-in/alice", json!("alice"), json!({})),
            ("/out-and-in/bob", json!("bob"), json!({})),
        ] {
            let mut browser = sign_in(&app, "alice", "").await;
            browser.put("/entries/secret", "1").await;
            let (cookie, handle) = (browser.session().to_owned(), browser.handle());
            let answer = browser.post(path).await;
            assert_eq!(answer.set_cookies().len(), 1, "{path}: one cookie, the new one");
            assert_ne!(browser.handle(), handle, "{path}");
            let me = browser.get("/me").await.json();
            assert_eq!((&me["user"], &me["entries"]), (&user, &entries), "{path}");
            assert_eq!(me_with(&app, &cookie).await, stranger(), "{path}");
            sessions.revoke_all("alice").await.unwrap();
        }
    })
    .await;
}

fn labels(devices: &Value) -> Vec<&str> {
    let mut labels: Vec<_> =
        devices.as_array().unwrap().iter().map(|d| d["label"].as_str().unwrap()).collect();
    labels.sort_unstable();
    labels
}

#[tokio::test]
async fn devices_are_listed_and_signed_out_one_by_one() {
    for_each_store(async |backend| {
        let app = site(&backend.sessions());
        let mut phone = sign_in(&app, "alice", "phone").await;
        let mut laptop = sign_in(&app, "alice", "laptop").await;
        let mut stranger = sign_in(&app, "bob", "bob's").await;
        assert_eq!(labels(&phone.get("/devices").await.json()), ["laptop", "phone"]);
        assert_eq!(labels(&stranger.get("/devices").await.json()), ["bob's"]);

        let path = format!("/devices/{}", laptop.handle());
        assert_eq!(stranger.delete(&path).await.status, StatusCode::NOT_FOUND, "not one of bob's");
        assert_eq!(laptop.get("/me").await.json()["user"], "alice");
        assert_eq!(phone.delete(&path).await.status, StatusCode::NO_CONTENT);
        assert_eq!(laptop.get("/me").await.json()["user"], Value::Null);
        assert_eq!(phone.delete(&path).await.status, StatusCode::NOT_FOUND, "it has ended already");
        assert_eq!(labels(&phone.get("/devices").await.json()), ["phone"]);

        let unknown = format!("/devices/{}", "A".repeat(22));
        for path in [unknown.as_str(), "/devices/x", "/devices/@revoked", "/devices/%00"] {
            assert_eq!(phone.delete(path).await.status, StatusCode::NOT_FOUND, "{path}");
        }
        let own = format!("/devices/{}", phone.handle());
        assert_eq!(phone.delete(&own).await.status, StatusCode::NO_CONTENT);
        assert_eq!(phone.get("/devices").await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(stranger.get("/me").await.json()["user"], "bob");
    })
    .await;
}

#[tokio::test]
async fn an_anonymous_session_cannot_be_revoked_by_somebody_elses_list() {
    for_each_store(async |backend| {
        let (sessions, app) = (backend.sessions(), site(&backend.sessions()));
        let mut guest = Browser::new(&app);
        guest.put("/entries/cart", "tea").await;
        let mut alice = sign_in(&app, "alice", "").await;
        let path = format!("/devices/{}", guest.handle());
        assert_eq!(alice.delete(&path).await.status, StatusCode::NOT_FOUND);
        assert_eq!(guest.delete(&path).await.status, StatusCode::UNAUTHORIZED);
        assert!(!sessions.revoke_of("alice", &guest.handle()).await.unwrap());
        assert_eq!(guest.get("/me").await.json()["entries"]["cart"], "tea");
        assert!(sessions.revoke(&guest.handle()).await.unwrap(), "an administrator can end any session");
        assert!(!sessions.revoke(&guest.handle()).await.unwrap());
        assert_eq!(guest.get("/me").await.json(), stranger());
    })
    .await;
}

#[tokio::test]
async fn the_others_are_signed_out_and_this_one_rotated() {
    for_each_store(async |backend| {
        let app = site(&backend.sessions());
        let (mut this, mut other) = (sign_in(&app, "alice", "").await, sign_in(&app, "alice", "").await);
        let mut bob = sign_in(&app, "bob", "").await;
        let before = this.session().to_owned();
        assert_eq!(this.post("/logout-others").await.body, "1");
        assert_ne!(this.session(), before);
        assert_eq!(me_with(&app, &before).await, stranger(), "the cookie from before is dead");
        assert_eq!(this.get("/me").await.json()["user"], "alice");
        assert_eq!(other.get("/me").await.json()["user"], Value::Null);
        assert_eq!(bob.get("/me").await.json()["user"], "bob");
        assert_eq!(backend.sessions().revoke_all("alice").await.unwrap(), 1);
        assert_eq!(this.get("/me").await.json()["user"], Value::Null);
        assert_eq!(Browser::new(&app).post("/logout-others").await.status, StatusCode::UNAUTHORIZED);
    })
    .await;
}

#[tokio::test]
async fn hundreds_of_sessions_are_listed_and_revoked() {
    for_each_store(async |backend| {
        let sessions = backend.builder().max_sessions(1000).build().unwrap();
        let app = site(&sessions);
        let task = {
            let app = app.clone();
            move |_| {
                let app = app.clone();
                async move { drop(sign_in(&app, "alice", "d").await) }
            }
        };
        in_parallel(600, task).await;
        let mut last = sign_in(&app, "alice", "last").await;
        assert_eq!(last.get("/devices").await.json().as_array().unwrap().len(), 601);
        assert_eq!(last.post("/logout-others").await.body, "600");
        assert_eq!(labels(&last.get("/devices").await.json()), ["last"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cap_on_parallel_sessions_ends_the_oldest() {
    for_each_store(async |backend| {
        let sessions = backend.builder().max_sessions(3).build().unwrap();
        let app = site(&sessions);
        let mut browsers = Vec::new();
        for i in 0..6 {
            // Those that end first give way; expiry is counted in milliseconds.
            tokio::time::sleep(std::time::Duration::from_millis(3)).await;
            browsers.push(sign_in(&app, "alice", &i.to_string()).await);
        }
        let listed = browsers[5].get("/devices").await.json();
        assert_eq!(labels(&listed), ["3", "4", "5"]);
        for (i, browser) in browsers.iter_mut().enumerate() {
            assert_eq!(browser.get("/me").await.json()["user"] == "alice", i >= 3, "{i}");
        }
        let again = browsers[5].post("/login/alice").await;
        assert!(again.cookie(COOKIE).is_some());
        assert_eq!(sessions.list("alice").await.unwrap().len(), 3, "signing in again takes no new place");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cap_holds_for_parallel_sign_ins() {
    for_each_store(async |backend| {
        let sessions = backend.builder().max_sessions(5).build().unwrap();
        let app = site(&sessions);
        let task = {
            let app = app.clone();
            move |_| {
                let app = app.clone();
                async move { drop(Browser::new(&app).post("/login/alice").await) }
            }
        };
        in_parallel(200, task).await;
        let mut last = sign_in(&app, "alice", "last").await;
        assert_eq!(last.get("/me").await.json()["user"], "alice");
        assert!(sessions.list("alice").await.unwrap().len() <= 5);
    })
    .await;
}

#[tokio::test]
async fn principals_have_bounds() {
    async fn login(sessions: &Sessions, principal: &str) -> Result<(), SessionError> {
        let session = sessions.start();
        session.login(principal)?;
        session.save().await
    }
    for_each_store(async |backend| {
        let sessions = backend.sessions();
        for bad in ["", &"x".repeat(257), "a\nb", "a\0", "a\u{85}b", "\u{7f}"] {
            assert!(matches!(login(&sessions, bad).await, Err(SessionError::Principal)), "{bad:?}");
            assert!(matches!(sessions.list(bad).await, Err(SessionError::Principal)), "{bad:?}");
        }
        let odd = ["x", " ", "-", "@revoked", "a b", "a:b", "{x}", "*", "%", "é", "=", &"y".repeat(256)];
        for good in odd {
            login(&sessions, good).await.unwrap();
        }
        for good in odd {
            assert_eq!(sessions.list(good).await.unwrap().len(), 1, "{good:?}");
            assert_eq!(sessions.revoke_all(good).await.unwrap(), 1, "{good:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_session_belongs_to_the_browser_that_has_its_cookie() {
    let backend = Backend::embedded();
    let app = site(&backend.sessions());
    let alice = sign_in(&app, "alice", "").await;
    let mut copy = Browser::new(&app);
    copy.cookies.insert(COOKIE.into(), alice.session().to_owned());
    assert_eq!(copy.get("/me").await.json()["user"], "alice");
    copy.post("/logout").await;
    assert_eq!(me_with(&app, alice.session()).await, stranger(), "one session, ended for all copies");
}
