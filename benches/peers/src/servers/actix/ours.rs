//! tower-keep behind the smallest handlers that use a session, and around a small page.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Responder};
use tower_keep_actix::cache::{CacheMiddleware, HttpCache};
use tower_keep_actix::rate_limit::{FailurePolicy, Limit, Quota, RateLimiter, TrustedProxies};
use tower_keep_actix::session::{SessionCookie, Sessions};
use tower_keep_actix::store::Store;
use tower_keep_actix::{RateLimitMiddleware, Session, SessionMiddleware, SessionProblem, by_client};

use super::super::{COUNT, Error, MANY};

pub fn routes(redis: &str) -> Result<impl Fn(&mut ServiceConfig) + Clone + Send + use<>, Error> {
    let store = Store::connect(redis)?;
    let cookie = SessionCookie::insecure_for_development();
    let sessions = Sessions::builder(store.clone()).cookie(cookie).build()?;
    // A limit that failed open would look fast.
    let many = Limit::new("many", Quota::per_second(MANY)).on_failure(FailurePolicy::Closed);
    let limiter = RateLimiter::builder(store.clone()).limit(many).build()?;
    let cache = HttpCache::new(store)?;
    Ok(move |config: &mut ServiceConfig| {
        let session = || SessionMiddleware::new(sessions.clone());
        let limit = RateLimitMiddleware::new(limiter.clone(), by_client(TrustedProxies::none()));
        config
            .service(web::resource("/read").get(read).wrap(session()))
            .service(web::resource("/write").post(write).wrap(session()))
            .service(web::resource("/admitted").get(HttpResponse::Ok).wrap(limit))
            .service(web::resource("/page").get(page).wrap(CacheMiddleware::new(cache.clone())));
    })
}

async fn read(session: Session) -> Result<String, SessionProblem> {
    let count: i64 = session.get(COUNT)?.unwrap_or(0);
    Ok(count.to_string())
}

async fn write(session: Session) -> Result<String, SessionProblem> {
    let count = session.get::<i64>(COUNT)?.unwrap_or(0) + 1;
    session.insert(COUNT, &count)?;
    Ok(count.to_string())
}

async fn page() -> impl Responder {
    "x".repeat(1 << 10).customize().insert_header((CACHE_CONTROL, "max-age=86400"))
}
