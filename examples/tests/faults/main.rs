//! The fault suite: what visitors of a site see when its Redis fails in each of the ways that are listed in `docs/faults.md`, over HTTP,
//! on axum and on actix-web. `scripts/faults` runs it at full length and writes that page.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

#[path = "../demo/client.rs"]
#[allow(dead_code, reason = "the demo's tests use the rest")]
mod client;
#[path = "../demo/program.rs"]
#[allow(dead_code, reason = "the demo's tests use the rest")]
mod program;
#[path = "../serve/mod.rs"]
mod serve;

mod access;
mod clocks;
mod clusters;
mod desync;
mod frozen;
mod gone;
mod killed;
mod load;
mod locks;
mod memory;
mod names;
mod pool;
mod process;
mod refusals;
mod row;
mod seen;
mod sentinels;
mod site;
mod tls;
mod wire;
mod world;
