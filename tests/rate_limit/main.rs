//! The rate limiter on real Redis servers, from outside: the script against its model, exactness, refusals, failures.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod ahead;
mod concurrency;
mod engine;
mod exact;
mod failures;
mod fixture;
mod governor;
#[cfg(feature = "metrics")]
mod metrics;
mod model;
mod refusals;
