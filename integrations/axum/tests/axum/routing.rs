//! Where the layer may stand, and several of them in one app.

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde_json::json;
use tower_keep_axum::session::{SessionCookie, SessionLayer, SessionSet, Sessions};
use tower_keep_axum::{Named, Session, SessionName, SessionProblem};

use crate::harness::{Backend, Browser, for_each_store, get_with, with_layer};

async fn count(session: Session) -> Result<String, SessionProblem> {
    Ok(session.increment("n", 1).await?.to_string())
}

#[tokio::test]
async fn the_layer_stands_on_routers_routes_and_nested_routers() {
    for_each_store(async |backend| {
        let sessions = backend.sessions();
        let layer = || SessionLayer::new(sessions.clone());
        let inner = || Router::new().route("/n", get(count));
        let app = Router::new()
            .merge(inner().route_layer(layer()))
            .nest("/nested", inner())
            .nest("/own", inner().layer(layer()))
            .fallback(count)
            .layer(layer());
        let mut browser = Browser::new(&app);
        for (path, expected) in [("/n", "1"), ("/nested/n", "2"), ("/own/n", "3"), ("/nowhere", "4")] {
            let answer = browser.get(path).await;
            assert_eq!(answer.body, expected, "{path}");
            assert!(answer.set_cookies().len() <= 1, "{path}: {:?}", answer.set_cookies());
        }
    })
    .await;
}

#[tokio::test]
async fn route_layer_leaves_unknown_paths_alone() {
    let backend = Backend::embedded();
    let app = Router::new()
        .route("/n", get(count))
        .route_layer(SessionLayer::new(backend.sessions()))
        .fallback(|session: Option<Session>| async move { session.is_none().to_string() });
    assert_eq!(get_with(&app, "/nowhere", &[]).await.body, "true");
    assert_eq!(get_with(&app, "/n", &[]).await.body, "1");
}

async fn guard(session: Session, request: Request, next: Next) -> Response {
    if session.principal().is_none() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if session.insert("guarded", &true).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    next.run(request).await
}

#[tokio::test]
async fn middleware_from_a_function_shares_the_handlers_session() {
    async fn inside(session: Session) -> Result<String, SessionProblem> {
        Ok(format!("{:?}", session.get::<bool>("guarded")?))
    }
    async fn login(session: Session) -> Result<(), SessionProblem> {
        session.login("alice")?;
        Ok(())
    }
    for_each_store(async |backend| {
        let guarded = Router::new().route("/inside", get(inside)).route_layer(from_fn(guard));
        let app = with_layer(guarded.route("/login", post(login)), &backend.sessions());
        let mut browser = Browser::new(&app);
        let refused = browser.get("/inside").await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        assert_eq!(refused.set_cookies(), Vec::<&str>::new());
        browser.post("/login").await;
        for _ in 0..2 {
            let answer = browser.get("/inside").await;
            assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "Some(true)"));
        }
    })
    .await;
}

struct Shop;

impl SessionName for Shop {
    const NAMESPACE: &'static str = "session";
}

struct Admin;

impl SessionName for Admin {
    const NAMESPACE: &'static str = "admin";
}

async fn both(shop: Named<Shop>, admin: Named<Admin>, inner: Session) -> Result<String, SessionProblem> {
    let (shop, admin) = (shop.increment("n", 1).await?, admin.increment("n", 10).await?);
    assert_eq!(inner.get::<i64>("n")?, Some(admin), "the innermost layer's is the unnamed one");
    Ok(format!("{shop} {admin}"))
}

async fn who(shop: Named<Shop>, admin: Named<Admin>) -> String {
    json!([shop.principal(), admin.principal(), shop.entries(), admin.entries()]).to_string()
}

async fn login_admin(admin: Named<Admin>) -> Result<(), SessionProblem> {
    admin.login("root")?;
    Ok(())
}

fn two_layers(backend: &Backend) -> (Router, Sessions, Sessions) {
    let shop = backend.sessions();
    let cookie = SessionCookie::builder("__Host-admin").build().unwrap();
    let admin = backend.builder().namespace("admin").cookie(cookie).build().unwrap();
    let app = Router::new()
        .route("/both", get(both))
        .route("/who", get(who))
        .route("/login-admin", post(login_admin))
        .layer(SessionLayer::new(admin.clone()))
        .layer(SessionLayer::new(shop.clone()));
    (app, shop, admin)
}

#[tokio::test]
async fn several_layers_keep_names_keys_and_cookies_apart() {
    for_each_store(async |backend| {
        let (app, shop, admin) = two_layers(backend);
        let mut browser = Browser::new(&app);
        let first = browser.get("/both").await;
        assert_eq!(first.body, "1 10");
        assert_eq!(first.set_cookies().len(), 2);
        assert_eq!(browser.get("/both").await.body, "2 20");
        browser.post("/login-admin").await;
        assert_eq!(browser.get("/who").await.json(), json!([null, "root", { "n": 2 }, { "n": 20 }]));
        assert_eq!(admin.list("root").await.unwrap().len(), 1);
        assert_eq!(shop.list("root").await.unwrap(), []);
        if let Some(server) = &backend.redis {
            let mut keys: Vec<String> = server.cmd("KEYS", "app:*");
            keys.sort();
            let kinds: Vec<_> = keys.iter().map(|key| key.rsplit_once(':').unwrap().0).collect();
            assert_eq!(kinds, ["app:admin-index", "app:admin", "app:session"]);
        }
        shop.revoke(&crate::harness::handle_of(&browser.cookies["__Host-session"])).await.unwrap();
        assert_eq!(browser.get("/who").await.json(), json!([null, "root", {}, { "n": 20 }]));
    })
    .await;
}

#[tokio::test]
async fn the_cookie_of_one_layer_opens_nothing_at_the_other() {
    for_each_store(async |backend| {
        let (app, ..) = two_layers(backend);
        let mut browser = Browser::new(&app);
        browser.get("/both").await;
        browser.post("/login-admin").await;
        let admin = browser.cookies["__Host-admin"].clone();
        let shop = browser.cookies["__Host-session"].clone();
        let mut swapped = Browser::new(&app);
        swapped.cookies.insert("__Host-session".into(), admin);
        swapped.cookies.insert("__Host-admin".into(), shop);
        assert_eq!(swapped.get("/who").await.json(), json!([null, null, {}, {}]));
    })
    .await;
}

#[tokio::test]
async fn without_axum_the_request_carries_the_session() {
    async fn raw(Extension(set): Extension<SessionSet>) -> String {
        let session = set.named("session").unwrap().load().await.unwrap();
        session.increment("n", 1).await.unwrap().to_string()
    }
    let app = with_layer(Router::new().route("/", get(raw)), &Backend::embedded().sessions());
    let mut browser = Browser::new(&app);
    assert_eq!(browser.get("/").await.body, "1");
    assert_eq!(browser.send(Request::get("/").body(Body::empty()).unwrap()).await.body, "2");
}
