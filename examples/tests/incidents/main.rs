//! Incidents that are about bytes: raw HTTP/1 goes to small servers on axum and on actix-web, with the cache in front, and the framing of
//! what comes back is checked. The list is `docs/incidents.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod framing;
mod poisoning;
#[path = "../serve/mod.rs"]
mod serve;
mod servers;
mod wire;
