//! The middlewares and extractors on actix-web, with two workers.

use std::net::SocketAddr;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ETAG};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, HttpServer, Responder, error::InternalError};
use tower_keep_actix::cache::CacheMiddleware;
use tower_keep_actix::rate_limit::TrustedProxies;
use tower_keep_actix::{RateLimitMiddleware, Session, SessionMiddleware, SessionProblem, by_client};

use super::Engines;
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
    let limits = RateLimitMiddleware::new(engines.limiter.clone(), by_client(TrustedProxies::none()));
    let cache = CacheMiddleware::new(engines.cache.clone());
    config
        .app_data(Data::new(engines.clone()))
        .route("/count", web::to(count))
        .route("/login", web::to(login))
        .route("/logout", web::to(logout))
        .route("/who", web::to(who))
        .route("/fails", web::to(fails))
        .service(web::resource("/limited").get(|| async { "hello" }).wrap(limits))
        .service(web::resource("/page").route(web::get().to(page)).route(web::head().to(page)).wrap(cache));
}

async fn count(session: Session) -> Result<String, SessionProblem> {
    Ok(session.increment("count", 1).await?.to_string())
}

async fn login(session: Session) -> Result<&'static str, SessionProblem> {
    session.login("alice")?;
    Ok("welcome")
}

async fn logout(session: Session) -> Result<&'static str, SessionProblem> {
    session.logout()?;
    Ok("bye")
}

async fn who(session: Session) -> String {
    session.principal().unwrap_or_else(|| "nobody".to_owned())
}

/// The failure is an error, as of a handler that uses `?`.
async fn fails(session: Session) -> Result<&'static str, actix_web::Error> {
    session.increment("count", 1).await.map_err(SessionProblem)?;
    Err(InternalError::new("", StatusCode::IM_A_TEAPOT).into())
}

async fn page(engines: Data<Engines>) -> impl Responder {
    engines.page().customize().insert_header((CACHE_CONTROL, super::FRESH)).insert_header((ETAG, super::ETAG))
}
