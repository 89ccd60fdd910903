//! One server: admission, tries, and what their outcome says of the server.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use super::attempt::{Until, Used, again};
use super::breaker::{Breaker, is_failure};
use super::checkout::Checkout;
use super::classify::ends_connection;
use super::clock::ServerClock;
use super::lasting::Lasting;
use super::link::Link;
use super::manager::{Connector, Desyncs};
use super::send::Outgoing;
use super::{ForeignPool, monitor};
use crate::store::credentials::Provider;
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::health::{PoolCounts, StoreStatus};
use crate::store::key::{Key, KeyPrefix};
use crate::store::replicas::Replicas;
use crate::store::wire::Class;

/// The numbers of a [`StoreBuilder`](crate::store::StoreBuilder), checked.
#[derive(Clone, Debug)]
pub(in crate::store) struct Settings {
    /// Probes stay under it: an ACL may allow no other keys.
    pub(in crate::store) prefix: KeyPrefix,
    pub(in crate::store) pool_size: u32,
    pub(in crate::store) max_waiting: usize,
    pub(in crate::store) deadline: Duration,
    pub(in crate::store) connect_timeout: Duration,
    pub(in crate::store) probe_interval: Duration,
    /// How many replicas must confirm what must last.
    pub(in crate::store) replicas: Option<Replicas>,
    /// Asked at each connect who signs in.
    pub(in crate::store) credentials: Option<Provider>,
    /// Whether to look by itself if the server suits.
    pub(in crate::store) checks_itself: bool,
    /// What connections call themselves.
    pub(in crate::store) client_name: Arc<str>,
    #[cfg(feature = "tls")]
    pub(in crate::store) tls: super::TlsConfig,
}

/// One server. Clones share everything.
#[derive(Clone)]
pub(in crate::store) struct Node(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) checkout: Arc<Checkout>,
    pub(super) breaker: Breaker,
    pub(super) settings: Settings,
    pub(super) runtime: Handle,
    pub(super) probing: AtomicBool,
    pub(super) clock: ServerClock,
    /// What is removed to find out whether it takes writes; nobody needs it.
    probed: Mutex<Key>,
    /// Whether a probe has found everything well once.
    pub(super) up: watch::Sender<bool>,
    /// Writes that replicas must confirm, where that is wanted.
    pub(super) lasting: Option<Arc<Lasting>>,
    desyncs: Arc<Desyncs>,
}

impl Node {
    /// Only inside of a runtime's task, or where `runtime` is that of the caller.
    pub(super) fn new(connector: Connector, settings: Settings, runtime: Handle) -> Self {
        let desyncs = Arc::clone(&connector.desyncs);
        let checkout = Checkout::own(Arc::new(connector), &settings, &runtime);
        Self::start(checkout, settings, runtime, desyncs)
    }

    pub(super) fn from_pool(pool: Arc<dyn ForeignPool>, settings: Settings, runtime: Handle) -> Self {
        let checkout = Checkout::foreign(pool, &settings, &runtime);
        Self::start(checkout, settings, runtime, Arc::default())
    }

    fn start(checkout: Checkout, settings: Settings, runtime: Handle, desyncs: Arc<Desyncs>) -> Self {
        let (checkout, breaker) = (Arc::new(checkout), Breaker::default());
        let probed = Mutex::new(probe_key(&settings.prefix, 0));
        let connector = checkout.connector();
        let lasting = connector.and_then(|own| Lasting::new(own, &settings, &runtime));
        let node = Self(Arc::new(Inner {
            checkout,
            breaker,
            settings,
            runtime,
            probing: AtomicBool::new(false),
            clock: ServerClock::default(),
            probed,
            up: watch::channel(false).0,
            lasting,
            desyncs,
        }));
        monitor::start(&node.0); // opens the first connection, and says so if there is none
        node
    }

    /// One round trip for all commands, within the deadline. A batch of reads alone is sent again, on another connection,
    /// when its connection ended; a write is never sent twice.
    pub(super) async fn execute(&self, commands: Outgoing<'_>, until: Until) -> Result<Used, StoreError> {
        let class = commands.class();
        self.0.breaker.admit(class, until.at)?;
        // The usual request finds a connection at once; its future need not have room for the wait.
        let at_once = if self.0.must_last(commands) { None } else { self.0.checkout.link_at_once(class) };
        let result = match at_once {
            Some(link) if class == Class::Read => self.0.attempt_read(link, commands, until).await,
            Some(link) => self.0.attempt_on(link, commands, until).await,
            None => Box::pin(self.0.attempt_fully(commands, until)).await,
        };
        let result = match result {
            Err(error) if class == Class::Read && error.kind() == StoreErrorKind::Disconnected => {
                // Each connection that ended uses one attempt up.
                Box::pin(again(self.0.checkout.size(), || self.0.attempt(commands, until))).await
            }
            result => result,
        };
        match &result {
            Err(error) if until.is_callers && error.kind() == StoreErrorKind::Timeout => {
                monitor::start(&self.0)
            }
            _ => self.note(class, &result),
        }
        result
    }

    fn note(&self, class: Class, result: &Result<Used, StoreError>) {
        let failed = match result {
            Ok(used) => used.answers.errors().any(|error| is_failure(class, error)),
            // No connection, or none that lasted: whatever the reason, the next request would fare no better.
            Err(error) => !matches!(error.kind(), StoreErrorKind::Overloaded | StoreErrorKind::Desync),
        };
        if failed {
            self.0.breaker.failed(class);
            monitor::start(&self.0);
        } else {
            self.0.breaker.succeeded(class);
        }
    }

    /// Lets nobody in any more, and ends what goes on in the background.
    pub(super) fn close(&self) {
        self.0.close();
        let (inner, after) = (Arc::clone(&self.0), self.0.settings.connect_timeout);
        // What was being opened meanwhile may have come to the pool.
        self.0.runtime.spawn(async move {
            tokio::time::sleep(after).await;
            inner.close();
        });
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// How many connections gave a reply that did not belong to its request; those to all nodes of a Cluster.
    pub(super) fn desyncs(&self) -> u64 {
        self.0.desyncs.count()
    }

    pub(super) fn counts(&self) -> PoolCounts {
        self.0.checkout.counts()
    }

    pub(super) fn status(&self) -> StoreStatus {
        self.0.breaker.status()
    }

    /// The time that a `TIME` takes, the check-out included, past the breaker.
    pub(super) async fn latency(&self) -> Result<Duration, StoreError> {
        let begun = Instant::now();
        self.0.ask_time(begun + self.0.settings.deadline).await?;
        Ok(begun.elapsed())
    }
}

/// A key that nothing else uses.
pub(super) fn probe_key(prefix: &KeyPrefix, number: u32) -> Key {
    Key::new(prefix, "probe", &number.to_string())
}

impl Inner {
    fn close(&self) {
        self.checkout.close();
        if let Some(lasting) = &self.lasting {
            lasting.close();
        }
    }

    /// Where it is, if it is known by host and port.
    pub(super) fn place(&self) -> Option<(String, u16)> {
        self.checkout.connector().and_then(|connector| connector.target.address.place())
    }

    pub(super) fn probed(&self) -> Key {
        self.probed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another key is to be removed to find out whether the server takes writes.
    pub(super) fn probe(&self, key: Key) {
        *self.probed.lock().unwrap_or_else(PoisonError::into_inner) = key;
    }

    /// Drops a connection whose error says that nobody may use it again.
    pub(super) fn judge(&self, link: &Link, kind: StoreErrorKind) {
        if kind == StoreErrorKind::Desync && link.mark_out_of_step() {
            self.desyncs.found();
        }
        if ends_connection(kind) {
            link.mark_broken();
            self.checkout.suspect();
        }
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("status", &self.status()).finish_non_exhaustive()
    }
}
