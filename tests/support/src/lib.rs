//! What the tests of this workspace share: real Redis servers as child processes, and how responses are read.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod answer;
mod cluster;
mod eventually;
mod frame;
mod log;
mod monitor;
mod ports;
mod proxy;
mod rng;
mod sentinel;
mod server;

pub use answer::{Answer, Jar, cookie_line};
pub use cluster::RedisCluster;
pub use eventually::eventually;
pub use log::Log;
pub use monitor::Monitor;
pub use ports::free_port;
pub use proxy::{Fault, Proxy};
pub use rng::Rng;
pub use sentinel::{MASTER, SentinelGroup};
pub use server::{RedisServer, kill};
