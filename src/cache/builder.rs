//! Settings of a cache, and their checks.

use std::sync::Arc;
use std::time::Duration;

use super::engine::{Config, Engine, HttpCache};
use super::error::CacheConfigError;
use super::policy::CachePolicy;
use super::wake;
use crate::store::{Part, Store};

/// What the store must have for it.
const PART: Part = Part {
    name: "cached responses",
    is_kept: false,
    commands: &[
        "GET",
        "SET",
        "MGET",
        "EXISTS",
        "PEXPIRE",
        "PTTL",
        "GETRANGE",
        "SETRANGE",
        "ZREM",
        "ZSCORE",
        "ZADD",
        "ZCARD",
        "ZRANGE",
        "ZRANGEBYSCORE",
        "ZREMRANGEBYSCORE",
        "PUBLISH",
    ],
};

/// Settings of an [`HttpCache`].
#[derive(Clone, Debug)]
#[must_use]
pub struct HttpCacheBuilder {
    store: Store,
    policy: CachePolicy,
    namespace: String,
    name: String,
    lease: Duration,
    wait: Duration,
    deadline: Duration,
    retention: Duration,
    keep_stale: Duration,
    max_variants: u64,
    max_fills: usize,
    known_heads: usize,
    fill_bytes: usize,
    pauses: (Duration, Duration),
}

/// The longest time that any setting may name: ten years.
const LONGEST: Duration = Duration::from_secs(315_576_000);

impl HttpCache {
    /// A cache with default settings: it stores what responses allow, for everybody, and nobody's own.
    ///
    /// # Errors
    ///
    /// None with the defaults.
    pub fn new(store: Store) -> Result<Self, CacheConfigError> {
        Self::builder(store).build()
    }

    /// Settings of a cache in this store.
    pub fn builder(store: Store) -> HttpCacheBuilder {
        HttpCacheBuilder {
            store,
            policy: CachePolicy::new(),
            namespace: "pages".to_owned(),
            name: "tower-keep".to_owned(),
            lease: Duration::from_secs(2),
            wait: Duration::from_secs(5),
            deadline: Duration::from_millis(100),
            retention: Duration::from_secs(7 * 86_400),
            keep_stale: Duration::from_secs(3600),
            max_variants: 64,
            max_fills: 10_000,
            known_heads: 10_000,
            fill_bytes: 64 << 20,
            pauses: wake::PAUSES,
        }
    }
}

impl HttpCacheBuilder {
    /// The policy of routes that get no other one. Default: [`CachePolicy::new`].
    pub fn policy(mut self, policy: CachePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// The word under which this cache's keys lie, 1 to 32 of `a-z 0-9 -`. Caches of the same store and namespace share what they
    /// store. Default `pages`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// How this cache calls itself in `Cache-Status`, visible ASCII up to 64 characters. Default `tower-keep`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// For how long a process that fills a URL keeps others from it, unless it says that it is still at it. A process that dies delays
    /// the others by no more. 100 ms to 60 s. Default 2 s.
    pub const fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long a request waits for somebody else's fill before it goes to the handler itself. Default 5 s.
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// How long a request waits for the store before it goes to the handler. Default 100 ms, and never longer than the store's own.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// For how long anything is stored at most, whatever its fields say. Default 7 days.
    pub const fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// For how long a stale response is kept that can be validated instead of made anew. Default 1 hour.
    pub const fn keep_stale(mut self, keep: Duration) -> Self {
        self.keep_stale = keep;
        self
    }

    /// How many variants of a URL are stored; with more, the URL begins anew. Default 64.
    pub const fn max_variants(mut self, most: u64) -> Self {
        self.max_variants = most;
        self
    }

    /// How many URLs are filled at the same time; requests beyond go to the handler and are not stored. Default 10,000.
    pub const fn max_fills(mut self, most: usize) -> Self {
        self.max_fills = most;
        self
    }

    /// How many heads of responses this process remembers so that hits take one round trip. About 4 KiB each. Default 10,000.
    pub const fn known_heads(mut self, most: usize) -> Self {
        self.known_heads = most;
        self
    }

    /// How many bytes of bodies may be on their way to the store in this process. A response that finds no room is sent and not
    /// stored. Default 64 MiB.
    pub const fn fill_bytes(mut self, bytes: usize) -> Self {
        self.fill_bytes = bytes;
        self
    }

    /// The shortest and the longest pause between two looks at what another process fills, for tests of what wakes up in between.
    #[cfg(feature = "test-util")]
    #[doc(hidden)]
    pub const fn pauses(mut self, shortest: Duration, longest: Duration) -> Self {
        self.pauses = (shortest, longest);
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// A [`CacheConfigError`] that names the setting.
    pub fn build(self) -> Result<HttpCache, CacheConfigError> {
        let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if self.namespace.is_empty() || self.namespace.len() > 32 || !self.namespace.bytes().all(word) {
            return Err(CacheConfigError::Namespace);
        }
        if self.name.is_empty() || self.name.len() > 64 || !self.name.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(CacheConfigError::Name);
        }
        if self.lease < Duration::from_millis(100) || self.lease > Duration::from_secs(60) {
            return Err(CacheConfigError::Lease);
        }
        let times = [self.wait, self.deadline, self.retention];
        if times.iter().any(|time| time.is_zero() || *time > LONGEST) || self.keep_stale > LONGEST {
            return Err(CacheConfigError::Time);
        }
        if self.max_variants == 0 || self.max_fills == 0 || self.known_heads == 0 || self.fill_bytes < 1024 {
            return Err(CacheConfigError::Bound);
        }
        if self.policy.early_refresh.is_some_and(|eagerness| !eagerness.is_finite() || eagerness < 0.0) {
            return Err(CacheConfigError::EarlyRefresh);
        }
        self.store.serves(&PART);
        let config = Config {
            namespace: self.namespace,
            name: self.name,
            lease: self.lease,
            wait: self.wait,
            deadline: self.deadline,
            retention: self.retention,
            keep_stale: self.keep_stale,
            max_variants: self.max_variants,
            max_fills: self.max_fills,
            pauses: self.pauses,
        };
        let engine = Engine::new(self.store, config, self.known_heads, self.fill_bytes >> 10);
        Ok(HttpCache { engine: Arc::new(engine), policy: Arc::new(self.policy) })
    }
}
