//! One connection that many requests share, and what is known about its health.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisResult, Value};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::foreign::ForeignConnection;
use crate::store::error::{StoreError, StoreErrorKind};

/// How often a request that waits for its reply looks whether its connection still lives.
const LOOK: Duration = Duration::from_millis(20);

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

struct Health {
    broken: AtomicBool,
    /// The task of the socket has ended.
    ended: Arc<AtomicBool>,
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
    /// `ended` is set by the driver when it ends.
    pub(super) fn own(conn: MultiplexedConnection, ended: Arc<AtomicBool>, driver: AbortHandle) -> Self {
        Self::with(Conn::Own(conn), ended, Some(driver))
    }

    pub(super) fn foreign(conn: Box<dyn ForeignConnection>) -> Self {
        Self::with(Conn::Foreign(conn), Arc::default(), None)
    }

    fn with(conn: Conn, ended: Arc<AtomicBool>, driver: Option<AbortHandle>) -> Self {
        Self { conn, health: Arc::new(Health { broken: AtomicBool::new(false), ended, driver }) }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.health.broken.load(Ordering::Acquire) || self.health.ended.load(Ordering::Acquire)
    }

    /// Nobody gets this connection from the pool again; requests that wait on it go on.
    pub(super) fn mark_broken(&self) {
        self.health.broken.store(true, Ordering::Release);
    }

    /// What `ask` makes of this connection by `until`. The client can lose a request that comes while its connection ends,
    /// and would let it wait for ever; that is noticed here.
    pub(super) async fn by<'a, T, F>(
        &'a mut self,
        until: Instant,
        ask: impl FnOnce(&'a mut Self) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let health = Arc::clone(&self.health);
        let mut reply = pin!(ask(self));
        loop {
            let ended = health.ended.load(Ordering::Acquire);
            match timeout_at(until.min(Instant::now() + LOOK), reply.as_mut()).await {
                Ok(result) => return result,
                Err(_) if ended => return Err(StoreErrorKind::Disconnected.into()),
                Err(elapsed) if Instant::now() >= until => return Err(elapsed.into()),
                Err(_) => {}
            }
        }
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
