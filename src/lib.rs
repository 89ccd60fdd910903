//! Shared HTTP state for tower, axum and actix-web on Redis: sessions, rate limits and a response cache as Tower layers
//! over one bb8 connection pool, with an embedded store where there is no Redis.
//!
//! - [`store`]: one handle over Redis or the embedded store.
//! - [`cache`]: responses that are kept for all visitors, by the rules of HTTP, and purged for certain.
//! - [`rate_limit`]: limits on requests, exact over all processes, several at once, and their Tower layer.
//! - [`session`]: sessions that survive races, and their Tower layer.
//! - [`kv`]: typed values with revisions, transactions, atomic update, cache-aside, counters, sets and lists.
//! - [`lock`]: locks by name with fencing numbers, which extend themselves and say when they are lost.
//! - [`pubsub`]: typed messages to whoever listens, which say what was missed.
//!
//! # Features
//!
//! | name | default | adds |
//! |---|---|---|
//! | `tls` | no | `rediss://` URLs, by rustls |
//! | `metrics` | no | counters through the `metrics` facade |
//! | `test-util` | no | the acceptance suite of the store, for tests |
//!
//! No feature changes what the rest does.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[doc(hidden)]
pub mod adapter;
pub mod body;
pub mod cache;
pub mod clock;
pub mod fields;
pub mod kv;
pub mod lock;
mod metric;
pub mod pubsub;
mod race;
mod random;
pub mod rate_limit;
pub mod session;
pub mod store;
mod syntax;
#[cfg(feature = "test-util")]
pub mod test_util;
pub mod view;

/// The guides whose code needs the core alone are compiled as doc tests.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../docs/keys.md")]
    mod keys {}
    #[doc = include_str!("../docs/state.md")]
    mod state {}
    #[doc = include_str!("../docs/locks.md")]
    mod locks {}
    #[doc = include_str!("../docs/pubsub.md")]
    mod pubsub {}
    #[doc = include_str!("../docs/stampedes.md")]
    mod stampedes {}
    #[doc = include_str!("../docs/production.md")]
    mod production {}
    #[doc = include_str!("../docs/operations.md")]
    mod operations {}
}
