//! Our `bb8::ManageConnection`: connects on a long-lived runtime, tells the truth about broken connections, never PINGs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use super::connect::connect;
use super::link::Link;
use super::login::{Logins, Purpose};
use super::node::Settings;
use super::target::{Address, Target};
use crate::store::error::{ConfigError, StoreError, StoreErrorKind};

/// What is needed to open a connection.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    pub(super) target: Target,
    pub(super) logins: Logins,
    pub(super) timeout: Duration,
    pub(super) desyncs: Arc<Desyncs>,
    /// Nothing is opened any more.
    pub(super) closed: watch::Sender<bool>,
    #[cfg(feature = "tls")]
    pub(super) tls: super::tls::TlsConnector,
}

impl Connector {
    pub(super) fn new(target: Target, settings: &Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            target,
            logins: Logins::new(settings),
            timeout: settings.connect_timeout,
            desyncs: Arc::default(),
            closed: watch::Sender::new(false),
            #[cfg(feature = "tls")]
            tls: super::tls::TlsConnector::new(&settings.tls)?,
        })
    }

    /// The same to another server; closed with this one.
    pub(super) fn to(&self, address: Address) -> Self {
        let target = Target { address, login: self.target.login.clone() };
        Self { target, ..self.clone() }
    }

    /// Opens a connection on the current runtime, within the time for that.
    pub(super) async fn open(&self, purpose: Purpose) -> Result<Link, StoreError> {
        if self.is_closed() {
            return Err(StoreErrorKind::Unavailable.into());
        }
        let opened = tokio::time::timeout(self.timeout, connect(self, purpose)).await?;
        if self.is_closed() { Err(StoreErrorKind::Unavailable.into()) } else { opened }
    }

    pub(super) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Waits until nothing is opened any more.
    pub(super) async fn closing(&self) {
        // The sender lives as long as this does.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }
}

/// How many connections gave a reply that did not belong to its request.
#[derive(Debug, Default)]
pub(super) struct Desyncs(AtomicU64);

impl Desyncs {
    pub(super) fn found(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
        tracing::error!("a redis reply did not belong to its request; the connection was dropped");
        crate::metric::count("tower_keep_store_desync_total", "none");
    }

    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Opens connections on `runtime`, whichever runtime asks: a connection's task must outlive the worker that first
/// needed it.
#[derive(Clone, Debug)]
pub(super) struct Manager {
    connector: Arc<Connector>,
    runtime: Handle,
    purpose: Purpose,
}

/// bb8 lets waiters wait out their time when a connect fails; here they hear of it. As bb8's sink, since that is told
/// once a new request would try anew: one that came between a failure and then would hear nothing.
#[derive(Debug, Default)]
pub(super) struct Failures {
    notify: Notify,
    last: Mutex<Option<StoreError>>,
}

impl Failures {
    pub(super) fn notified(&self) -> tokio::sync::futures::Notified<'_> {
        self.notify.notified()
    }

    pub(super) fn last(&self) -> StoreError {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.clone().unwrap_or(StoreErrorKind::Refused.into())
    }
}

#[derive(Clone, Debug)]
pub(super) struct FailureSink(pub(super) Arc<Failures>);

impl bb8::ErrorSink<StoreError> for FailureSink {
    fn sink(&self, error: StoreError) {
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        self.0.notify.notify_waiters();
    }

    fn boxed_clone(&self) -> Box<dyn bb8::ErrorSink<StoreError>> {
        Box::new(self.clone())
    }
}

impl Manager {
    pub(super) const fn new(connector: Arc<Connector>, runtime: Handle) -> Self {
        Self { connector, runtime, purpose: Purpose::Requests }
    }

    /// The same for connections that are for something else.
    pub(super) fn serving(self, purpose: Purpose) -> Self {
        Self { purpose, ..self }
    }
}

impl bb8::ManageConnection for Manager {
    type Connection = Link;
    type Error = StoreError;

    async fn connect(&self) -> Result<Link, StoreError> {
        let (connector, purpose) = (Arc::clone(&self.connector), self.purpose);
        let task = self.runtime.spawn(async move { connector.open(purpose).await });
        match task.await {
            Ok(result) => result,
            Err(ended) => Err(StoreError::with_source(StoreErrorKind::Unavailable, ended)),
        }
    }

    /// Not used: check-outs do not test, they look at the flag that the connection's own task and its users set.
    async fn is_valid(&self, link: &mut Link) -> Result<(), StoreError> {
        if link.is_broken() { Err(StoreErrorKind::Disconnected.into()) } else { Ok(()) }
    }

    fn has_broken(&self, link: &mut Link) -> bool {
        link.is_broken()
    }
}
