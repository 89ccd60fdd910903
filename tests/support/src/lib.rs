//! What the tests of this workspace share: real Redis servers as child processes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod monitor;
mod proxy;
mod server;

pub use monitor::Monitor;
pub use proxy::{Fault, Proxy};
pub use server::{RedisServer, free_port, kill};
