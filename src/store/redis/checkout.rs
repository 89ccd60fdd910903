//! Check out, clone the shared connection, give the slot back at once: concurrent requests share pipelines.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bb8::QueueStrategy;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::aside::Aside;
use super::foreign::ForeignPool;
use super::home::Home;
use super::link::{Link, WeakLink};
use super::login::Purpose;
use super::manager::{Connector, FailureSink, Failures, Manager};
use super::node::Settings;
use super::sentinel;
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::health::PoolCounts;
use crate::store::wire::Class;

/// The pool and the queue in front of it. bb8 wakes waiters in no order, and under pressure some never get their turn; the
/// semaphore is first come, first served, and the number of those who wait is bounded.
pub(super) struct Checkout {
    source: Source,
    home: Home,
    size: u32,
    gate: Semaphore,
    /// The connection that was checked out last, while the pool holds it.
    last: Mutex<WeakLink>,
    aside: Aside,
    waiting: AtomicUsize,
    max_waiting: usize,
}

enum Source {
    Own { pool: bb8::Pool<Manager>, failures: Arc<Failures>, connector: Arc<Connector> },
    Foreign(Arc<dyn ForeignPool>),
}

impl Checkout {
    pub(super) fn own(connector: Arc<Connector>, settings: &Settings, runtime: &Handle) -> Self {
        sentinel::follow(&connector, runtime);
        let manager = Manager::new(Arc::clone(&connector), runtime.clone());
        let failures = Arc::<Failures>::default();
        let _inside = runtime.enter(); // the pool's own tasks live on the same runtime as its connections
        let pool = bb8::Pool::builder()
            .max_size(settings.pool_size)
            .queue_strategy(QueueStrategy::Lifo)
            .test_on_check_out(false)
            .retry_connection(false)
            .connection_timeout(settings.deadline)
            .error_sink(Box::new(FailureSink(Arc::clone(&failures))))
            .build_unchecked(manager);
        Self::with(Source::Own { pool, failures, connector }, settings, settings.pool_size, runtime)
    }

    pub(super) fn foreign(pool: Arc<dyn ForeignPool>, settings: &Settings, runtime: &Handle) -> Self {
        let size = pool.max_size();
        Self::with(Source::Foreign(pool), settings, size, runtime)
    }

    fn with(source: Source, settings: &Settings, size: u32, runtime: &Handle) -> Self {
        let gate = Semaphore::new(usize::try_from(size).unwrap_or(1).clamp(1, Semaphore::MAX_PERMITS));
        let (waiting, max_waiting) = (AtomicUsize::new(0), settings.max_waiting);
        let (home, last) = (Home::new(runtime), Mutex::default());
        let aside = Aside::new(settings.deadline, size);
        Self { source, home, size, gate, last, aside, waiting, max_waiting }
    }

    /// The largest number of connections.
    pub(super) const fn size(&self) -> u32 {
        self.size
    }

    /// A clone of a connection that is not known to be broken.
    ///
    /// Who must wait for one does so in a task on the runtime of the connections. bb8 spawns tasks and sets timers while it is
    /// polled: a worker's runtime that stops would take them along and leave the pool waiting for ever. And a turn or a
    /// wake-up given to a worker that is busy would hold up all others.
    pub(super) async fn link(self: &Arc<Self>, class: Class, until: Instant) -> Result<Link, StoreError> {
        if let Some(link) = self.link_at_once(class) {
            return Ok(link);
        }
        let this = Arc::clone(self);
        let mut wait = Box::pin(async move { timeout_at(until, this.wait()).await? });
        match self.home.poll(wait.as_mut())? {
            Poll::Ready(link) => link,
            Poll::Pending => self.home.run(wait).await,
        }
    }

    /// The usual case, without an allocation or a timer: the connection that was checked out last serves, or nobody waits and
    /// one is free. The pool hands its last one out first, so to ask it each time would tell the same at a higher price.
    pub(super) fn link_at_once(&self, class: Class) -> Option<Link> {
        let Source::Own { pool, .. } = &self.source else { return None };
        if let Some(link) = self.last().upgrade() {
            return Some(if class == Class::Read { self.aside.instead_of(link) } else { link });
        }
        let _turn = self.gate.try_acquire().ok()?;
        match self.home.poll(pin!(async { pool.get().await.map(|slot| slot.clone()) })).ok()? {
            Poll::Ready(Ok(link)) if !link.is_broken() => {
                *self.last() = link.downgrade();
                Some(link)
            }
            _ => None,
        }
    }

    fn last(&self) -> MutexGuard<'_, WeakLink> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wait(&self) -> Result<Link, StoreError> {
        let _turn = self.turn().await?;
        match &self.source {
            Source::Foreign(pool) => pool.link().await.map(Link::foreign),
            Source::Own { pool, failures, .. } => {
                let link = own_slot(pool, failures).await?.clone();
                // It may have ended since: who asks decides how often to try.
                if link.is_broken() { Err(StoreErrorKind::Disconnected.into()) } else { Ok(link) }
            }
        }
    }

    /// Puts a connection that was dedicated into the pool, if there is room.
    pub(super) fn adopt(&self, link: Link) {
        if let Source::Own { pool, connector, .. } = &self.source {
            connector.logins.rename(&link, &connector.target.login, Purpose::Requests);
            drop(pool.add(link));
            if self.is_closed() {
                empty(pool, &self.home);
            }
        }
    }

    /// A connection that nobody shares. Only on the runtime of the connections.
    pub(super) async fn dedicated(&self) -> Result<Link, StoreError> {
        match &self.source {
            Source::Foreign(pool) => pool.dedicated().await.map(Link::foreign),
            Source::Own { connector, .. } => connector.open(Purpose::Probe).await,
        }
    }

    /// Lets nobody in any more and lets go of the connections; each ends with the last request that is under way on it.
    pub(super) fn close(&self) {
        self.gate.close();
        if let Source::Own { pool, connector, .. } = &self.source {
            connector.close();
            empty(pool, &self.home);
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.gate.is_closed()
    }

    /// What opens connections outside of the pool; a pool that is not ours keeps that to itself.
    pub(super) fn connector(&self) -> Option<Arc<Connector>> {
        match &self.source {
            Source::Own { connector, .. } => Some(Arc::clone(connector)),
            Source::Foreign(_) => None,
        }
    }

    /// Another connection for a read whose own is held up, if there is room for one.
    pub(super) async fn aside(self: &Arc<Self>, until: Instant) -> Option<Link> {
        let this = Arc::clone(self);
        let opened = async move {
            let Source::Own { pool, failures, .. } = &this.source else { return Ok(None) };
            Ok(timeout_at(until, this.aside.open(pool, failures)).await?)
        };
        self.home.run(opened).await.unwrap_or(None)
    }

    /// Whether a read on this connection had better be asked on another one, too.
    pub(super) fn is_held_up(&self, link: &Link) -> bool {
        self.aside.is_held_up(link)
    }

    /// How long a read waits before it looks whether it is held up.
    pub(super) const fn patience(&self) -> Duration {
        self.aside.patience()
    }

    /// Tells a pool that is not ours that its connections may be bad; ours looks at the link itself.
    pub(super) fn suspect(&self) {
        if let Source::Foreign(pool) = &self.source {
            pool.suspect();
        }
    }

    pub(super) fn counts(&self) -> PoolCounts {
        let state = match &self.source {
            Source::Own { pool, .. } => pool.state(),
            Source::Foreign(pool) => pool.state(),
        };
        PoolCounts {
            connections: state.connections,
            idle: state.idle_connections,
            waiting: self.waiting.load(Ordering::Relaxed),
        }
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        if let Ok(turn) = self.gate.try_acquire() {
            return Ok(turn);
        }
        let waiter = Waiter::enter(&self.waiting, self.max_waiting)?;
        let turn = self.gate.acquire().await.map_err(|_| StoreErrorKind::Unavailable.into());
        drop(waiter);
        turn
    }
}

/// A connection that nobody else gets until it is put back.
pub(super) async fn own_slot<'a>(
    pool: &'a bb8::Pool<Manager>,
    failures: &Failures,
) -> Result<bb8::PooledConnection<'a, Manager>, StoreError> {
    let mut failed = pin!(failures.notified());
    let mut get = pin!(pool.get());
    poll_fn(|cx| {
        if let Poll::Ready(result) = get.as_mut().poll(cx) {
            return Poll::Ready(match result {
                Ok(slot) => Ok(slot),
                Err(bb8::RunError::User(error)) => Err(error),
                Err(bb8::RunError::TimedOut) => Err(StoreErrorKind::Timeout.into()),
            });
        }
        failed.as_mut().poll(cx).map(|()| Err(failures.last()))
    })
    .await
}

/// Takes the connections that nobody holds out of a pool.
pub(super) fn empty(pool: &bb8::Pool<Manager>, home: &Home) {
    for _ in 0..pool.state().idle_connections {
        if let Ok(Poll::Ready(Ok(slot))) = home.poll(pin!(pool.get())) {
            slot.mark_broken(); // put back, it is dropped
        }
    }
}

/// Somebody who waits, counted.
pub(super) struct Waiter<'a>(&'a AtomicUsize);

impl<'a> Waiter<'a> {
    pub(super) fn enter(waiting: &'a AtomicUsize, most: usize) -> Result<Self, StoreError> {
        if waiting.fetch_add(1, Ordering::Relaxed) >= most {
            waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(StoreErrorKind::Overloaded.into());
        }
        Ok(Self(waiting))
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
