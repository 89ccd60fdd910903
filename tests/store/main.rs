//! The store on real Redis servers, from outside: round trips, lost scripts, broken connections, outages, refusals.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod access;
mod batches;
mod breaker;
mod cancellation;
mod clients;
mod closing;
mod cluster;
mod connecting;
mod credentials;
mod desync;
mod fixture;
mod foreign_pools;
mod health;
mod held;
mod herd;
mod lost_scripts;
mod outages;
mod pool;
mod raw;
mod refusals;
mod replicas;
mod runtimes;
mod self_check;
mod sentinel;
#[cfg(feature = "tls")]
mod tls;
mod waiting;
mod wrong_types;
