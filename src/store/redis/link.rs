//! One connection that many requests share, and what is known about its health.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::driver::Requests;
use super::foreign::ForeignConnection;
use super::held::{Write, Writes};
use super::sentinel::Era;

/// A shared connection. Clones talk over the same socket; replies are matched by position.
#[derive(Clone)]
pub(in crate::store) struct Link(Arc<Shared>);

/// A connection as long as somebody else holds it.
#[derive(Default)]
pub(super) struct WeakLink(Weak<Shared>);

struct Shared {
    conn: Conn,
    broken: AtomicBool,
    /// A reply did not belong to its request.
    out_of_step: Arc<AtomicBool>,
    /// Under which primary it was opened, where Sentinels name it.
    era: Option<Era>,
    /// When the credentials that it signed in with end, where they do.
    until: OnceLock<Instant>,
    driver: Option<AbortHandle>,
    writes: Writes,
}

/// Who speaks the protocol.
pub(super) enum Conn {
    Own(Requests),
    Foreign(Box<dyn ForeignConnection>),
}

/// Ends the socket's task with the last clone: a peer that never answers must not keep it alive.
impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(driver) = &self.driver {
            driver.abort();
        }
    }
}

impl Link {
    /// `out_of_step` is the driver's as well.
    pub(super) fn own(
        requests: Requests,
        driver: AbortHandle,
        out_of_step: Arc<AtomicBool>,
        era: Option<Era>,
    ) -> Self {
        Self::with(Conn::Own(requests), out_of_step, era, Some(driver))
    }

    pub(super) fn foreign(conn: Box<dyn ForeignConnection>) -> Self {
        Self::with(Conn::Foreign(conn), Arc::default(), None, None)
    }

    fn with(conn: Conn, out_of_step: Arc<AtomicBool>, era: Option<Era>, driver: Option<AbortHandle>) -> Self {
        let (broken, until) = (AtomicBool::new(false), OnceLock::new());
        Self(Arc::new(Shared { conn, broken, out_of_step, era, until, driver, writes: Writes::new() }))
    }

    pub(super) fn conn(&self) -> &Conn {
        &self.0.conn
    }

    pub(super) fn downgrade(&self) -> WeakLink {
        WeakLink(Arc::downgrade(&self.0))
    }

    pub(super) fn is_broken(&self) -> bool {
        let ended = matches!(&self.0.conn, Conn::Own(requests) if requests.have_ended());
        let is_past = self.0.era.as_ref().is_some_and(Era::is_over);
        let is_old = self.0.until.get().is_some_and(|until| *until <= Instant::now());
        ended || is_past || is_old || self.0.broken.load(Ordering::Acquire)
    }

    /// Counts a write until it is answered.
    pub(super) fn write(&self) -> Write<'_> {
        self.0.writes.begin()
    }

    /// Whether what is asked on it waits behind writes that the server has not answered for so long.
    pub(super) fn is_held_up(&self, long: Duration) -> bool {
        let are_held = self.0.writes.are_held(long);
        if are_held && matches!(&self.0.conn, Conn::Own(requests) if requests.are_answered()) {
            self.0.writes.forget_abandoned();
            return false;
        }
        are_held
    }

    /// Nobody gets this connection from the pool after that time.
    pub(super) fn serves_until(&self, until: Instant) {
        let _ = self.0.until.set(until); // it signs in once
    }

    /// Whether this is the first to find that the connection is out of step.
    pub(super) fn mark_out_of_step(&self) -> bool {
        !self.0.out_of_step.swap(true, Ordering::Relaxed)
    }

    /// Nobody gets this connection from the pool again; requests that wait on it go on.
    pub(super) fn mark_broken(&self) {
        self.0.broken.store(true, Ordering::Release);
    }
}

impl WeakLink {
    /// The connection, unless it is broken or the pool has let go of it.
    pub(super) fn upgrade(&self) -> Option<Link> {
        self.0.upgrade().map(Link).filter(|link| !link.is_broken())
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("broken", &self.is_broken()).finish_non_exhaustive()
    }
}
