//! A request that takes longer than a client should wait: `202 Accepted` at once, and a URL that tells how far it is.
//!
//! ```sh
//! REDIS_URL=redis://127.0.0.1 cargo run -p tower-keep-apalis --example jobs
//! curl -i -d 'a@example.org' http://127.0.0.1:3000/welcome     # 202, Location: /jobs/01J…
//! curl http://127.0.0.1:3000/jobs/01J…                         # {"state":"done","attempts":2,…}
//! ```
//!
//! Every first attempt fails, and an address without an `@` always does.

use std::env;
use std::error::Error;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tower_keep::store::{ConfigError, Store};
use tower_keep_apalis::{Dead, Job, JobId, Jobs, JobsConfigError};

/// What is queued.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Welcome {
    address: String,
}

/// Sends a mail, or would.
pub async fn send(job: Job<Welcome>) -> Result<(), &'static str> {
    match job.args.address.contains('@') {
        true if job.attempt > 1 => Ok(()),
        true => Err("the mail server is busy"),
        false => Err("no such address"),
    }
}

/// The queue.
pub fn jobs(store: Store) -> Result<Jobs<Welcome>, JobsConfigError> {
    Jobs::builder(store, "email").attempts(3).backoff(Duration::from_secs(1)).build()
}

/// The site.
pub fn router(jobs: Jobs<Welcome>) -> Router {
    Router::new().route("/welcome", post(welcome)).route("/jobs/{id}", get(status)).with_state(jobs)
}

async fn welcome(State(jobs): State<Jobs<Welcome>>, address: String) -> Response {
    match jobs.enqueue(Welcome { address }).await {
        Ok(id) => (StatusCode::ACCEPTED, [(header::LOCATION, format!("/jobs/{id}"))]).into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn status(State(jobs): State<Jobs<Welcome>>, Path(id): Path<String>) -> Response {
    let Some(id) = JobId::from_text(&id) else { return StatusCode::NOT_FOUND.into_response() };
    match jobs.status(&id).await {
        Ok(Some(status)) => Json(status).into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// The store.
fn store() -> Result<Store, ConfigError> {
    Store::connect(&env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1".to_owned()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let jobs = jobs(store()?)?;
    let dead = |dead: Dead| eprintln!("{} failed {} times: {}", dead.id, dead.attempts, dead.error);
    let worker = jobs.worker(send).on_dead(dead);
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    let site = tokio::spawn(axum::serve(listener, router(jobs)).into_future());
    worker.run_until(stop).await;
    site.abort();
    Ok(())
}
