//! Settings of a store on Redis.

use std::time::Duration;

use tokio::runtime::Handle;

use super::Store;
use super::error::ConfigError;
use super::key::KeyPrefix;
#[cfg(feature = "tls")]
use super::redis::TlsConfig;
use super::redis::{ForeignConnection, Redis, Sentinels, Settings, Target};

const MAX_WAIT: Duration = Duration::from_secs(60);

/// Builds a [`Store`] on Redis. All numbers are checked by [`connect`](Self::connect) and [`from_pool`](Self::from_pool).
#[derive(Clone, Debug)]
#[must_use]
pub struct StoreBuilder {
    settings: Settings,
    runtime: Option<Handle>,
}

impl Default for StoreBuilder {
    fn default() -> Self {
        let settings = Settings {
            prefix: KeyPrefix::default(),
            pool_size: 4,
            max_waiting: 1024,
            deadline: Duration::from_millis(250),
            connect_timeout: Duration::from_secs(1),
            probe_interval: Duration::from_millis(250),
            #[cfg(feature = "tls")]
            tls: TlsConfig::new(),
        };
        Self { settings, runtime: None }
    }
}

impl StoreBuilder {
    /// What all keys begin with. Default `keep`.
    pub fn prefix(mut self, prefix: KeyPrefix) -> Self {
        self.settings.prefix = prefix;
        self
    }

    /// The number of connections, 1 to 1,000, to each master of a Cluster. Default 4: requests share them, so few serve many.
    pub fn pool_size(mut self, connections: u32) -> Self {
        self.settings.pool_size = connections;
        self
    }

    /// How many requests may wait for a connection before further ones are refused at once, at least 1. Default 1,024.
    pub fn max_waiting(mut self, requests: usize) -> Self {
        self.settings.max_waiting = requests;
        self
    }

    /// What one operation or batch may take in all: the wait for a connection and the reply. Up to 60 s. Default 250 ms.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = deadline;
        self
    }

    /// What opening a connection may take, handshake included. Up to 60 s. Default 1 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// How often Redis is asked, while it does not answer, whether it does again. Up to 60 s. Default 250 ms.
    pub fn probe_interval(mut self, interval: Duration) -> Self {
        self.settings.probe_interval = interval;
        self
    }

    /// The runtime on which connections live; it must outlive every user of the store. Default: the one in which the
    /// store is built.
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Roots and client certificate for `rediss://` URLs.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.settings.tls = tls;
        self
    }

    /// A store on the Redis at `url`: `redis://`, `rediss://` (feature `tls`), `redis+unix://`,
    /// `sentinel:MASTER@host:port,host:port`, see [`connect_sentinel`](Self::connect_sentinel), or
    /// `cluster:redis://host:port,redis://host:port`, see [`connect_cluster`](Self::connect_cluster).
    ///
    /// Returns at once and never waits for Redis: the first connection is opened in the background. A server that
    /// cannot be reached is logged once and tried again until it can.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] when the URL, a number or a certificate cannot work, or when there is no tokio runtime.
    pub fn connect(self, url: &str) -> Result<Store, ConfigError> {
        self.connect_to(Target::parse(url)?)
    }

    /// A store on the primary that Sentinels name. Each is asked five times a second; when the primary changes, no request is sent to the
    /// one before, also while that still runs. Replicas are never read. With sessions or locks, `min-replicas-to-write` at the servers
    /// keeps an old primary from acknowledging what it will lose.
    ///
    /// Returns at once, like [`connect`](Self::connect), which also takes `sentinel:MASTER@host:port,host:port`.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] when a number or a certificate cannot work, or when there is no tokio runtime.
    pub fn connect_sentinel(self, sentinels: Sentinels) -> Result<Store, ConfigError> {
        self.connect_to(Target::sentinel(sentinels))
    }

    /// A store on a Redis Cluster. `nodes`: URLs of some of its nodes, 1 to 64, all `redis://` or all `rediss://`; the others are learnt
    /// from these. Who signs in, and the protocol, stand in the first.
    ///
    /// Each master has [`pool_size`](Self::pool_size) connections and a breaker of its own: one that fails takes its own keys along and
    /// no others. A batch goes to all nodes concerned at once; an operation on keys of several slots only reads. Slots that move and
    /// replicas that take over are followed; a command is sent again only where a node said that it did not run. Replicas are never
    /// read. Of the keys of a scan, those that move meanwhile can be missed.
    ///
    /// With TLS, nodes are called by the host names that they announce, where they do (`cluster-announce-hostname`).
    ///
    /// Returns at once, like [`connect`](Self::connect), which also takes `cluster:redis://host:port,redis://host:port`. The user also
    /// needs `+cluster|nodes +asking`. Up to three nodes are asked what they know: every 10 s, ten times a second while something is
    /// wrong, and as soon as a node redirects.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] when a URL, a number or a certificate cannot work, or when there is no tokio runtime.
    pub fn connect_cluster<U: AsRef<str>>(
        self,
        nodes: impl IntoIterator<Item = U>,
    ) -> Result<Store, ConfigError> {
        self.connect_to(Target::cluster(nodes)?)
    }

    pub(super) fn connect_to(self, target: Target) -> Result<Store, ConfigError> {
        let runtime = self.checked()?;
        let prefix = self.settings.prefix.clone();
        Ok(Store::redis(Redis::new(target, self.settings, runtime)?, prefix))
    }

    /// A store on a pool that exists already: any [`bb8::Pool`] whose connections can be cloned and shared, such as
    /// `bb8_redis`'s, or that of `redis::Client` itself. The pool is never closed from here; its own size, time-outs and test on
    /// check-out stay in force, and broken connections that its manager does not notice are replaced.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] when a number cannot work, or when there is no tokio runtime.
    pub fn from_pool<M>(self, pool: bb8::Pool<M>) -> Result<Store, ConfigError>
    where
        M: bb8::ManageConnection,
        M::Connection: ForeignConnection,
    {
        let runtime = self.checked()?;
        let pool = super::redis::shared(pool, self.settings.connect_timeout);
        let prefix = self.settings.prefix.clone();
        Ok(Store::redis(Redis::from_pool(pool, self.settings, runtime), prefix))
    }

    fn checked(&self) -> Result<Handle, ConfigError> {
        let settings = &self.settings;
        for (name, value) in [
            ("deadline", settings.deadline),
            ("connect_timeout", settings.connect_timeout),
            ("probe_interval", settings.probe_interval),
        ] {
            if value.is_zero() || value > MAX_WAIT {
                return Err(ConfigError::OutOfRange(name));
            }
        }
        if !(1..=1000).contains(&settings.pool_size) {
            return Err(ConfigError::OutOfRange("pool_size"));
        }
        if settings.max_waiting == 0 {
            return Err(ConfigError::OutOfRange("max_waiting"));
        }
        self.runtime.clone().map_or_else(|| Handle::try_current().map_err(|_| ConfigError::NoRuntime), Ok)
    }
}
