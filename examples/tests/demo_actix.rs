//! The tests of the demo, on the one on actix-web: `program.rs` runs the demo that has the name of its test program.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

#[path = "demo/cached.rs"]
mod cached;
#[path = "demo/client.rs"]
mod client;
#[path = "demo/contract.rs"]
mod contract;
#[path = "demo/limits.rs"]
mod limits;
#[path = "demo/load.rs"]
mod load;
#[path = "demo/outages.rs"]
mod outages;
#[path = "demo/program.rs"]
mod program;
#[path = "demo/settings.rs"]
mod settings;
