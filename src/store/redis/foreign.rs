//! A pool that the user made: used, never closed, and healed when its connections break.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use redis::Value;
use redis::aio::ConnectionLike;

use crate::store::error::{StoreError, StoreErrorKind};

/// A connection that can be shared by cloning, such as `redis::aio::MultiplexedConnection`.
pub trait ForeignConnection: ConnectionLike + Send + Sync {
    #[doc(hidden)]
    fn boxed(&self) -> Box<dyn ForeignConnection>;
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> ForeignConnection for C {
    fn boxed(&self) -> Box<dyn ForeignConnection> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn ForeignConnection> {
    fn clone(&self) -> Self {
        (**self).boxed()
    }
}

type LinkFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Box<dyn ForeignConnection>, StoreError>> + Send + 'a>>;

/// A bb8 pool of someone else's making. Sealed: it is implemented for every pool that fits.
pub trait ForeignPool: Send + Sync + fmt::Debug {
    #[doc(hidden)]
    fn link(&self) -> LinkFuture<'_>;
    #[doc(hidden)]
    fn dedicated(&self) -> LinkFuture<'_>;
    #[doc(hidden)]
    fn suspect(&self);
    #[doc(hidden)]
    fn state(&self) -> bb8::State;
    #[doc(hidden)]
    fn max_size(&self) -> u32;
}

/// A user's pool behind the neutral interface. `timeout` bounds the test and the replacement of a connection.
pub(in crate::store) fn shared<M>(pool: bb8::Pool<M>, timeout: Duration) -> Arc<dyn ForeignPool>
where
    M: bb8::ManageConnection,
    M::Connection: ForeignConnection,
{
    Arc::new(Shared { pool, suspect: AtomicU32::new(0), tests: AtomicU64::new(0), timeout })
}

struct Shared<M: bb8::ManageConnection> {
    pool: bb8::Pool<M>,
    /// How many of the next check-outs must test what they get. Managers in the field answer `has_broken` with `false`
    /// always, so a pool without a test on check-out would hand a dead connection out for ever.
    suspect: AtomicU32,
    tests: AtomicU64,
    timeout: Duration,
}

impl<M> Shared<M>
where
    M: bb8::ManageConnection,
    M::Connection: ForeignConnection,
{
    /// Replaces a connection that does not repeat what it is told: one that is dead, or whose replies are shifted.
    async fn checked(&self, slot: &mut bb8::PooledConnection<'_, M>) -> Result<(), StoreError> {
        let number = self.tests.fetch_add(1, Ordering::Relaxed).to_string();
        let mut echo = redis::cmd("ECHO");
        echo.arg(&number);
        let echoed = tokio::time::timeout(self.timeout, slot.req_packed_command(&echo)).await;
        if !matches!(echoed, Ok(Ok(Value::BulkString(text))) if text == number.as_bytes()) {
            **slot = self.fresh().await?;
        }
        Ok(())
    }

    async fn fresh(&self) -> Result<M::Connection, StoreError> {
        let fresh = tokio::time::timeout(self.timeout, self.pool.dedicated_connection()).await?;
        fresh.map_err(|_| StoreErrorKind::Refused.into())
    }
}

impl<M> ForeignPool for Shared<M>
where
    M: bb8::ManageConnection,
    M::Connection: ForeignConnection,
{
    fn link(&self) -> LinkFuture<'_> {
        Box::pin(async {
            let mut slot = self.pool.get().await.map_err(|error| match error {
                bb8::RunError::User(_) => StoreErrorKind::Refused,
                bb8::RunError::TimedOut => StoreErrorKind::Timeout,
            })?;
            let suspect = |n: u32| n.checked_sub(1);
            if self.suspect.fetch_update(Ordering::AcqRel, Ordering::Acquire, suspect).is_ok() {
                self.checked(&mut slot).await.inspect_err(|_| self.suspect())?;
            }
            Ok((*slot).boxed())
        })
    }

    fn dedicated(&self) -> LinkFuture<'_> {
        Box::pin(async { self.fresh().await.map(|connection| connection.boxed()) })
    }

    fn suspect(&self) {
        self.suspect.store(self.pool.state().connections.saturating_mul(2).max(1), Ordering::Release);
    }

    fn state(&self) -> bb8::State {
        self.pool.state()
    }

    fn max_size(&self) -> u32 {
        self.pool.config().max_size
    }
}

impl<M: bb8::ManageConnection> fmt::Debug for Shared<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForeignPool").finish_non_exhaustive()
    }
}
