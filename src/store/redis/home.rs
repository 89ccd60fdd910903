//! The runtime on which connections live.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};

use crate::store::error::{StoreError, StoreErrorKind};

/// A runtime, and whether it has ended: a timer that is polled inside one that has panics.
pub(super) struct Home {
    runtime: Handle,
    ended: Arc<AtomicBool>,
    sentinel: AbortHandle,
}

/// Is dropped with the runtime's tasks.
struct Sentinel(Arc<AtomicBool>);

impl Home {
    pub(super) fn new(runtime: &Handle) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let guard = Sentinel(Arc::clone(&ended));
        let sentinel = runtime.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        Self { runtime: runtime.clone(), ended, sentinel: sentinel.abort_handle() }
    }

    /// Looks inside this runtime whether a future is ready.
    pub(super) fn poll<F: Future>(&self, future: Pin<&mut F>) -> Result<Poll<F::Output>, StoreError> {
        if self.ended.load(Ordering::Acquire) {
            return Err(StoreErrorKind::Unavailable.into());
        }
        let _inside = self.runtime.enter();
        Ok(future.poll(&mut Context::from_waker(Waker::noop())))
    }

    /// Carries a future out in a task of this runtime, until the caller's own future is dropped.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let mut task = JoinSet::new();
        task.spawn_on(future, &self.runtime);
        match task.join_next().await {
            Some(Ok(result)) => result,
            _ => Err(StoreErrorKind::Unavailable.into()), // the runtime has ended
        }
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.sentinel.abort();
    }
}
