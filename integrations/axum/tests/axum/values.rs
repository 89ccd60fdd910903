//! Entries, flash values, tokens, and their limits.

use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde_json::json;
use tower_keep_axum::clock::Clock;
use tower_keep_axum::session::{Session as Core, SessionError, Sessions};
use tower_keep_axum::store::{MemoryLimits, Store};
use tower_keep_axum::{Session, SessionProblem};

use crate::harness::{Backend, Browser, for_each_store, with_layer};
use crate::site::site;

async fn give(session: Session) -> Result<(), SessionProblem> {
    Ok(session.flash("notice", "saved")?)
}

async fn take(session: Session) -> Result<String, SessionProblem> {
    Ok(format!("{:?}", session.take_flash::<String>("notice")?))
}

async fn form(session: Session) -> Result<String, SessionProblem> {
    Ok(session.csrf_token()?)
}

async fn submit(session: Session, Path(token): Path<String>) -> Result<&'static str, SessionProblem> {
    session.check_csrf(&token)?;
    Ok("accepted")
}

fn app(backend: &Backend) -> Router {
    let sessions = backend.sessions();
    let router = Router::new()
        .route("/give", post(give))
        .route("/take", post(take))
        .route("/form", get(form))
        .route("/submit/{token}", post(submit));
    with_layer(router, &sessions).merge(site(&sessions))
}

#[tokio::test]
async fn a_flash_value_is_read_once() {
    for_each_store(async |backend| {
        let mut browser = Browser::new(&app(backend));
        assert_eq!(browser.post("/take").await.body, "None");
        browser.post("/give").await;
        browser.post("/login/alice").await;
        assert_eq!(browser.get("/me").await.json()["entries"], json!({}), "it is not an entry");
        assert_eq!(browser.post("/take").await.body, "Some(\"saved\")");
        assert_eq!(browser.post("/take").await.body, "None");
    })
    .await;
}

#[tokio::test]
async fn a_csrf_token_is_bound_to_its_session_and_sign_in() {
    for_each_store(async |backend| {
        let app = app(backend);
        let (mut browser, mut other) = (Browser::new(&app), Browser::new(&app));
        let token = browser.get("/form").await.body;
        assert_eq!(browser.get("/form").await.body, token, "one token for all forms");
        assert_eq!(browser.post(&format!("/submit/{token}")).await.body, "accepted");
        let others = other.get("/form").await.body;
        assert_ne!(others, token);
        let nobody = Browser::new(&app);
        for (browser, token) in [
            (&browser, others.as_str()),
            (&other, &token),
            (&nobody, &token),
            (&browser, &token[1..]),
            (&browser, "x"),
        ] {
            let answer = browser.clone().post(&format!("/submit/{token}")).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{token}");
        }
        browser.post("/login/alice").await;
        let answer = browser.post(&format!("/submit/{token}")).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "a token from before the sign-in");
        let token = browser.get("/form").await.body;
        assert_eq!(browser.post(&format!("/submit/{token}")).await.body, "accepted");
    })
    .await;
}

#[tokio::test]
async fn a_recent_sign_in_can_be_demanded() {
    let clock = Clock::manual(1_000_000_000);
    let sessions = Sessions::new(Store::in_memory_with(MemoryLimits::default(), clock.clone()));
    async fn pay(session: Session) -> Result<String, SessionProblem> {
        Ok(session.fresh_within(Duration::from_secs(300))?)
    }
    let app = with_layer(Router::new().route("/pay", post(pay)), &sessions).merge(site(&sessions));
    let mut browser = Browser::new(&app);
    assert_eq!(browser.post("/pay").await.status, StatusCode::UNAUTHORIZED);
    browser.put("/entries/a", "1").await;
    assert_eq!(browser.post("/pay").await.status, StatusCode::UNAUTHORIZED);
    browser.post("/login/alice").await;
    clock.advance(Duration::from_secs(300));
    assert_eq!(browser.post("/pay").await.body, "alice");
    clock.advance(Duration::from_millis(1));
    assert_eq!(browser.post("/pay").await.status, StatusCode::UNAUTHORIZED);
    browser.post("/rotate").await;
    assert_eq!(browser.post("/pay").await.status, StatusCode::UNAUTHORIZED, "only a sign-in counts");
    browser.post("/login/alice").await;
    assert_eq!(browser.post("/pay").await.body, "alice");
}

#[tokio::test]
async fn names_have_bounds() {
    for_each_store(async |backend| {
        let session = backend.sessions().start();
        for bad in ["", "@", "@csrf", "@flash:x", &"n".repeat(129)] {
            assert!(matches!(session.insert(bad, &1), Err(SessionError::Name)), "{bad}");
            assert!(matches!(session.remove(bad), Err(SessionError::Name)), "{bad}");
            assert!(matches!(session.flash(bad, &1), Err(SessionError::Name)), "{bad}");
            assert!(matches!(session.increment(bad, 1).await, Err(SessionError::Name)), "{bad}");
        }
        let odd = ["n", " ", "a b", "a:b", "é", "\0", "\r\n", "{}", "%s", "c", "s", "i", &"n".repeat(128)];
        for good in odd {
            session.insert(good, good).unwrap();
        }
        session.save().await.unwrap();
        let read = backend.sessions().open(&session.handle().unwrap()).await.unwrap().unwrap();
        for good in odd {
            assert_eq!(read.get::<String>(good).unwrap().as_deref(), Some(good));
        }
        assert_eq!(read.entries().len(), odd.len());
    })
    .await;
}

/// What the crate keeps for itself beside the entries is not an entry.
#[tokio::test]
async fn reading_reaches_no_field_of_the_crates_own() {
    for_each_store(async |backend| {
        let session = backend.sessions().start();
        let token = session.csrf_token().unwrap();
        session.flash("n", &7).unwrap();
        session.login_with(tower_keep_axum::session::Login::new("alice").label("8")).unwrap();
        let token = match session.csrf_token() {
            Ok(fresh) => fresh,
            Err(_) => token,
        };
        session.save().await.unwrap();
        let read = backend.sessions().open(&session.handle().unwrap()).await.unwrap().unwrap();
        for name in ["@", "@csrf", "@flash:n", "@label"] {
            assert!(!matches!(read.get::<serde_json::Value>(name), Ok(Some(_))), "{name}");
        }
        read.check_csrf(&token).expect("reading an entry never changes the token");
        read.save().await.unwrap();
        assert_eq!(read.take_flash::<i64>("n").unwrap(), Some(7));
        assert_eq!(backend.sessions().list("alice").await.unwrap()[0].label.as_deref(), Some("8"));
    })
    .await;
}

#[tokio::test]
async fn entries_and_bytes_have_bounds() {
    for_each_store(async |backend| {
        let sessions = backend.builder().max_entries(3).max_bytes(100).build().unwrap();
        let session = sessions.start();
        for name in ["a", "b", "c"] {
            session.insert(name, &1).unwrap();
        }
        session.insert("a", &2).unwrap();
        assert!(matches!(session.insert("d", &1), Err(SessionError::TooManyEntries)));
        assert!(matches!(session.increment("d", 1).await, Err(SessionError::TooManyEntries)));
        session.remove("a").unwrap();
        session.insert("d", &1).unwrap();
        let long = |n: usize| "x".repeat(n - 2); // and two quotes
        session.insert("d", &long(95)).unwrap();
        assert!(matches!(session.insert("d", &long(96)), Err(SessionError::TooLarge)));
        assert!(matches!(session.flash("d", &1), Err(SessionError::TooLarge)));
        session.save().await.unwrap();
        let read = sessions.open(&session.handle().unwrap()).await.unwrap().unwrap();
        assert_eq!(read.entries().len(), 3);
        assert_eq!(read.get::<String>("d").unwrap().unwrap().len(), 93);
    })
    .await;
}

#[tokio::test]
async fn errors_have_the_statuses_that_they_are_documented_with() {
    async fn grow(session: Session) -> Result<(), SessionProblem> {
        Ok(session.insert("a", &"x".repeat(70_000))?)
    }
    async fn read(session: Session) -> Result<String, SessionProblem> {
        Ok(session.get::<u8>("text")?.unwrap_or(0).to_string())
    }
    for_each_store(async |backend| {
        let sessions = backend.sessions();
        let router = Router::new().route("/grow", post(grow)).route("/read", get(read));
        let app = with_layer(router, &sessions).merge(site(&sessions));
        let mut browser = Browser::new(&app);
        browser.put("/entries/text", "x").await;
        assert_eq!(browser.post("/grow").await.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(browser.post("/count/text").await.status, StatusCode::BAD_REQUEST);
        assert_eq!(browser.put("/entries/@x", "x").await.status, StatusCode::BAD_REQUEST);
        assert_eq!(browser.put(&format!("/entries/{}", "n".repeat(129)), "").await.status, 400);
        assert_eq!(browser.post(&format!("/login/{}", "n".repeat(257))).await.status, 400);
        let answer = browser.get("/read").await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!answer.body.contains("type of"), "opaque: {}", answer.body);
        assert_eq!(browser.get("/me").await.json()["entries"], json!({ "text": "x" }));
    })
    .await;
}

#[tokio::test]
async fn additions_are_integers_within_exact_bounds() {
    const MAX: i64 = (1 << 53) - 1;
    for_each_store(async |backend| {
        let session = backend.sessions().start();
        assert_eq!(session.increment("n", 0).await.unwrap(), 0);
        assert_eq!(session.increment("n", MAX).await.unwrap(), MAX);
        assert_eq!(session.increment("n", -MAX).await.unwrap(), 0);
        assert_eq!(session.increment("n", -MAX).await.unwrap(), -MAX);
        let stored = async || {
            let handle = session.handle().unwrap();
            backend.sessions().open(&handle).await.unwrap().unwrap().get::<i64>("n").unwrap()
        };
        for by in [-1, -(MAX + 2), i64::MIN, 2 * MAX + 1, i64::MAX - 1, i64::MAX] {
            let beyond = session.increment("n", by).await;
            assert!(matches!(beyond, Err(SessionError::NotAnInteger)), "{by}: {beyond:?}");
            assert_eq!(stored().await, Some(-MAX), "{by}: what was refused changed nothing");
        }
        assert_eq!(session.get::<i64>("n").unwrap(), Some(-MAX));
        for not in [json!(1.5), json!("1"), json!(null), json!([]), json!(1e3), json!(-0.0), json!(u64::MAX)]
        {
            session.insert("x", &not).unwrap();
            assert!(matches!(session.increment("x", 1).await, Err(SessionError::NotAnInteger)), "{not}");
        }
    })
    .await;
}

/// One refused addition does not take along what was recorded beside it.
#[tokio::test]
async fn a_refused_addition_loses_no_other_change() {
    async fn handler(session: Session) -> Result<&'static str, SessionProblem> {
        session.login("alice")?;
        session.insert("kept", &1)?;
        match session.increment("text", 1).await {
            Err(SessionError::NotAnInteger) => Ok("refused"),
            other => panic!("{other:?}"),
        }
    }
    for_each_store(async |backend| {
        let sessions = backend.sessions();
        let app = with_layer(Router::new().route("/", post(handler)), &sessions).merge(site(&sessions));
        let mut browser = Browser::new(&app);
        browser.put("/entries/text", "x").await;
        assert_eq!(browser.post("/").await.body, "refused");
        let me = browser.get("/me").await.json();
        assert_eq!(me["entries"], json!({ "text": "x", "kept": 1 }));
        assert_eq!(me["user"], "alice");
        assert_eq!(sessions.list("alice").await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn clearing_keeps_the_session_and_who_signed_in() {
    async fn clear(session: Session) -> Result<(), SessionProblem> {
        session.clear()?;
        Ok(session.insert("after", &1)?)
    }
    for_each_store(async |backend| {
        let sessions = backend.sessions();
        let app = with_layer(Router::new().route("/clear", post(clear)), &sessions).merge(site(&sessions));
        let mut browser = Browser::new(&app);
        browser.post("/login/alice").await;
        browser.put("/entries/a", "1").await;
        let handle = browser.handle();
        assert_eq!(browser.post("/clear").await.set_cookies(), Vec::<&str>::new());
        let expected = json!({ "user": "alice", "handle": handle.as_str(), "entries": { "after": 1 } });
        assert_eq!(browser.get("/me").await.json(), expected);
    })
    .await;
}

#[tokio::test]
async fn values_come_back_as_they_were() {
    for_each_store(async |backend| {
        let session: Core = backend.sessions().start();
        let value = json!({ "text": "ü\0\n\"", "n": -1.5e300, "list": [null, true, u64::MAX], "deep": {} });
        session.insert("v", &value).unwrap();
        session.save().await.unwrap();
        let read = backend.sessions().open(&session.handle().unwrap()).await.unwrap().unwrap();
        assert_eq!(read.get::<serde_json::Value>("v").unwrap(), Some(value));
        assert_eq!(read.get::<u8>("absent").unwrap(), None);
        assert!(matches!(read.get::<u8>("v"), Err(SessionError::Decode)));
        assert!(read.get::<serde_json::Value>("v").unwrap().is_some(), "another type drops nothing");
    })
    .await;
}

/// The same through requests, whose writes take the shortest way.
#[tokio::test]
async fn a_refused_addition_of_a_request_changes_nothing() {
    async fn add(session: Session, Path(by): Path<i64>) -> Result<String, SessionProblem> {
        Ok(session.increment("n", by).await?.to_string())
    }
    const MAX: i64 = (1 << 53) - 1;
    for_each_store(async |backend| {
        let sessions = backend.sessions();
        let app = with_layer(Router::new().route("/add/{by}", post(add)), &sessions).merge(site(&sessions));
        for start in [0, 5, MAX, -MAX] {
            let mut browser = Browser::new(&app);
            assert_eq!(browser.post(&format!("/add/{start}")).await.body, start.to_string());
            for by in [
                i64::MIN,
                -(1 << 54) - 1,
                -(1 << 53) - 6,
                (1 << 53) + 7,
                (1 << 54) + 1,
                i64::MAX - 1,
                i64::MAX,
            ] {
                if start.checked_add(by).is_some_and(|sum| (-MAX..=MAX).contains(&sum)) {
                    continue;
                }
                let answer = browser.post(&format!("/add/{by}")).await;
                assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{start} + {by}");
                assert_eq!(browser.get("/me").await.json()["entries"]["n"], start, "{start} + {by}");
            }
        }
    })
    .await;
}

/// Two changes that take as many words as one other.
#[tokio::test]
async fn clearing_and_taking_go_together_in_either_order() {
    async fn first_clear(session: Session) -> Result<String, SessionProblem> {
        session.clear()?;
        take(session).await
    }
    async fn then_clear(session: Session) -> Result<String, SessionProblem> {
        session.take_flash::<String>("notice")?;
        session.clear()?;
        Ok("Some(\"saved\")".to_owned())
    }
    for_each_store(async |backend| {
        let sessions = backend.sessions();
        let router =
            Router::new().route("/first-clear", post(first_clear)).route("/then-clear", post(then_clear));
        let app = with_layer(router, &sessions).merge(app(backend));
        for path in ["/first-clear", "/then-clear"] {
            let mut browser = Browser::new(&app);
            browser.put("/entries/a", "1").await;
            browser.post("/give").await;
            let answer = browser.post(path).await;
            assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "Some(\"saved\")"), "{path}");
            assert_eq!(browser.get("/me").await.json()["entries"], json!({}), "{path}");
            assert_eq!(browser.post("/take").await.body, "None", "{path}");
        }
    })
    .await;
}
