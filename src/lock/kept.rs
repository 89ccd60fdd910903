//! A lock that extends itself.

use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::engine::count;
use super::error::LockError;
use super::guard::{Lock, Still};

/// A lock that a task extends, each time a third of its time is over, and gives back when this guard is dropped. Made by
/// [`Lock::keep`].
///
/// A store that fails for a while costs the lock only if no extension succeeds for the whole time. One script for each extension.
#[derive(Debug)]
#[must_use = "a guard that is dropped gives its lock back"]
pub struct KeptLock {
    fence: u64,
    /// Dropped to stop the task.
    stop: oneshot::Sender<()>,
    held: watch::Receiver<Still>,
    task: JoinHandle<Result<Still, LockError>>,
}

impl Lock {
    /// Extends the lock in the background for as long as the guard lives.
    ///
    /// # Errors
    ///
    /// [`LockError::NoRuntime`] outside of a tokio runtime; the lock then ends when its time is over.
    pub fn keep(self) -> Result<KeptLock, LockError> {
        let runtime = Handle::try_current().map_err(|_| LockError::NoRuntime)?;
        let (stop, stopped) = oneshot::channel();
        let (tell, held) = watch::channel(Still::Held);
        let fence = self.fence();
        let task = runtime.spawn(hold(self, stopped, tell));
        Ok(KeptLock { fence, stop, held, task })
    }
}

impl KeptLock {
    /// As [`Lock::fence`].
    #[must_use]
    pub const fn fence(&self) -> u64 {
        self.fence
    }

    /// Whether it was held when it was last extended.
    pub fn still(&self) -> Still {
        *self.held.borrow()
    }

    /// Waits until the lock is lost: it was broken or removed, which is noticed within a third of its time, or could not be extended
    /// until that was over. To be awaited beside the work.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn lost(&self) {
        // The task ends after it has told of a loss, or with its runtime, and then nobody extends the lock.
        let _ = self.held.clone().wait_for(|still| *still == Still::Lost).await;
    }

    /// Gives the lock back, and tells whether it was held until now. One script.
    ///
    /// # Errors
    ///
    /// [`LockError::Store`] when the store fails: it ends when its time is over.
    pub async fn release(self) -> Result<Still, LockError> {
        let Self { stop, task, .. } = self;
        drop(stop);
        // A task that its runtime dropped gives nothing back: the lock ends when its time is over.
        task.await.unwrap_or(Err(LockError::NoRuntime))
    }
}

/// Extends until the guard is gone, and gives back.
async fn hold(
    mut lock: Lock,
    mut stopped: oneshot::Receiver<()>,
    tell: watch::Sender<Still>,
) -> Result<Still, LockError> {
    // Whatever the store does, it is told when the time is over.
    while timeout((lock.ttl() / 3).min(lock.remaining()), &mut stopped).await.is_err() {
        match timeout(lock.remaining(), lock.extend()).await {
            Ok(Ok(Still::Held)) => {}
            Ok(Err(error)) if !lock.remaining().is_zero() => {
                tracing::debug!(error = &error as &dyn std::error::Error, "a lock could not be extended yet");
            }
            Ok(_) | Err(_) => {
                count("lost");
                let _ = tell.send(Still::Lost); // nobody may listen
                break;
            }
        }
    }
    lock.release().await
}
