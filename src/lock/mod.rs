//! Locks by name over all processes, each with a time to live and a fencing number.
//!
//! ```
//! use std::time::Duration;
//! use tower_keep::lock::{Locks, Still};
//! use tower_keep::store::Store;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let locks = Locks::builder(Store::in_memory()).ttl(Duration::from_secs(30)).build()?;
//! let lock = locks.acquire("order:7").await?; // waits for up to 5 s
//! assert!(locks.try_acquire("order:7").await?.is_none(), "nobody holds it twice");
//! let fence = lock.fence(); // goes along with each write
//! assert_eq!(lock.release().await?, Still::Held);
//! assert!(locks.acquire("order:7").await?.fence() > fence);
//! # Ok(()) }
//! ```
//!
//! # What it promises
//!
//! - **One holder** by the store's clock: who holds a lock has a random token of 128 bits, and only with it can it be extended or given
//!   back. What is over is not given back by mistake from the next holder.
//! - **A fencing number** larger than all before, over expiry, [`force_release`](Locks::force_release), and a restart of Redis: it is the
//!   number after the last one, and never below the server's clock in microseconds.
//! - **Bounded waits**, checked settings, and errors of their own: a store that fails is not "held".
//!
//! # What it does not
//!
//! A lock alone cannot make two writes exclude each other: a holder can stand still for longer than its time and then go on, the
//! server's clock can jump, and a failover can lose the lock, since Redis replicates asynchronously. Let what is protected refuse
//! fencing numbers lower than one that it has seen; see `docs/locks.md`. Locks are not reentrant. There is no quorum of several
//! servers (Redlock).
//!
//! # Redis
//!
//! `{prefix}:lock:{namespace}:{{name}}` is a string `TOKEN FENCE` that lives as long as the lock is held, beside it `…:fence` for one
//! day. One script, with `GET SET DEL PEXPIRE PTTL TIME`.

mod builder;
mod engine;
mod error;
mod guard;
mod kept;
mod line;

pub use builder::LocksBuilder;
pub use engine::Locks;
pub use error::{LockConfigError, LockError};
pub use guard::{Lock, Still};
pub use kept::KeptLock;
