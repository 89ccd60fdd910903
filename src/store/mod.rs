//! One handle over two backends: Redis, and an embedded store for one process.
//!
//! Engines hand a [`Store`] **operations**; several of different kinds go out as one pipelined round trip, each with a
//! typed answer of its own.
//!
//! ```
//! use tower_keep::store::Store;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let store = Store::in_memory(); // or Store::connect("redis://127.0.0.1")?
//! assert!(store.health().await.is_up());
//! # }
//! ```
//!
//! # What it promises
//!
//! - **A deadline over everything** (default 250 ms): the wait for a connection and the reply. When Redis stops answering, a
//!   breaker refuses at once and a task in the background finds out when it is back; the log has one line per change.
//! - **A reply reaches its own request**: connections are shared but carry no state (no `WATCH`, `MULTI`, `SELECT`), scripts
//!   echo their key and records hold a check of it. A reply that does not fit is counted and its connection is dropped.
//! - **Nothing runs twice**: only reads are sent again, when their connection ended. A write that ended with
//!   [`Timeout`](StoreErrorKind::Timeout) or [`Disconnected`](StoreErrorKind::Disconnected) may or may not have happened.
//! - **Bounds**: connections, waiters, waits, keys, and the embedded store's entries and bytes.
//!
//! # Keys
//!
//! `{prefix}:session:{handle}` a session (hash), `{prefix}:session-index:{principal}` its principal's index (sorted
//! set), `{prefix}:limit:…` a limit's state (string), `{prefix}:lease:…` leases (sorted set), and the others in `docs/keys.md`. See
//! [`key`] for the escaping.

mod builder;
mod channels;
mod check;
mod config;
mod credentials;
mod error;
mod fields;
#[cfg(feature = "test-util")]
#[doc(hidden)]
pub mod fuzzing;
mod health;
pub mod key;
mod memory;
pub mod op;
mod operation;
mod parts;
mod redis;
mod replicas;
mod revocations;
mod tasks;
mod wire;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[cfg(feature = "tls")]
pub use self::redis::TlsConfig;
pub use self::redis::{ForeignConnection, ForeignPool, RawConnection, Sentinels};
pub use builder::StoreBuilder;
pub use check::Finding;
pub use config::{StoreConfig, StoreConfigError};
pub use credentials::Credentials;
pub use error::{ConfigError, StoreError, StoreErrorKind};
pub use health::{Health, PoolCounts, StoreKind, StoreStatus};
pub use memory::MemoryLimits;
pub use operation::{Batch, Operation};
pub use replicas::Replicas;

pub(crate) use channels::{Heard, Listener, Topic};

use self::key::KeyPrefix;
use self::memory::Memory;
use self::operation::Verdict;
pub(crate) use self::parts::Part;
use self::parts::Parts;
use self::redis::{Redis, Used};
use self::revocations::Revocations;
use self::tasks::Tasks;
use self::wire::Commands;
use crate::clock::Clock;

/// The handle that everything stands on. Cheap to clone; clones share one pool.
#[derive(Clone, Debug)]
pub struct Store {
    backend: Backend,
    prefix: KeyPrefix,
    clock: Clock,
    revocations: Revocations,
    parts: Parts,
    tasks: Tasks,
}

#[derive(Clone, Debug)]
enum Backend {
    Memory(Arc<Memory>),
    Redis(Redis),
}

impl Store {
    /// The embedded store, with [default bounds](MemoryLimits): for one process, lost with it.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::in_memory_with(MemoryLimits::default(), Clock::system())
    }

    /// The embedded store with bounds and a clock of your choice.
    #[must_use]
    pub fn in_memory_with(limits: MemoryLimits, clock: Clock) -> Self {
        let backend = Backend::Memory(Memory::new(limits, clock.clone()));
        Self { clock, ..Self::over(backend, KeyPrefix::default(), Parts::default()) }
    }

    /// A store on the Redis at `url`, with default settings. See [`StoreBuilder::connect`].
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] when the URL cannot work, or when there is no tokio runtime.
    pub fn connect(url: &str) -> Result<Self, ConfigError> {
        Self::builder().connect(url)
    }

    /// Settings of a store on Redis.
    pub fn builder() -> StoreBuilder {
        StoreBuilder::default()
    }

    /// A store on a pool that exists already, with default settings. See [`StoreBuilder::from_pool`].
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] when there is no tokio runtime.
    pub fn from_pool<M>(pool: bb8::Pool<M>) -> Result<Self, ConfigError>
    where
        M: bb8::ManageConnection,
        M::Connection: ForeignConnection,
    {
        Self::builder().from_pool(pool)
    }

    fn redis(redis: Redis, prefix: KeyPrefix) -> Self {
        let store = Self::over(Backend::Redis(redis), prefix, Parts::default());
        store.check_in_background();
        store
    }

    fn over(backend: Backend, prefix: KeyPrefix, parts: Parts) -> Self {
        let (revocations, tasks) = (Revocations::default(), Tasks::default());
        Self { backend, prefix, clock: Clock::system(), revocations, parts, tasks }
    }

    /// The same store under another key prefix: the connections are shared, the keys are apart.
    #[must_use]
    pub fn with_prefix(&self, prefix: KeyPrefix) -> Self {
        Self { prefix, ..self.clone() }
    }

    /// What all keys begin with.
    #[must_use]
    pub const fn prefix(&self) -> &KeyPrefix {
        &self.prefix
    }

    /// Which backend serves.
    #[must_use]
    pub const fn kind(&self) -> StoreKind {
        match &self.backend {
            Backend::Memory(_) => StoreKind::Memory,
            Backend::Redis(_) => StoreKind::Redis,
        }
    }

    /// Whether it is on a Redis Cluster, where keys that are used together must lie in one slot.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        match &self.backend {
            Backend::Memory(_) => false,
            Backend::Redis(redis) => redis.is_cluster(),
        }
    }

    pub(crate) const fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// The clock of this process's side: the embedded store's own, or the system's beside Redis.
    pub(crate) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The store's time, in milliseconds since the Unix epoch: on Redis the server's, as last seen.
    pub(crate) fn now_ms(&self) -> u64 {
        match &self.backend {
            Backend::Memory(_) => self.clock.now_ms(),
            Backend::Redis(redis) => redis.now_ms(),
        }
    }

    /// The store's time at which a request that is sent now has run out of time, in milliseconds since the Unix epoch. `None` where
    /// nothing can be late, or the store's time is not known yet.
    pub(crate) fn not_after_ms(&self) -> Option<u64> {
        match &self.backend {
            Backend::Memory(_) => None,
            Backend::Redis(redis) => redis.not_after_ms(),
        }
    }

    /// Takes note of the store's time in a reply.
    pub(crate) fn observe(&self, now_ms: u64) {
        if let Backend::Redis(redis) = &self.backend {
            redis.observe(now_ms);
        }
    }

    /// Carries out one operation: one round trip.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] of any kind.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves the connection sound; a write may or may not have happened.
    pub async fn run<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        self.batch(operation).await?
    }

    /// Carries out several operations in one round trip, each with a result of its own.
    ///
    /// # Errors
    ///
    /// The outer error concerns the batch as a whole: no connection, no answer. Inner ones concern one operation.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves the connection sound; writes may or may not have happened.
    pub async fn batch<B: Batch>(&self, batch: B) -> Result<B::Outputs, StoreError> {
        self.carry_out(batch, None).await
    }

    /// [`batch`](Self::batch) within a deadline of its own, where less than the store's is worth waiting for: a
    /// [`Timeout`](StoreErrorKind::Timeout) then tells the breaker nothing, but makes the probe look.
    ///
    /// # Errors
    ///
    /// As [`batch`](Self::batch).
    ///
    /// # Cancel safety
    ///
    /// As [`batch`](Self::batch).
    pub fn batch_within<B: Batch>(
        &self,
        batch: B,
        deadline: Duration,
    ) -> impl Future<Output = Result<B::Outputs, StoreError>> + Send {
        self.carry_out(batch, Some(deadline))
    }

    /// The same without an await, where the store is embedded; `None` beside Redis.
    pub(crate) fn run_in_process<B: Batch>(&self, batch: &B) -> Option<B::Outputs> {
        match &self.backend {
            Backend::Memory(memory) => Some(self.apply(memory, batch)),
            Backend::Redis(_) => None,
        }
    }

    /// The same for what the response cache asks at each request: without the detour of a reply.
    pub(crate) fn fetch_in_process(&self, fetch: op::cache::Fetch<'_>) -> Option<op::cache::Values> {
        match &self.backend {
            Backend::Memory(memory) => Some(memory.run(|db| fetch.values(db))),
            Backend::Redis(_) => None,
        }
    }

    /// The same for limits, which are asked about each request: without the detour of a reply.
    pub(crate) fn decide_in_process(
        &self,
        limits: &op::DecideLimits,
    ) -> Option<Result<op::Decided, StoreError>> {
        match &self.backend {
            Backend::Memory(memory) => Some(memory.run(|db| limits.decide_on(db))),
            Backend::Redis(_) => None,
        }
    }

    fn apply<B: Batch>(&self, memory: &Memory, batch: &B) -> B::Outputs {
        let mut replies = memory.execute(&self.prefix, batch).into_iter();
        batch.outputs(&self.prefix, &mut replies, &mut Verdict::default())
    }

    async fn carry_out<B: Batch>(
        &self,
        batch: B,
        deadline: Option<Duration>,
    ) -> Result<B::Outputs, StoreError> {
        let mut verdict = Verdict::default();
        match &self.backend {
            Backend::Memory(memory) => Ok(self.apply(memory, &batch)),
            Backend::Redis(redis) => {
                let mut commands = Commands::new();
                batch.commands(&self.prefix, &mut commands);
                if commands.is_empty() {
                    return Ok(batch.outputs(&self.prefix, &mut std::iter::empty(), &mut verdict));
                }
                let used = match redis.execute(&commands, deadline).await {
                    Ok(used) => used,
                    Err(error) => {
                        crate::metric::count("tower_keep_store_errors_total", error.kind().as_str());
                        return Err(error);
                    }
                };
                for error in used.answers.errors() {
                    crate::metric::count("tower_keep_store_errors_total", error.kind().as_str());
                }
                let Used { answers, links, is_replicated } = used;
                verdict.unreplicated = !is_replicated;
                let outputs = answers.read(|replies| batch.outputs(&self.prefix, replies, &mut verdict));
                if verdict.desync {
                    redis.desynchronised(&links);
                }
                Ok(outputs)
            }
        }
    }

    /// Listens to messages, of which up to `capacity` wait to be taken.
    pub(crate) async fn listen(&self, topic: Topic, capacity: usize) -> Result<Listener, StoreError> {
        match &self.backend {
            Backend::Memory(memory) => Ok(memory.run(|db| db.channels().enter(topic, capacity)).0),
            Backend::Redis(redis) => redis.listen(topic, capacity).await,
        }
    }

    /// The pool as a connection of the `redis` crate, for commands that this crate does not have. `None` where the store is embedded.
    ///
    /// Costs nothing; each command or pipeline that is sent over it is one round trip. See [`RawConnection`].
    ///
    /// ```no_run
    /// # async fn f(store: tower_keep::store::Store) -> redis::RedisResult<()> {
    /// if let Some(mut raw) = store.raw() {
    ///     let (visits,): (u64,) = redis::pipe().incr("demo:visits", 1).expire("demo:visits", 60).ignore().query_async(&mut raw).await?;
    ///     println!("{visits} visits");
    /// }
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn raw(&self) -> Option<RawConnection> {
        match &self.backend {
            Backend::Memory(_) => None,
            Backend::Redis(redis) => Some(RawConnection::new(redis.clone())),
        }
    }

    /// How the store is. On Redis: one `TIME`, past the breaker, within the deadline.
    pub async fn health(&self) -> Health {
        match &self.backend {
            Backend::Memory(memory) => {
                let begun = Instant::now();
                memory.usage();
                let latency: Result<Duration, StoreError> = Ok(begun.elapsed());
                let pool = PoolCounts::default();
                Health { kind: StoreKind::Memory, status: StoreStatus::Up, latency, pool, desyncs: 0 }
            }
            Backend::Redis(redis) => {
                let latency = redis.latency().await;
                let (status, pool) = (redis.status(), redis.counts());
                Health { kind: StoreKind::Redis, status, latency, pool, desyncs: redis.desyncs() }
            }
        }
    }
}
