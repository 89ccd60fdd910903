//! What went wrong elsewhere, told as tests: each is named after the incident and says what must not happen here.
//!
//! The list with all names is `docs/incidents.md`; those that need a real HTTP server are in `examples/tests/incidents/`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod app;
mod cache;
mod cookies;
#[path = "../cache/fixture.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "each test program uses some of it")]
mod fixture;
mod handshakes;
mod limits;
mod logs;
mod outages;
mod replies;
mod sessions;
#[path = "../store/fixture.rs"]
#[allow(dead_code, reason = "each test program uses some of it")]
mod stored;
mod strangers;
