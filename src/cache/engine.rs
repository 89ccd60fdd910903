//! What all requests of a cache share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quick_cache::sync::Cache;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::flight::Flights;
use super::known::Memory;
use super::lookup::Request;
use super::policy::CachePolicy;
use super::reputation::Reputation;
use super::rules::VaryNames;
use super::url::url_hash;
use super::wake::Wakes;
use crate::store::key::Key;
use crate::store::{Batch, Store, StoreError};
use crate::view::RequestView;

/// The settings of a cache.
#[derive(Clone)]
pub(super) struct Config {
    pub(super) namespace: String,
    /// How it calls itself in `Cache-Status`.
    pub(super) name: String,
    /// For how long the right to fill is held unless it is renewed.
    pub(super) lease: Duration,
    /// How long a request waits for somebody else's fill.
    pub(super) wait: Duration,
    /// How long a request waits for the store.
    pub(super) deadline: Duration,
    /// For how long anything is stored at most.
    pub(super) retention: Duration,
    /// For how long a stale response that can be validated is kept.
    pub(super) keep_stale: Duration,
    pub(super) max_variants: u64,
    pub(super) max_fills: usize,
    /// The shortest and the longest pause between two looks at what another process fills.
    pub(super) pauses: (Duration, Duration),
}

/// A response cache: the engine behind [`CacheLayer`](super::CacheLayer), for purging and for layers with other policies.
///
/// Clones share everything. See the [module docs](super).
#[derive(Clone)]
pub struct HttpCache {
    pub(super) engine: Arc<Engine>,
    pub(super) policy: Arc<CachePolicy>,
}

/// Shared by all clones of a cache and its policies.
pub(super) struct Engine {
    pub(super) store: Store,
    pub(super) config: Config,
    pub(super) log: Key,
    pub(super) known: Memory,
    pub(super) flights: Arc<Flights>,
    pub(super) wakes: Arc<Wakes>,
    /// Fills that were lately not worth waiting for, and since when.
    pub(super) reputations: Cache<Key, (Reputation, Instant)>,
    /// Room for the bytes of bodies on their way to the store, in KiB.
    pub(super) room: Arc<Semaphore>,
}

impl Engine {
    pub(super) fn new(store: Store, config: Config, known: usize, fill_kib: usize) -> Self {
        let log = Key::cache_log(store.prefix(), &config.namespace);
        Self {
            store,
            log,
            known: Memory::new(known),
            flights: Flights::new(known),
            wakes: Arc::default(),
            reputations: Cache::new(known),
            room: Arc::new(Semaphore::new(fill_kib)),
            config,
        }
    }

    /// Asks the store, within the cache's deadline.
    pub(super) async fn run<B: Batch>(&self, batch: B) -> B::Outputs
    where
        B::Outputs: FromFailure,
    {
        let outputs = match self.store.run_in_process(&batch) {
            Some(outputs) => Ok(outputs),
            None => self.store.batch_within(batch, self.config.deadline).await,
        };
        outputs.unwrap_or_else(|error| {
            crate::metric::count("tower_keep_cache_store_failures_total", error.kind().as_str());
            B::Outputs::from_failure(error)
        })
    }

    pub(super) fn tag(&self, tag: &str) -> Key {
        Key::cache_tag(self.store.prefix(), &self.config.namespace, tag)
    }
}

impl HttpCache {
    /// The same cache with another policy: what is stored and purged is shared, routes differ in how.
    #[must_use]
    pub fn with_policy(&self, policy: CachePolicy) -> Self {
        Self { engine: Arc::clone(&self.engine), policy: Arc::new(policy) }
    }

    /// Where the response to a request lies, or what its variants are.
    pub(super) fn key_of(&self, request: &dyn RequestView) -> Key {
        let engine = &self.engine;
        Key::cached(engine.store.prefix(), &engine.config.namespace, &url_hash(request, &self.policy.key))
    }

    /// Which variant a request selects, as a word; empty where responses do not vary.
    pub(super) fn variant_word(&self, names: &VaryNames, request: Request<'_>) -> String {
        if names.is_empty() {
            return String::new();
        }
        URL_SAFE_NO_PAD.encode(names.key(request, &self.policy.rules.normalise).as_bytes())
    }

    /// The same word, and where that variant lies.
    pub(super) fn variant(
        &self,
        url: &Key,
        generation: &str,
        names: &VaryNames,
        request: Request<'_>,
    ) -> (String, Key) {
        let word = self.variant_word(names, request);
        let at = url.cached_variant(generation, &word);
        (word, at)
    }

    /// The store's time, in milliseconds since the Unix epoch.
    pub(super) fn now_ms(&self) -> u64 {
        self.engine.store.now_ms()
    }
}

impl fmt::Debug for HttpCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpCache")
            .field("namespace", &self.engine.config.namespace)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// A batch's outputs when it failed as a whole.
pub(super) trait FromFailure {
    fn from_failure(error: StoreError) -> Self;
}

impl<T> FromFailure for Result<T, StoreError> {
    fn from_failure(error: StoreError) -> Self {
        Err(error)
    }
}

impl<T: FromFailure> FromFailure for Option<T> {
    fn from_failure(error: StoreError) -> Self {
        Some(T::from_failure(error))
    }
}

impl<T: FromFailure> FromFailure for Vec<T> {
    fn from_failure(error: StoreError) -> Self {
        vec![T::from_failure(error)]
    }
}

impl<A: FromFailure, B: FromFailure> FromFailure for (A, B) {
    fn from_failure(error: StoreError) -> Self {
        (A::from_failure(error.clone()), B::from_failure(error))
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("namespace", &self.config.namespace).finish_non_exhaustive()
    }
}
