//! Typed state as an application uses it, on both stores.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

mod collections;
mod commands;
mod conformance;
mod fetching;
mod fixture;
mod updates;
mod values;
