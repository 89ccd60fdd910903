//! One connection that many requests share, and what is known about its health.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::AbortHandle;

use super::driver::Requests;
use super::foreign::ForeignConnection;

/// A shared connection. Clones talk over the same socket; replies are matched by position.
#[derive(Clone)]
pub(in crate::store) struct Link {
    pub(super) conn: Conn,
    health: Arc<Health>,
}

/// Who speaks the protocol.
#[derive(Clone)]
pub(super) enum Conn {
    Own(Requests),
    Foreign(Box<dyn ForeignConnection>),
}

#[derive(Default)]
struct Health {
    broken: AtomicBool,
    /// A reply did not belong to its request.
    out_of_step: Arc<AtomicBool>,
    driver: Option<AbortHandle>,
}

/// Ends the socket's task with the last clone: a peer that never answers must not keep it alive.
impl Drop for Health {
    fn drop(&mut self) {
        if let Some(driver) = &self.driver {
            driver.abort();
        }
    }
}

impl Link {
    /// `out_of_step` is the driver's as well.
    pub(super) fn own(requests: Requests, driver: AbortHandle, out_of_step: Arc<AtomicBool>) -> Self {
        let health = Health { broken: AtomicBool::new(false), out_of_step, driver: Some(driver) };
        Self { conn: Conn::Own(requests), health: Arc::new(health) }
    }

    pub(super) fn foreign(conn: Box<dyn ForeignConnection>) -> Self {
        Self { conn: Conn::Foreign(conn), health: Arc::default() }
    }

    pub(super) fn is_broken(&self) -> bool {
        let ended = matches!(&self.conn, Conn::Own(requests) if requests.have_ended());
        ended || self.health.broken.load(Ordering::Acquire)
    }

    /// Whether this is the first to find that the connection is out of step.
    pub(super) fn mark_out_of_step(&self) -> bool {
        !self.health.out_of_step.swap(true, Ordering::Relaxed)
    }

    /// Nobody gets this connection from the pool again; requests that wait on it go on.
    pub(super) fn mark_broken(&self) {
        self.health.broken.store(true, Ordering::Release);
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("broken", &self.is_broken()).finish_non_exhaustive()
    }
}
