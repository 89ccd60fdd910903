//! A small site on tower-keep and actix-web: sign in, a counter, your devices, limited and cached routes.
//!
//! `cargo run --example demo` is the same on axum; what both need is in `examples/site`. Settings are the same, too: `ADDR`,
//! `REDIS_URL`, `KEY_PREFIX`, `STORE_DEADLINE_MS`, `COOKIES`, `TRUSTED_PROXIES`, `RUST_LOG`.

mod api;
mod cached;
mod limits;
mod pages;
mod problem;
mod segment;

use std::error::Error;
use std::process::ExitCode;

use actix_web::web::{self, FormConfig, PayloadConfig, ServiceConfig};
use actix_web::{App, HttpServer, Resource, Route, guard};
use demo_site::{Settings, Site, named};
use tower_keep_actix::SessionMiddleware;

/// The longest body of a request, in bytes.
const MAX_BODY: usize = 2 << 20;
/// How long requests under way may take when the program ends, in seconds.
const SHUTDOWN_S: u64 = 30;

#[actix_web::main]
async fn main() -> ExitCode {
    demo_site::exit(serve().await)
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let settings = Settings::from_env()?;
    // All workers share these: made here, on a runtime that no request blocks, and cloned for each.
    let site = web::Data::new(Site::open(&settings)?);
    let sessions = settings.sessions(&site.store)?;
    let limiters = settings.limiters(&site.store)?;
    let listener = named("ADDR", std::net::TcpListener::bind(&settings.addr))?;
    let proxies = settings.proxies.clone();
    site.look().await;
    settings.announce(listener.local_addr()?);
    let app = move || {
        App::new()
            .app_data(site.clone())
            .configure(|routes| limits::routes(routes, &limiters, &proxies))
            .configure(|routes| cached::routes(routes, &site.cache))
            .configure(routes)
            .default_service(web::to(problem::not_found))
            // Outermost: every route, and every error, passes the session middleware.
            .wrap(SessionMiddleware::new(sessions.clone()))
    };
    HttpServer::new(app).listen(listener)?.shutdown_timeout(SHUTDOWN_S).run().await?;
    Ok(())
}

fn routes(routes: &mut ServiceConfig) {
    routes
        .app_data(PayloadConfig::new(MAX_BODY))
        .app_data(FormConfig::default().limit(MAX_BODY))
        .service(at("/").route(get().to(pages::index)))
        .service(at("/plain").route(get().to(|| async { "ok" })))
        .service(at("/healthz").route(get().to(pages::health)))
        .service(at("/metrics").route(get().to(pages::metrics)))
        .service(at("/purge").route(web::post().to(cached::purge)))
        .service(at("/login").route(web::post().to(api::login)))
        .service(at("/logout").route(web::post().to(api::logout)))
        .service(at("/api/me").route(get().to(api::me)))
        .service(at("/api/visits").route(web::post().to(api::visits)))
        .service(
            at("/api/entries/{name}")
                .route(web::put().to(api::put_entry))
                .route(web::delete().to(api::delete_entry)),
        )
        .service(at("/api/devices").route(get().to(api::devices)))
        .service(at("/api/devices/{handle}").route(web::delete().to(api::revoke_device)))
        .service(at("/api/logout-others").route(web::post().to(api::logout_others)));
}

/// A resource whose other methods are a problem, too.
fn at(path: &str) -> Resource {
    web::resource(path).default_service(web::to(problem::method_not_allowed))
}

/// `GET`, and `HEAD`, whose answer is the same without its body (RFC 9110 §9.3.2).
fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}
