//! The Redis backend: the only module that names `redis` and `bb8`.
//!
//! ```text
//! one server:  breaker -> check out (gate, pool) -> send (one command or one pipeline) -> recover NOSCRIPT -> classify
//! a Cluster:   to each node what it has the slots of, each node like one server -> follow MOVED, ASK -> one list of replies
//! ```

mod aside;
mod attempt;
mod backend;
mod breaker;
mod check;
mod checkout;
mod classify;
mod clock;
mod cluster;
mod connect;
mod driver;
mod foreign;
mod held;
mod home;
mod lasting;
mod link;
mod login;
mod manager;
mod monitor;
mod node;
mod raw;
mod resp;
mod script;
mod send;
mod sentinel;
mod sentinels;
mod subscriber;
mod supervise;
mod target;
#[cfg(feature = "tls")]
mod tls;

pub(super) use backend::{Redis, Used};
pub(super) use check::Server;
#[cfg(feature = "test-util")]
pub(super) use cluster::read_cluster_nodes;
pub(super) use foreign::shared;
pub use foreign::{ForeignConnection, ForeignPool};
pub(super) use node::Settings;
pub use raw::RawConnection;
#[cfg(feature = "test-util")]
pub(super) use resp::read_replies;
#[cfg(feature = "test-util")]
pub(super) use script::source;
pub use sentinels::Sentinels;
pub(super) use target::Target;
#[cfg(feature = "tls")]
pub use tls::TlsConfig;
