//! Background jobs on the connections of a [`Store`](tower_keep::store::Store): [apalis](https://docs.rs/apalis) keeps the queue, this
//! crate sees to it that a job runs as often as it should and that its end is known.
//!
//! ```no_run
//! use std::time::Duration;
//! use serde::{Deserialize, Serialize};
//! use tower_keep_apalis::{Dead, Job, Jobs};
//!
//! #[derive(Clone, Serialize, Deserialize)]
//! struct Welcome {
//!     address: String,
//! }
//!
//! async fn send(job: Job<Welcome>) -> Result<(), std::io::Error> {
//!     println!("attempt {} for {}", job.attempt, job.args.address);
//!     Ok(())
//! }
//!
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! let store = tower_keep::store::Store::connect("redis://127.0.0.1")?;
//! let jobs = Jobs::<Welcome>::builder(store, "email").attempts(3).backoff(Duration::from_secs(2)).build()?;
//! let id = jobs.enqueue_after(Welcome { address: "a@example.org".into() }, Duration::from_secs(300)).await?;
//! println!("{:?}", jobs.status(&id).await?);
//! let worker = jobs.worker(send).on_dead(|dead: Dead| eprintln!("{} failed: {}", dead.id, dead.error));
//! worker.run_until(async { drop(tokio::signal::ctrl_c().await) }).await;
//! # Ok(()) }
//! ```
//!
//! # What it promises
//!
//! - **A job runs until it succeeds, and never more often than `attempts` says**, also over crashes: each attempt is counted in Redis
//!   before it begins. Between attempts it waits for `backoff`, twice that, four times that …, up to an hour.
//! - **A job that failed for good is dead**: it is not run again, and the hook hears of it once, with its id.
//! - **Its status can be asked for**, and ends by itself after `keep`.
//! - **A worker outlives Redis**: when the connection ends it begins again by itself. Jobs that were in its hands, or in those of a worker
//!   that died, are run again after `abandoned_after`. Queued jobs last as long as Redis keeps them: switch its append-only file on.
//! - **No connection of its own**: everything goes over the store's pool, under its deadline and behind its breaker.
//!
//! # What it does not
//!
//! A job that succeeded when Redis could not be told so is begun again, if it has attempts left; and one may run twice at the same time if its worker stands still for longer than `abandoned_after` and then goes on: what a job
//! does must be harmless when it is done again, or be guarded by a [fencing number](tower_keep::lock). Delays count in whole seconds
//! and may end up to one early. There are no priorities and no schedules.
//!
//! # Redis
//!
//! apalis' keys begin with `{prefix}:jobs:{queue}`, except for its list of queues, `core:apalis:queues:list`: that lies in another slot
//! of a Redis Cluster, where there are therefore no jobs. A worker asks by one script each `poll`, by three more each second. The status is a value of
//! [`KeyValue`](tower_keep::kv::KeyValue), `{prefix}:state:jobs:{queue:id}`. The README has the commands for an ACL.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod builder;
mod error;
mod jobs;
mod status;
mod sweep;
mod ticks;
mod turn;
mod worker;

pub use builder::JobsBuilder;
pub use error::{JobsConfigError, JobsError};
pub use jobs::{JobId, Jobs};
pub use status::{JobState, JobStatus};
pub use turn::{Dead, Job};
pub use worker::Worker;
