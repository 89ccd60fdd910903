//! The middlewares and extractors in apps of actix-web.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod behind;
mod cache;
mod harness;
mod limits;
mod sessions;
mod streams;
mod workers;
