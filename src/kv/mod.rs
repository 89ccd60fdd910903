//! Typed state under keys: values with revisions, transactions, atomic update, cache-aside, counters, sets and lists.
//!
//! ```
//! use std::time::Duration;
//! use serde::{Deserialize, Serialize};
//! use tower_keep::kv::{KeyValue, KvError, Ttl};
//! use tower_keep::store::Store;
//!
//! #[derive(Serialize, Deserialize, Debug, PartialEq)]
//! struct Cart {
//!     items: Vec<String>,
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let carts = KeyValue::<Cart>::new(Store::in_memory(), "carts")?; // or Store::connect("redis://127.0.0.1")?
//! let day = Ttl::After(Duration::from_secs(86_400));
//! let first = carts.set("alice", &Cart { items: vec!["tea".into()] }, day).await?;
//! carts.replace("alice", &Cart { items: vec![] }, Ttl::KeepRemaining, first).await?;
//! let stale = carts.replace("alice", &Cart { items: vec![] }, day, first).await;
//! assert!(matches!(stale, Err(KvError::Mismatch)), "somebody wrote since");
//! assert!(carts.remove("alice").await?);
//! # Ok(()) }
//! ```
//!
//! # What it promises
//!
//! - **How long a value lives is said each time** ([`Ttl`]), and set with the value in one command.
//! - **A revision never comes back**: it is random with each write. A write with a revision to a key that is gone fails, and never
//!   brings the value back.
//! - **All or nothing**: [`Group::commit`] checks every condition before it writes anything.
//! - **No lost update**: [`KeyValue::update`] compares and sets, and holds no lock.
//! - **Typed errors**: what cannot be read, is not valid, or lies there as another type is an error of its own, and stays as it is.
//!
//! What may be done is a type: [`KvReader`] reads, [`KvWriter`] also writes, [`KeyValue`] does everything.
//!
//! # What it does not do
//!
//! It does not query, and writes to keys of different groups are not one step. A write that ended with a time-out may have happened.
//!
//! # Redis
//!
//! A value is one string, `1REVISION CHECK VALUE`, under `{prefix}:state:{name}:{{key}}`; see `docs/keys.md`. Commands: `GET MGET SET
//! DEL PTTL SCAN UNLINK`, and in scripts `GETRANGE EXISTS INCRBY PEXPIRE PERSIST SISMEMBER SCARD SADD RPUSH LTRIM`; sets and lists
//! also `SREM SMEMBERS LPOP LRANGE`; cache-aside also what leases need.

mod builder;
mod codec;
mod counters;
mod engine;
mod error;
mod fetch;
mod flight;
mod lists;
mod members;
mod read;
mod record;
mod ttl;
mod update;
mod write;

pub use builder::KeyValueBuilder;
pub use codec::{BoxError, Codec, Json};
pub use counters::Counters;
pub use engine::{Group, KeyValue, KvReader, KvWriter, Versioned};
pub use error::{FetchError, KvConfigError, KvError, SharedError, UpdateError};
pub use lists::Lists;
pub use members::Members;
pub use read::{Pages, Remainder};
pub use record::Revision;
pub use ttl::Ttl;
pub use update::Update;
pub use write::Write;
