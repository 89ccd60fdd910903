//! The demo as its users have it: a program that is started by its settings, spoken to over HTTP and ended by signals.
//!
//! Cargo builds a package's examples before it runs its tests: `cargo test -p tower-keep-examples`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod cached;
mod client;
mod contract;
mod limits;
mod load;
mod outages;
mod program;
mod settings;
mod topologies;
