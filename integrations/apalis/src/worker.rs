//! Running a worker, again and again until it is told to stop.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use apalis_core::backend::ext::BackendExt;
use apalis_core::error::{BoxDynError, WorkerError};
use apalis_core::task::Task;
use apalis_core::worker::builder::WorkerBuilder;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower::limit::ConcurrencyLimit;
use tower::service_fn;
use ulid::Ulid;

use crate::jobs::{JobId, Jobs};
use crate::sweep::sweep;
use crate::ticks::Ticks;
use crate::turn::{Dead, Job, Turn};

/// The shortest and the longest pause before a worker begins again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

pub(crate) type Handler<T> =
    Arc<dyn Fn(Job<T>) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;
pub(crate) type Hook = Arc<dyn Fn(Dead) + Send + Sync>;

/// Does what is queued. Several, in one process or many, share the work.
#[must_use = "a worker does nothing until it is run"]
pub struct Worker<T> {
    jobs: Jobs<T>,
    handler: Handler<T>,
    hook: Hook,
}

impl<T: Serialize + DeserializeOwned + Clone + Send + Sync + Unpin + 'static> Worker<T> {
    pub(crate) fn new<H, F, E>(jobs: Jobs<T>, handler: H) -> Self
    where
        H: Fn(Job<T>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        let handler: Handler<T> = Arc::new(move |job| {
            let future = handler(job);
            Box::pin(async move { future.await.map_err(|error| error.to_string()) })
        });
        let hook: Hook = Arc::new(|dead| tracing::error!(attempts = dead.attempts, "a job failed for good"));
        Self { jobs, handler, hook }
    }

    /// What hears of each job that failed for good, once; by default a line in the log without id and error. If its process dies at
    /// that very moment, nobody hears of it; the status tells.
    pub fn on_dead(mut self, hook: impl Fn(Dead) + Send + Sync + 'static) -> Self {
        self.hook = Arc::new(hook);
        self
    }

    /// Works until `stop` is ready, then finishes what is in hand, for up to `grace`. Whatever ends a worker before, a lost connection
    /// above all, it begins again, after 100 ms at first and up to 2 s later. What fails is in the log.
    ///
    /// Dropped, it leaves what it had in hand to other workers, after `abandoned_after`.
    pub async fn run_until(self, stop: impl Future<Output = ()> + Send + 'static) {
        let stop: Shared<BoxFuture<'static, ()>> = stop.boxed().shared();
        let mut pause = PAUSES.0;
        while stop.peek().is_none() {
            let begun = tokio::time::Instant::now();
            let grace = async {
                stop.clone().await;
                tokio::time::sleep(self.jobs.queue.grace).await;
            };
            tokio::select! {
                ended = self.work(stop.clone()) => match ended {
                    Ok(()) => {}
                    Err(error) => tracing::warn!(%error, "a worker ended and begins again"),
                },
                () = sweep(Arc::clone(&self.jobs.queue)) => {}
                () = grace => return,
            }
            pause = if begun.elapsed() > PAUSES.1 { PAUSES.0 } else { (pause * 2).min(PAUSES.1) };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.clone() => {}
            }
        }
    }

    /// One life of a worker. Its name is new each time: apalis takes one that died for alive until `abandoned_after` is over.
    fn work(&self, stop: Shared<BoxFuture<'static, ()>>) -> BoxFuture<'static, Result<(), WorkerError>> {
        let (queue, handler, hook) =
            (Arc::clone(&self.jobs.queue), Arc::clone(&self.handler), Arc::clone(&self.hook));
        let service = service_fn(move |task: Task<T>| {
            let id = task.task_id().map(ToString::to_string).and_then(|id| JobId::from_text(&id));
            let turn =
                Turn { queue: Arc::clone(&queue), handler: Arc::clone(&handler), hook: Arc::clone(&hook) };
            async move {
                let id = id.ok_or_else(|| BoxDynError::from("a job without an id of this crate"))?;
                turn.run(id, task.args).await
            }
        });
        let backend = self.jobs.storage().poll_with_strategy(Ticks::new(self.jobs.queue.poll));
        let name = format!("worker-{}", Ulid::generate());
        let worker = WorkerBuilder::new(name.as_str())
            .backend(backend)
            .build(ConcurrencyLimit::new(service, self.jobs.queue.concurrency));
        worker.run_until(stop.map(Ok::<(), WorkerError>)).boxed()
    }
}

impl<T> fmt::Debug for Worker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("jobs", &self.jobs).finish_non_exhaustive()
    }
}
