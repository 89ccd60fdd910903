//! Each extractor, with its layer and without.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use keep_testing::{Answer, Log};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tower_keep_axum::session::SessionLayer;
use tower_keep_axum::{Named, OptionalSession, RequiredSession, Session, SessionName, SessionProblem, Typed};

use crate::harness::{Backend, Browser, for_each_store, get_with, with_layer};

struct Admin;

impl SessionName for Admin {
    const NAMESPACE: &'static str = "admin";
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Cart {
    items: Vec<String>,
    voucher: Option<String>,
}

async fn by_session(session: Session) -> Result<String, SessionProblem> {
    Ok(session.increment("n", 1).await?.to_string())
}

async fn by_required(session: RequiredSession) -> Result<String, SessionProblem> {
    Ok(session.increment("n", 1).await?.to_string())
}

async fn by_optional(session: OptionalSession) -> Result<String, SessionProblem> {
    Ok(session.increment("n", 1).await?.to_string())
}

async fn if_any(session: Option<Session>) -> Result<String, SessionProblem> {
    match session {
        Some(session) => Ok(session.increment("n", 1).await?.to_string()),
        None => Ok("no layer".to_owned()),
    }
}

async fn by_name(session: Named<Admin>) -> Result<String, SessionProblem> {
    Ok(session.increment("n", 1).await?.to_string())
}

async fn typed(cart: Typed<Cart>) -> Result<String, SessionProblem> {
    let items = cart.modify(|cart| {
        cart.items.push("tea".to_owned());
        cart.items.len()
    })?;
    Ok(items.to_string())
}

async fn all_at_once(
    session: Session,
    required: RequiredSession,
    optional: OptionalSession,
    cart: Typed<Cart>,
) -> Result<String, SessionProblem> {
    session.insert("one", &1)?;
    required.insert("two", &2)?;
    optional.insert("three", &3)?;
    cart.modify(|cart| cart.voucher = Some("four".to_owned()))?;
    Ok(json!(session.entries()).to_string())
}

fn routes() -> Router {
    Router::new()
        .route("/session", get(by_session))
        .route("/required", get(by_required))
        .route("/optional", get(by_optional))
        .route("/if-any", get(if_any))
        .route("/named", get(by_name))
        .route("/typed", get(typed))
        .route("/all", get(all_at_once))
}

#[tokio::test]
async fn every_extractor_reads_and_writes_the_session() {
    for_each_store(async |backend| {
        let sessions = backend.builder().namespace("admin").build().unwrap();
        let app = with_layer(routes(), &sessions);
        for path in ["/session", "/required", "/optional", "/if-any", "/named", "/typed"] {
            let mut browser = Browser::new(&app);
            for expected in ["1", "2", "3"] {
                let answer = browser.get(path).await;
                assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, expected), "{path}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn all_extractors_of_a_request_share_one_session() {
    for_each_store(async |backend| {
        let app = with_layer(routes(), &backend.sessions());
        let mut browser = Browser::new(&app);
        let expected = json!({ "one": 1, "two": 2, "three": 3, "voucher": "four" });
        for _ in 0..2 {
            assert_eq!(browser.get("/all").await.json(), expected);
        }
    })
    .await;
}

fn assert_opaque(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let problem = json!({ "type": "about:blank", "title": "Internal Server Error", "status": 500 });
    assert_eq!(answer.json(), problem);
    assert!(!answer.headers.contains_key("set-cookie"));
}

#[tokio::test]
async fn a_missing_layer_is_an_opaque_500_and_a_log_line_that_names_it() {
    let app = routes();
    for (path, name) in [
        ("/session", "`session`"),
        ("/required", "`session`"),
        ("/optional", "`session`"),
        ("/typed", "`session`"),
        ("/named", "`admin`"),
    ] {
        let log = Log::start();
        assert_opaque(&get_with(&app, path, &[]).await);
        let warnings = log.warnings();
        let [line] = &warnings[..] else { panic!("one line, not {warnings:?}") };
        assert!(line.contains("ERROR") && line.contains(name) && line.contains("SessionLayer"), "{line}");
    }
    assert_eq!(get_with(&app, "/if-any", &[]).await.body, "no layer");
}

#[tokio::test]
async fn a_layer_of_another_name_is_missing_too() {
    let log = Log::start();
    let app = routes().layer(SessionLayer::new(Backend::embedded().sessions()));
    assert_opaque(&get_with(&app, "/named", &[]).await);
    assert!(log.warnings()[0].contains("`admin`"));
    assert_eq!(get_with(&app, "/session", &[]).await.body, "1");
}

#[tokio::test]
async fn parallel_changes_of_different_fields_of_a_type_both_win() {
    use crate::site::{Pause, pause};
    use axum::{Extension, body::Body, http::Request};

    async fn buy(cart: Typed<Cart>, Extension(pause): Extension<Pause>) -> Result<(), SessionProblem> {
        cart.modify(|cart| cart.items.push("tea".to_owned()))?;
        pause.wait().await;
        pause.wait().await;
        Ok(())
    }
    async fn redeem(cart: Typed<Cart>) -> Result<(), SessionProblem> {
        Ok(cart.modify(|cart| cart.voucher = Some("spring".to_owned()))?)
    }
    async fn show(cart: Typed<Cart>) -> Result<String, SessionProblem> {
        Ok(serde_json::to_string(&cart.get()?).unwrap())
    }
    for_each_store(async |backend| {
        let router = routes().route("/buy", get(buy)).route("/redeem", get(redeem)).route("/show", get(show));
        let app = with_layer(router, &backend.sessions());
        let mut browser = Browser::new(&app);
        browser.get("/typed").await;
        let (mut slow, gate) = (browser.clone(), pause());
        let request = Request::get("/buy").extension(gate.clone()).body(Body::empty()).unwrap();
        let overlap = async {
            gate.wait().await;
            assert_eq!(browser.get("/redeem").await.status, StatusCode::OK);
            gate.wait().await;
        };
        let (bought, ()) = tokio::join!(slow.send(request), overlap);
        assert_eq!(bought.status, StatusCode::OK);
        let cart = json!({ "items": ["tea", "tea"], "voucher": "spring" });
        assert_eq!(browser.get("/show").await.json(), cart);
    })
    .await;
}
