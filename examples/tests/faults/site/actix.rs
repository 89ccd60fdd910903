//! The app on actix-web, with two workers.

use std::net::SocketAddr;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{self, Data, Path, ServiceConfig};
use actix_web::{App, HttpServer, Responder};
use tower_keep_actix::cache::CacheMiddleware;
use tower_keep_actix::rate_limit::{RateLimiter, TrustedProxies};
use tower_keep_actix::{RateLimitMiddleware, Session, SessionMiddleware, SessionProblem, by_client};

use super::{Engines, FRESH, big};
use crate::serve::on_actix;

pub async fn serve(engines: Engines) -> SocketAddr {
    let app = move || {
        let sessions = SessionMiddleware::new(engines.sessions.clone());
        App::new().configure(|config| routes(config, &engines)).wrap(sessions)
    };
    on_actix(move || {
        let server = HttpServer::new(app).workers(2).disable_signals().bind("127.0.0.1:0").unwrap();
        (server.addrs()[0], server.run())
    })
    .await
}

fn routes(config: &mut ServiceConfig, engines: &Engines) {
    let limit =
        |limiter: &RateLimiter| RateLimitMiddleware::new(limiter.clone(), by_client(TrustedProxies::none()));
    let limited = || async { "limited" };
    let cache = CacheMiddleware::new(engines.cache.clone());
    config
        .app_data(Data::new(engines.clone()))
        .route("/plain", web::get().to(|| async { "plain" }))
        .route("/login/{name}", web::post().to(login))
        .route("/logout", web::post().to(logout))
        .route("/me", web::get().to(me))
        .route("/count", web::post().to(count))
        .route("/note/{bytes}", web::post().to(note))
        .service(web::resource("/limited").get(limited).wrap(limit(&engines.open)))
        .service(web::resource("/strict").get(limited).wrap(limit(&engines.closed)))
        .service(web::resource("/page/{name}").get(page).wrap(cache.clone()))
        .service(web::resource("/big/{kib}").get(bytes).wrap(cache));
}

async fn login(session: Session, name: Path<String>) -> Result<&'static str, SessionProblem> {
    session.login(&name)?;
    Ok("welcome")
}

async fn logout(session: Session) -> Result<&'static str, SessionProblem> {
    session.logout()?;
    Ok("bye")
}

async fn me(session: Session) -> String {
    session.principal().unwrap_or_else(|| "nobody".to_owned())
}

async fn count(session: Session) -> Result<String, SessionProblem> {
    Ok(session.increment("count", 1).await?.to_string())
}

async fn note(session: Session, bytes: Path<usize>) -> Result<&'static str, SessionProblem> {
    session.insert("note", &"x".repeat(*bytes))?;
    Ok("noted")
}

async fn page(engines: Data<Engines>, name: Path<String>) -> impl Responder {
    engines.page(&name).customize().insert_header((CACHE_CONTROL, FRESH))
}

async fn bytes(kib: Path<usize>) -> impl Responder {
    big(*kib).customize().insert_header((CACHE_CONTROL, FRESH))
}
