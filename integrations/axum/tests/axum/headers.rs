//! What a response carries, and what it does not.

use axum::Router;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, SET_COOKIE, VARY};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{AppendHeaders, IntoResponse};
use axum::routing::post;
use tower_keep_axum::session::{CookieLifetime, SameSite, SessionCookie};
use tower_keep_axum::{Session, SessionProblem};

use crate::harness::{Backend, Browser, COOKIE, for_each_store, with_layer};
use crate::site::site;

type Headers<const N: usize> = AppendHeaders<[(HeaderName, &'static str); N]>;

async fn write(session: Session) -> Result<(), SessionProblem> {
    session.increment("n", 1).await?;
    session.rotate()?;
    Ok(())
}

async fn own_cookies(session: Session) -> Result<Headers<4>, SessionProblem> {
    write(session).await?;
    Ok(AppendHeaders([
        (SET_COOKIE, "theme=dark"),
        (SET_COOKIE, "__Host-session=from-the-handler; Path=/; Secure"),
        (SET_COOKIE, " __Host-session =again"),
        (SET_COOKIE, "__Host-session2=stays; Path=/; Secure"),
    ]))
}

async fn own_caching(
    session: Session,
    Path(control): Path<String>,
) -> Result<AppendHeaders<[(HeaderName, String); 2]>, SessionProblem> {
    write(session).await?;
    Ok(AppendHeaders([(CACHE_CONTROL, control), (VARY, "accept-language, Cookie".to_owned())]))
}

async fn failing(session: Session) -> Result<impl IntoResponse, SessionProblem> {
    write(session).await?;
    Ok((StatusCode::IM_A_TEAPOT, "as it was"))
}

async fn same_again(session: Session) -> Result<(), SessionProblem> {
    let n: i64 = session.get("n")?.unwrap_or(0);
    session.insert("n", &n)?;
    session.remove("absent")?;
    Ok(())
}

fn app(backend: &Backend) -> Router {
    let router = Router::new()
        .route("/write", post(write))
        .route("/own-cookies", post(own_cookies))
        .route("/own-caching/{control}", post(own_caching))
        .route("/failing", post(failing))
        .route("/same", post(same_again));
    with_layer(router, &backend.sessions()).merge(site(&backend.sessions()))
}

#[tokio::test]
async fn the_cookie_has_the_safe_attributes_and_is_not_cached() {
    for_each_store(async |backend| {
        let mut browser = Browser::new(&app(backend));
        let answer = browser.post("/write").await;
        let cookies = answer.set_cookies();
        let [line] = cookies[..] else { panic!("one cookie, not {cookies:?}") };
        let (value, attributes) = line.strip_prefix("__Host-session=").unwrap().split_once(';').unwrap();
        assert_eq!(attributes, " Path=/; Secure; HttpOnly; SameSite=Lax");
        assert_eq!(value.len(), 66);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("vary"), Some("cookie"));
    })
    .await;
}

#[tokio::test]
async fn nothing_is_sent_when_nothing_changed() {
    for_each_store(async |backend| {
        let mut browser = Browser::new(&app(backend));
        for path in ["/plain", "/nowhere"] {
            assert_eq!(browser.get(path).await.headers.get_all(VARY).iter().count(), 0, "{path}");
        }
        for _ in 0..2 {
            for (answer, varies) in [
                (browser.get("/plain").await, false),
                (browser.get("/me").await, true),
                (browser.delete("/entries/absent").await, true),
                (browser.put("/entries/a", "1").await, true),
                (browser.put("/entries/a", "1").await, true),
                (browser.post("/count/b").await, true),
            ] {
                let first = answer.cookie(COOKIE).is_some();
                let expected = first.then_some("no-store");
                assert_eq!(answer.header("cache-control"), expected);
                assert_eq!(answer.header("vary"), varies.then_some("cookie"));
            }
        }
        let answer = browser.put("/entries/a", "2").await;
        assert_eq!(answer.set_cookies(), Vec::<&str>::new(), "a write to a session that has its cookie");
        assert_eq!(browser.post("/same").await.set_cookies(), Vec::<&str>::new());
    })
    .await;
}

#[tokio::test]
async fn a_visitor_for_whom_nothing_is_kept_gets_no_cookie() {
    for_each_store(async |backend| {
        let mut browser = Browser::new(&app(backend));
        for answer in [
            browser.get("/me").await,
            browser.delete("/entries/absent").await,
            browser.post("/logout").await,
            browser.post("/rotate").await,
            browser.get("/devices").await,
        ] {
            assert_eq!(answer.set_cookies(), Vec::<&str>::new());
            assert_eq!(answer.header("cache-control"), None);
        }
        if let Some(server) = &backend.redis {
            assert_eq!(server.cmd::<u64>("DBSIZE", &[""; 0]), 0);
        }
    })
    .await;
}

#[tokio::test]
async fn ours_replaces_the_handlers_cookie_of_the_same_name_and_no_other() {
    for_each_store(async |backend| {
        let mut browser = Browser::new(&app(backend));
        let answer = browser.post("/own-cookies").await;
        let names: Vec<_> = answer.set_cookies().iter().map(|line| line.split('=').next().unwrap()).collect();
        assert_eq!(names, ["theme", "__Host-session2", COOKIE]);
        assert_eq!(browser.session().len(), 66);
        assert_eq!(browser.get("/me").await.json()["entries"]["n"], 1);
    })
    .await;
}

#[tokio::test]
async fn the_apps_own_caching_and_vary_stay() {
    let all = |headers: &HeaderMap, name| headers.get_all(name).iter().cloned().collect::<Vec<_>>();
    for (own, private) in [
        ("private, max-age=5", false),
        ("max-age=5, No-Store", false),
        ("max-age=5", true),
        ("public, max-age=5", true),
        // Of one field alone; and within a text.
        ("private=\"x\", max-age=5", true),
        ("ext=\"a, private, b\"", true),
    ] {
        let mut browser = Browser::new(&app(&Backend::embedded()));
        let path = own.replace(' ', "%20").replace('"', "%22");
        let answer = browser.post(&format!("/own-caching/{path}")).await;
        assert!(answer.cookie(COOKIE).is_some());
        let expected = if private { vec![own, "private"] } else { vec![own] };
        assert_eq!(all(&answer.headers, CACHE_CONTROL), expected);
        assert_eq!(all(&answer.headers, VARY), ["accept-language, Cookie"]);
    }
}

#[tokio::test]
async fn what_was_written_is_saved_whatever_the_status() {
    for_each_store(async |backend| {
        let mut browser = Browser::new(&app(backend));
        for n in 1..=2 {
            let answer = browser.post("/failing").await;
            assert_eq!((answer.status, answer.body.as_str()), (StatusCode::IM_A_TEAPOT, "as it was"));
            assert_eq!(browser.get("/me").await.json()["entries"]["n"], n);
        }
    })
    .await;
}

#[tokio::test]
async fn removal_has_the_attributes_of_the_cookie() {
    for_each_store(async |backend| {
        let cookie = SessionCookie::builder("sid")
            .domain("example.org")
            .path("/app")
            .same_site(SameSite::Strict)
            .partitioned()
            .build()
            .unwrap();
        let sessions =
            backend.builder().cookie(cookie).cookie_lifetime(CookieLifetime::Persistent).build().unwrap();
        let mut browser = Browser::new(&site(&sessions));
        let attributes = "; Domain=example.org; Path=/app; Secure; HttpOnly; SameSite=Strict; Partitioned";
        let answer = browser.post("/login/alice").await;
        let (_, rest) = answer.set_cookies()[0].split_once(';').unwrap();
        let rest = rest.trim_start_matches(&attributes[1..]);
        let age: u64 = rest.strip_prefix("; Max-Age=").unwrap().parse().unwrap();
        assert!((14 * 86_400 - 30..=14 * 86_400).contains(&age), "{age}");
        let answer = browser.post("/logout").await;
        let removal = format!("sid={attributes}; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(answer.set_cookies(), [removal.as_str()]);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(browser.cookies.is_empty());
    })
    .await;
}
