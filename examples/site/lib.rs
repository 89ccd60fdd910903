//! What the demos on axum and on actix-web have in common: settings, and all that is not about their frameworks.
//!
//! Beside this a demo has its routes, what it takes out of requests, and how its framework makes responses.

pub mod account;
pub mod cached;
mod failure;
pub mod limits;
pub mod pages;
mod settings;

pub use failure::Failure;
pub use settings::{Settings, named};

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

/// How long the start waits for the store.
const LOOK: Duration = Duration::from_millis(500);

/// What handlers share beside the session.
#[derive(Debug)]
pub struct Site {
    /// The store on which everything stands.
    pub store: tower_keep::store::Store,
    /// The response cache.
    pub cache: tower_keep::cache::HttpCache,
    /// What is counted.
    pub metrics: metrics_exporter_prometheus::PrometheusHandle,
}

impl Site {
    /// Opens the store and sets up what stands on it. Served at once, also when Redis is down.
    ///
    /// # Errors
    ///
    /// The setting that cannot work.
    pub fn open(settings: &Settings) -> Result<Self, Box<dyn Error>> {
        tracing_subscriber::fmt().with_env_filter(settings.log.as_str()).with_writer(std::io::stderr).init();
        let store = settings.store()?;
        let cache = cached::cache(&store)?;
        let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder()?;
        Ok(Self { store, cache, metrics })
    }

    /// Looks whether the server suits what stands on it, before the first request, and logs what does not. Waits for half a second at
    /// most: a store that is down keeps no site from starting, and looks by itself when it is there.
    pub async fn look(&self) {
        // That it cannot be asked the store tells the log itself.
        if let Ok(Ok(findings)) = tokio::time::timeout(LOOK, self.store.self_check()).await {
            findings.iter().for_each(|finding| tracing::warn!("{finding}"));
        }
    }
}

/// How the program ends.
#[must_use]
pub fn exit(served: Result<(), Box<dyn Error>>) -> ExitCode {
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}
