//! A small site on tower-keep and axum: sign in, a counter, your devices, limited and cached routes.
//!
//! `cargo run --example demo` uses the embedded store; `REDIS_URL=redis://127.0.0.1 cargo run --example demo` uses Redis.
//! Settings: `ADDR`, `REDIS_URL`, `KEY_PREFIX`, `STORE_DEADLINE_MS`, `COOKIES` (`dev` or `secure`), `TRUSTED_PROXIES` (networks that may
//! send `X-Forwarded-For`), `RUST_LOG`.

mod api;
mod cached;
mod limits;
mod pages;
mod problem;
mod settings;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post, put};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tower_keep_axum::cache::HttpCache;
use tower_keep_axum::session::{SessionLayer, Sessions};
use tower_keep_axum::store::Store;

use settings::{Settings, named};

/// What handlers share beside the session.
#[derive(Debug)]
pub struct App {
    store: Store,
    cache: HttpCache,
    metrics: PrometheusHandle,
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let settings = Settings::from_env()?;
    tracing_subscriber::fmt().with_env_filter(settings.log.as_str()).with_writer(std::io::stderr).init();
    let store = settings.store()?;
    let cache = cached::cache(&store)?;
    let app = App { store, cache, metrics: PrometheusBuilder::new().install_recorder()? };
    let sessions = settings.sessions(&app.store)?;
    let limited = limits::routes(&app.store, &settings.proxies)?;
    let listener = named("ADDR", tokio::net::TcpListener::bind(&settings.addr).await)?;
    let terminated = terminated()?;
    settings.announce(listener.local_addr()?);
    // The limits count by the client's address, so axum must pass it on.
    let site = router(app, limited, sessions).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, site).with_graceful_shutdown(terminated).await?;
    Ok(())
}

fn router(app: App, limited: Router<Arc<App>>, sessions: Sessions) -> Router {
    limited
        .merge(cached::routes(&app.cache))
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
        .with_state(Arc::new(app))
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
