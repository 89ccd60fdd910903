//! Work behind responses, counted, so that a store can be closed when it is done.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::error::StoreError;
use super::{Backend, Store};

/// How many tasks are under way. Clones count together.
#[derive(Clone, Debug)]
pub(super) struct Tasks(watch::Sender<usize>);

/// Where to carry out what nobody waits for.
#[derive(Debug)]
pub(crate) struct Background {
    runtime: Handle,
    tasks: Tasks,
}

impl Store {
    /// Where to carry out what nobody waits for: on the runtime on which the connections live, which outlives that of a request; where
    /// the store is embedded, on the caller's, if there is one.
    pub(crate) fn background(&self) -> Option<Background> {
        let runtime = match &self.backend {
            Backend::Memory(_) => Handle::try_current().ok()?,
            Backend::Redis(redis) => redis.runtime().clone(),
        };
        Some(Background::new(runtime, self.tasks.clone()))
    }

    /// Ends the store, for all clones: waits for up to `within` until what goes on behind responses is done (charges that are corrected, pages
    /// that are stored, locks that are given back), then lets nobody in any more, ends the tasks in the background and closes the
    /// connections, each when the last request under way on it is answered. To be called when the server has answered its last request.
    ///
    /// From then on each call fails with [`Unavailable`](super::StoreErrorKind::Unavailable), and subscriptions hear nothing more. A pool of yours stays
    /// open; the embedded store stays as it is. Dropping all clones closes the connections as well, without waiting.
    ///
    /// # Errors
    ///
    /// [`Timeout`](super::StoreErrorKind::Timeout) when something was still under way then; it is closed all the same.
    ///
    /// # Cancel safety
    ///
    /// A dropped future closes nothing.
    pub async fn close(&self, within: Duration) -> Result<(), StoreError> {
        let done = tokio::time::timeout(within, self.tasks.done()).await;
        if let Backend::Redis(redis) = &self.backend {
            redis.close();
        }
        Ok(done?)
    }
}

/// One task under way, however it ends.
struct UnderWay(Tasks);

impl Tasks {
    /// Waits until none is under way.
    pub(super) async fn done(&self) {
        // The sender lives as long as this does.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Background {
    pub(super) const fn new(runtime: Handle, tasks: Tasks) -> Self {
        Self { runtime, tasks }
    }

    /// Carries out what has an end.
    pub(crate) fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tasks.0.send_modify(|count| *count += 1);
        let under_way = UnderWay(self.tasks.clone());
        self.runtime.spawn(async move {
            let _under_way = under_way;
            work.await
        })
    }

    /// The same for what goes on until nobody wants it: no store waits for that.
    pub(crate) fn spawn_listener(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}
