//! The site under test: `soak serve`, with its Redis in `REDIS_URL`.

use std::time::Duration;

use axum::extract::{Path, Query};
use axum::http::header::{ACCEPT_LANGUAGE, CACHE_CONTROL, VARY};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tower_keep_axum::cache::{CacheLayer, HttpCache};
use tower_keep_axum::rate_limit::{By, FailurePolicy, Limit, Quota, RateLimitLayer, RateLimiter};
use tower_keep_axum::session::{Lifetimes, SessionCookie, SessionLayer, Sessions};
use tower_keep_axum::store::Store;
use tower_keep_axum::{Session, SessionProblem};

/// What the bucket admits at once, and in each second.
pub const BURST: u64 = 10;
pub const PER_SECOND: u64 = 5;
/// What the window admits in all: it lasts longer than any soak.
pub const WINDOW: u64 = 20;
/// Secrets are renewed this often, so that many are.
const RENEWAL: Duration = Duration::from_secs(20);

/// What a session tells of itself.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Told {
    pub user: Option<String>,
    /// Set at the sign-in: the user's name again.
    pub own: Option<String>,
    /// The last value that was written; it begins with the user's name.
    pub value: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Slow {
    #[serde(default)]
    ms: u64,
}

type Answer<T> = Result<T, SessionProblem>;

/// Serves until it is ended.
pub async fn serve() {
    let store = Store::builder().connect(&std::env::var("REDIS_URL").unwrap()).unwrap();
    let sessions = Sessions::builder(store.clone())
        .cookie(SessionCookie::insecure_for_development())
        .lifetimes(Lifetimes::new().renewal(RENEWAL))
        .build()
        .unwrap();
    let health = store.clone();
    let app =
        Router::new()
            .route("/login/{user}", post(login))
            .route("/logout", post(logout))
            .route("/me", get(me))
            .route("/value/{value}", put(write))
            .route("/count", post(count))
            .route("/page/{name}", get(page).layer(CacheLayer::new(HttpCache::new(store.clone()).unwrap())))
            .route(
                "/bucket",
                get(|| async { "admitted" }).layer(limit(
                    &store,
                    "bucket",
                    Quota::per_second(PER_SECOND).burst(BURST),
                )),
            )
            .route(
                "/window",
                get(|| async { "admitted" }).layer(limit(
                    &store,
                    "window",
                    Quota::window(WINDOW, Duration::from_secs(86_400)),
                )),
            )
            .layer(SessionLayer::new(sessions))
            .route(
                "/healthz",
                get(async move || {
                    if health.health().await.is_up() {
                        StatusCode::OK
                    } else {
                        StatusCode::SERVICE_UNAVAILABLE
                    }
                }),
            );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    axum::serve(listener, app).await.unwrap();
}

/// Nobody is admitted uncounted, or the judge could not tell.
fn limit(store: &Store, name: &str, quota: Quota) -> RateLimitLayer {
    let limit = Limit::new(name, quota).on_failure(FailurePolicy::Closed);
    let limiter = RateLimiter::builder(store.clone()).namespace(name).limit(limit).build().unwrap();
    RateLimitLayer::new(limiter, By::header(HeaderName::from_static("x-client")))
}

async fn login(session: Session, Path(user): Path<String>) -> Answer<StatusCode> {
    session.login(&user)?;
    session.insert("own", &user)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn logout(session: Session) -> Answer<StatusCode> {
    session.logout()?;
    Ok(StatusCode::NO_CONTENT)
}

async fn me(session: Session) -> Answer<Json<Told>> {
    Ok(Json(Told { user: session.principal(), own: session.get("own")?, value: session.get("value")? }))
}

/// Reads first and writes at the end, after a while: so a sign-out may come in between.
async fn write(session: Session, Path(value): Path<String>, Query(slow): Query<Slow>) -> Answer<StatusCode> {
    if session.principal().is_none() {
        return Ok(StatusCode::UNAUTHORIZED);
    }
    session.insert("value", &value)?;
    tokio::time::sleep(Duration::from_millis(slow.ms.min(1_000))).await;
    Ok(StatusCode::NO_CONTENT)
}

async fn count(session: Session) -> Answer<(StatusCode, String)> {
    if session.principal().is_none() {
        return Ok((StatusCode::UNAUTHORIZED, String::new()));
    }
    Ok((StatusCode::OK, session.increment("n", 1).await?.to_string()))
}

async fn page(Path(name): Path<String>, headers: HeaderMap) -> impl IntoResponse {
    let language = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or("none");
    let fresh = "max-age=2, stale-while-revalidate=2";
    ([(CACHE_CONTROL, fresh), (VARY, "accept-language")], body(&name, language))
}

/// What a page is, which its URL and its variant alone decide: from 1 to 40 KiB.
pub fn body(name: &str, language: &str) -> String {
    let line = format!("{name} in {language}; ");
    let length = name.bytes().fold(7_u64, |sum, b| sum.wrapping_mul(31).wrapping_add(b.into())) % 40;
    line.repeat((length as usize + 1) * 1024 / line.len())
}
