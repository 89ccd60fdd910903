//! Writes that replicas must confirm.
//!
//! `WAIT` blocks its connection, and those of the usual pool are shared. So such a write has a connection for itself while it goes on: the
//! commands and `WAIT` go out in one round trip.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::checkout::{Waiter, empty, own_slot};
use super::classify::ends_connection;
use super::driver::Requests;
use super::home::Home;
use super::link::{Conn, Link};
use super::login::{Purpose, command};
use super::manager::{Connector, FailureSink, Failures, Manager};
use super::node::Settings;
use super::resp::Replies;
use super::send::{Answers, Outgoing, send_in_full};
use crate::race::both;
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::key::Key;
use crate::store::replicas::Replicas;
use crate::store::wire::{Command, desync};

/// What the way to the server and back takes beside the wait for replicas.
const WAY: Duration = Duration::from_millis(20);

/// The connections of such writes, and the queue in front of them.
pub(super) struct Lasting {
    pool: bb8::Pool<Manager>,
    failures: Arc<Failures>,
    home: Home,
    gate: Semaphore,
    waiting: AtomicUsize,
    max_waiting: usize,
    replicas: Replicas,
    wait: Duration,
}

/// The replies, the connection that gave them, and whether enough replicas have what was written.
pub(super) struct Lasted {
    pub(super) answers: Answers,
    pub(super) link: Link,
    pub(super) is_replicated: bool,
}

impl Lasting {
    /// Opens nothing before the first such write.
    pub(super) fn new(connector: Arc<Connector>, settings: &Settings, runtime: &Handle) -> Option<Arc<Self>> {
        let (replicas, home) = (settings.replicas?, Home::new(runtime));
        let failures = Arc::<Failures>::default();
        let manager = Manager::new(connector, runtime.clone()).serving(Purpose::Lasting);
        let _inside = runtime.enter(); // the pool's own tasks live on the same runtime as its connections
        let pool = bb8::Pool::builder()
            .max_size(replicas.connections)
            .test_on_check_out(false)
            .retry_connection(false)
            .connection_timeout(settings.deadline)
            .error_sink(Box::new(FailureSink(Arc::clone(&failures))))
            .build_unchecked(manager);
        let connections = usize::try_from(replicas.connections).unwrap_or(1);
        Some(Arc::new(Self {
            pool,
            failures,
            home,
            gate: Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS)),
            waiting: AtomicUsize::new(0),
            max_waiting: settings.max_waiting,
            replicas,
            wait: replicas.wait(settings.deadline),
        }))
    }

    /// One round trip for all commands and the wait, in a task on the runtime of the connections. `marker`: a key of the same server
    /// that nobody needs.
    pub(super) async fn execute(
        self: &Arc<Self>,
        commands: Outgoing<'_>,
        marker: Key,
        until: Instant,
    ) -> Result<Lasted, StoreError> {
        let (this, asking) = (Arc::clone(self), commands.is_asking());
        let mut commands: Vec<_> = commands.iter().cloned().collect();
        // What is removed already is not written again, and `WAIT` asks about written bytes alone: so something is written always.
        commands.push(Command::write("SET", marker).word("1").word("PX").word("1000"));
        self.home.run(async move { timeout_at(until, this.carry_out(commands, asking, until)).await? }).await
    }

    async fn carry_out(
        &self,
        commands: Vec<Command>,
        asking: bool,
        until: Instant,
    ) -> Result<Lasted, StoreError> {
        let _turn = self.turn(until).await?;
        let slot = self.slot().await?;
        let link = slot.clone();
        // If this is dropped, replies are still to come: nobody shall wait behind them.
        let unfinished = Unfinished(&link);
        let Conn::Own(requests) = link.conn() else { return Err(desync()) };
        let left = until.saturating_duration_since(Instant::now()).saturating_sub(WAY).min(self.wait);
        let (sent, waited) = both(send_in_full(&link, &commands, asking), self.ask(requests, left)).await;
        let (answers, written) = apart(sent?);
        std::mem::forget(unfinished);
        let replicas = match waited.and_then(|replicas| written.map(|()| replicas)) {
            Ok(replicas) => replicas,
            Err(error) => {
                if ends_connection(error.kind()) {
                    link.mark_broken();
                }
                tracing::debug!(%error, "replicas could not be waited for");
                0
            }
        };
        if self.gate.is_closed() {
            link.mark_broken();
        }
        drop(slot);
        Ok(Lasted { answers, link, is_replicated: replicas >= i64::from(self.replicas.least) })
    }

    /// Lets nobody in any more; a connection ends with what is under way on it.
    pub(super) fn close(&self) {
        self.gate.close();
        empty(&self.pool, &self.home);
    }

    /// First come, first served; whoever would have no time left for the wait is turned away, which says nothing about the server.
    async fn turn(&self, until: Instant) -> Result<SemaphorePermit<'_>, StoreError> {
        if let Ok(turn) = self.gate.try_acquire() {
            return Ok(turn);
        }
        let _waiter = Waiter::enter(&self.waiting, self.max_waiting)?;
        let until = until.checked_sub(self.wait).unwrap_or(until);
        match timeout_at(until, self.gate.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) => Err(StoreErrorKind::Unavailable.into()),
            Err(_) => Err(StoreErrorKind::Overloaded.into()),
        }
    }

    /// A connection that nobody shares; one that ended since it was put back has not been sent anything.
    async fn slot(&self) -> Result<bb8::PooledConnection<'_, Manager>, StoreError> {
        for _ in 0..self.replicas.connections {
            let slot = own_slot(&self.pool, &self.failures).await?;
            if !slot.is_broken() {
                return Ok(slot);
            }
        }
        own_slot(&self.pool, &self.failures).await
    }

    /// How many replicas confirmed what was written before. 0 ms would be for ever.
    async fn ask(&self, requests: &Requests, wait: Duration) -> Result<i64, StoreError> {
        let words = ["WAIT".to_owned(), self.replicas.least.to_string(), wait.as_millis().max(1).to_string()];
        let bytes = requests.send(1, |out| command(out, &words)).await?.bytes;
        Replies::new(&bytes).next().ok_or_else(desync)??.int()
    }
}

/// The replies to the commands, and whether the write after them, which no caller knows of, was done.
fn apart(answers: Answers) -> (Answers, Result<(), StoreError>) {
    match answers {
        Answers::Read(mut replies) => {
            let written = replies.pop().map_or_else(|| Err(desync()), |reply| reply.map(drop));
            (Answers::Read(replies), written)
        }
        received @ Answers::Received(_) => (received, Ok(())), // none is an error
    }
}

/// A connection that owes replies.
struct Unfinished<'a>(&'a Link);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.0.mark_broken();
    }
}
