//! Settings of `Sessions`, checked when they are built.

use std::sync::Arc;

use super::cookie::SessionCookie;
use super::engine::{Config, CookieLifetime, CorruptEntry, FailurePolicy, Sessions};
use super::error::SessionConfigError;
use super::event::SessionEvent;
use super::lifecycle::Lifetimes;
use super::origin::OriginCheck;
use crate::store::Store;

/// Builds [`Sessions`].
#[must_use]
pub struct SessionsBuilder {
    store: Store,
    config: Config,
}

impl SessionsBuilder {
    pub(super) fn defaults() -> Config {
        Config {
            cookie: SessionCookie::default(),
            namespace: "session".into(),
            lifetimes: Lifetimes::default(),
            failure: FailurePolicy::Required,
            corrupt: CorruptEntry::Drop,
            cookie_lifetime: CookieLifetime::Browser,
            max_entries: 64,
            max_bytes: 64 << 10,
            max_sessions: 100,
            origin: None,
            hook: None,
        }
    }

    pub(super) fn new(store: Store) -> Self {
        Self { store, config: Self::defaults() }
    }

    /// The cookie. Default `__Host-session`, `Secure`, `HttpOnly`, `SameSite=Lax`, `Path=/`.
    pub fn cookie(mut self, cookie: SessionCookie) -> Self {
        self.config.cookie = cookie;
        self
    }

    /// How long the browser keeps the cookie. Default [`CookieLifetime::Browser`].
    pub fn cookie_lifetime(mut self, lifetime: CookieLifetime) -> Self {
        self.config.cookie_lifetime = lifetime;
        self
    }

    /// The word between prefix and handle in keys, and the name by which [`SessionSet`](super::SessionSet) finds these sessions. An app
    /// with several session layers gives each its own. Default `session`.
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.config.namespace = namespace.into();
        self
    }

    /// The timers.
    pub fn lifetimes(mut self, lifetimes: Lifetimes) -> Self {
        self.config.lifetimes = lifetimes;
        self
    }

    /// What happens to a request when the store fails. Default [`FailurePolicy::Required`].
    pub fn on_failure(mut self, policy: FailurePolicy) -> Self {
        self.config.failure = policy;
        self
    }

    /// What happens to an entry whose bytes are not JSON. Default [`CorruptEntry::Drop`].
    pub fn on_corrupt_entry(mut self, policy: CorruptEntry) -> Self {
        self.config.corrupt = policy;
        self
    }

    /// The largest number of entries in a session, 1 to 1,000, as the request that writes sees it: requests that write at once can
    /// exceed it together, up to twice as many. Default 64.
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.config.max_entries = entries;
        self
    }

    /// The largest number of bytes of all names and values in a session, as the request that writes sees it: requests that
    /// write at once can exceed it together, each entry by at most as much. 1 to 1 MiB. Default 64 KiB.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.config.max_bytes = bytes;
        self
    }

    /// The largest number of parallel sessions of one principal; a new one ends those that would end first. 1 to 10,000.
    /// Default 100.
    pub fn max_sessions(mut self, sessions: usize) -> Self {
        self.config.max_sessions = sessions;
        self
    }

    /// Refuses requests that another site's page made, with 403. Default: not checked; `SameSite` still protects.
    pub fn origin_check(mut self, check: OriginCheck) -> Self {
        self.config.origin = Some(check);
        self
    }

    /// Calls `hook` with each event, on the task that met it: it must be quick and must not block.
    pub fn on_event(mut self, hook: impl Fn(&SessionEvent) + Send + Sync + 'static) -> Self {
        self.config.hook = Some(Arc::new(hook));
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// The [`SessionConfigError`] that says which setting cannot work.
    pub fn build(self) -> Result<Sessions, SessionConfigError> {
        let config = &self.config;
        config.lifetimes.check()?;
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
        let namespace = &config.namespace;
        // The keys of another namespace's indexes end that way.
        let is_index = namespace.ends_with("-index");
        if !(1..=32).contains(&namespace.len()) || !namespace.bytes().all(allowed) || is_index {
            return Err(SessionConfigError::Namespace);
        }
        for (name, value, most) in [
            ("max_entries", config.max_entries, 1000),
            ("max_bytes", config.max_bytes, 1 << 20),
            ("max_sessions", config.max_sessions, 10_000),
        ] {
            if !(1..=most).contains(&value) {
                return Err(SessionConfigError::OutOfRange(name));
            }
        }
        Ok(Sessions::assemble(self.store, self.config))
    }
}

impl std::fmt::Debug for SessionsBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionsBuilder").field("cookie", &self.config.cookie).finish_non_exhaustive()
    }
}
