//! Sessions and rate limits as an app on axum, and those who attack it, see them: through routers, on both stores.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod accounts;
mod cache;
mod cookies;
mod corrupt;
mod extractors;
mod failure;
mod harness;
mod headers;
mod interleavings;
mod lifetimes;
mod origin;
mod races;
mod rate_limit;
mod round_trips;
mod routing;
mod secrets;
mod site;
mod streams;
mod values;
