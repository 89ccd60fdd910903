//! One connection that many requests share, and what is known about its health.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisResult, Value};
use tokio::task::AbortHandle;

use super::foreign::ForeignConnection;

/// A shared connection. Clones talk over the same socket; replies are matched by position.
#[derive(Clone)]
pub(super) struct Link {
    conn: Conn,
    health: Arc<Health>,
}

#[derive(Clone)]
enum Conn {
    Own(MultiplexedConnection),
    Foreign(Box<dyn ForeignConnection>),
}

/// Ends the socket's task with the last clone: a peer that never answers must not keep it alive.
struct Health {
    broken: Arc<AtomicBool>,
    driver: Option<AbortHandle>,
}

impl Drop for Health {
    fn drop(&mut self) {
        if let Some(driver) = &self.driver {
            driver.abort();
        }
    }
}

impl Link {
    /// `broken` is also set by the driver's end.
    pub(super) fn own(conn: MultiplexedConnection, broken: Arc<AtomicBool>, driver: AbortHandle) -> Self {
        Self { conn: Conn::Own(conn), health: Arc::new(Health { broken, driver: Some(driver) }) }
    }

    pub(super) fn foreign(conn: Box<dyn ForeignConnection>) -> Self {
        let health = Health { broken: Arc::new(AtomicBool::new(false)), driver: None };
        Self { conn: Conn::Foreign(conn), health: Arc::new(health) }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.health.broken.load(Ordering::Acquire)
    }

    /// Nobody gets this connection from the pool again; requests that wait on it go on.
    pub(super) fn mark_broken(&self) {
        self.health.broken.store(true, Ordering::Release);
    }

    pub(super) async fn one(&mut self, cmd: &Cmd) -> RedisResult<Value> {
        match &mut self.conn {
            Conn::Own(conn) => conn.send_packed_command(cmd).await,
            Conn::Foreign(conn) => conn.req_packed_command(cmd).await,
        }
    }

    pub(super) async fn many(&mut self, pipeline: &Pipeline, count: usize) -> RedisResult<Vec<Value>> {
        match &mut self.conn {
            Conn::Own(conn) => conn.send_packed_commands(pipeline, 0, count).await,
            Conn::Foreign(conn) => conn.req_packed_commands(pipeline, 0, count).await,
        }
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("broken", &self.is_broken()).finish_non_exhaustive()
    }
}
