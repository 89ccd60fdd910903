//! A place that renews itself.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::{Permit, Renewed};
use crate::rate_limit::error::LimitError;

/// A place that a task renews, each time a third of its time is over, and gives back when this guard is dropped. Made by
/// [`Permit::keep`].
///
/// A store that fails for a while costs the place only if no renewal succeeds for the whole time. One round trip for each renewal.
#[derive(Debug)]
#[must_use = "a guard that is dropped gives its place back"]
pub struct Kept {
    /// Dropped to stop the task.
    stop: oneshot::Sender<()>,
    held: watch::Receiver<bool>,
    task: JoinHandle<Result<(), LimitError>>,
}

impl Permit {
    /// Renews the place in the background for as long as the guard lives.
    ///
    /// # Errors
    ///
    /// [`LimitError::NoRuntime`] outside of a tokio runtime; the place is then free when its time is over.
    pub fn keep(self) -> Result<Kept, LimitError> {
        let runtime = Handle::try_current().map_err(|_| LimitError::NoRuntime)?;
        let (stop, stopped) = oneshot::channel();
        let (tell, held) = watch::channel(true);
        let task = runtime.spawn(hold(self, stopped, tell));
        Ok(Kept { stop, held, task })
    }
}

impl Kept {
    /// Whether the place was held when it was last renewed. Somebody else may have it otherwise.
    #[must_use]
    pub fn is_held(&self) -> bool {
        *self.held.borrow()
    }

    /// Waits until the place is lost: it could not be renewed in time. To be awaited beside the work.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn lost(&self) {
        // The task ends after it has told of a loss, or with its runtime, and then nobody renews the place.
        let _ = self.held.clone().wait_for(|held| !held).await;
    }

    /// Gives the place back, and waits for it. One round trip.
    ///
    /// # Errors
    ///
    /// [`LimitError::Store`] when the store fails: the place is free when its time is over.
    pub async fn release(self) -> Result<(), LimitError> {
        let Self { stop, task, .. } = self;
        drop(stop);
        // A task that its runtime dropped gives nothing back: the place is free when its time is over.
        task.await.unwrap_or(Err(LimitError::NoRuntime))
    }
}

/// Renews until the guard is gone, and gives back.
async fn hold(
    permit: Permit,
    mut stopped: oneshot::Receiver<()>,
    tell: watch::Sender<bool>,
) -> Result<(), LimitError> {
    let ttl = Duration::from_micros(permit.lease.ttl_us);
    let mut until = Instant::now() + ttl;
    while timeout(ttl / 3, &mut stopped).await.is_err() {
        let asked = Instant::now();
        match permit.renew().await {
            Ok(Renewed::Held) => until = asked + ttl,
            Err(error) if Instant::now() < until => {
                tracing::debug!(error = &error as &dyn std::error::Error, "a place could not be renewed yet");
            }
            Ok(Renewed::Lost) | Err(_) => {
                tell.send_replace(false);
                break;
            }
        }
    }
    let given_back = permit.release().await;
    if let Err(error) = &given_back {
        tracing::debug!(error = error as &dyn std::error::Error, "a place could not be given back");
    }
    given_back
}
