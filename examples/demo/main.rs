//! A small site on tower-keep and axum: sign in, a counter, your devices, limited and cached routes.
//!
//! `cargo run --example demo_actix` is the same on actix-web; what both need is in `examples/site`.
//!
//! `cargo run --example demo` uses the embedded store; `REDIS_URL=redis://127.0.0.1 cargo run --example demo` uses Redis.
//! Settings: `ADDR`, `REDIS_URL`, `KEY_PREFIX`, `STORE_DEADLINE_MS`, `COOKIES` (`dev` or `secure`), `TRUSTED_PROXIES` (networks that may
//! send `X-Forwarded-For`), `RUST_LOG`.

mod api;
mod cached;
mod limits;
mod pages;
mod problem;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post, put};
use demo_site::{Settings, Site, named};
use tower_keep_axum::session::{SessionLayer, Sessions};

#[tokio::main]
async fn main() -> ExitCode {
    demo_site::exit(serve().await)
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let settings = Settings::from_env()?;
    let site = Site::open(&settings)?;
    let sessions = settings.sessions(&site.store)?;
    let limited = limits::routes(settings.limiters(&site.store)?, &settings.proxies);
    let listener = named("ADDR", tokio::net::TcpListener::bind(&settings.addr).await)?;
    let terminated = terminated()?;
    site.look().await;
    settings.announce(listener.local_addr()?);
    // The limits count by the client's address, so axum must pass it on.
    let site = router(site, limited, sessions).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, site).with_graceful_shutdown(terminated).await?;
    Ok(())
}

fn router(site: Site, limited: Router<Arc<Site>>, sessions: Sessions) -> Router {
    limited
        .merge(cached::routes(&site.cache))
        .route("/", get(pages::index))
        .route("/plain", get(|| async { "ok" }))
        .route("/healthz", get(pages::health))
        .route("/metrics", get(pages::metrics))
        .route("/purge", post(cached::purge))
        .route("/login", post(api::login))
        .route("/logout", post(api::logout))
        .route("/api/me", get(api::me))
        .route("/api/visits", post(api::visits))
        .route("/api/entries/{name}", put(api::put_entry).delete(api::delete_entry))
        .route("/api/devices", get(api::devices))
        .route("/api/devices/{handle}", delete(api::revoke_device))
        .route("/api/logout-others", post(api::logout_others))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .with_state(Arc::new(site))
        // Outermost: every route, and every error, passes the session layer.
        .layer(SessionLayer::new(sessions))
}

/// Ends with SIGTERM or Ctrl-C; requests under way are finished. Listens from the call on.
fn terminated() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    #[cfg(unix)]
    let mut signals = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Ok(async move {
        #[cfg(unix)]
        let terminate = signals.recv();
        #[cfg(not(unix))]
        let terminate = std::future::pending::<()>();
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate => {}
        }
    })
}
