//! Tasks that must not end by a panic in themselves: nobody would notice before they are missed.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::monitor::jittered;

/// Between a panic and the next try.
const PAUSE: Duration = Duration::from_millis(500);

/// Carries out `work`, and again after each panic; `work` is told how many there were.
pub(super) fn supervise<F>(runtime: &Handle, what: &'static str, work: impl Fn(u32) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    runtime.spawn(async move {
        for panics in 0.. {
            let mut task = JoinSet::new(); // ends the task with this one
            task.spawn(work(panics));
            match task.join_next().await {
                Some(Err(ended)) if ended.is_panic() => {
                    tracing::error!(what, "a task in the background panicked; it begins again");
                    tokio::time::sleep(jittered(PAUSE)).await;
                }
                _ => return,
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    #[tokio::test(start_paused = true)]
    async fn what_panics_begins_again_and_what_ends_does_not() {
        let (tell, mut told) = mpsc::unbounded_channel();
        supervise(&Handle::current(), "test", move |panics| {
            let tell = tell.clone();
            async move {
                tell.send(panics).unwrap();
                assert!(panics >= 2, "a panic of the test's own");
            }
        });
        let mut seen = Vec::new();
        while let Some(panics) = told.recv().await {
            seen.push(panics);
        }
        assert_eq!(seen, [0, 1, 2]);
    }
}
