//! Finds out whether Redis serves again, so that no request has to.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::backend::Inner;
use super::breaker::is_failure;
use crate::store::error::StoreError;
use crate::store::health::StoreStatus;
use crate::store::key::Key;
use crate::store::wire::{Class, Command};

/// Starts probing unless that goes on already. It ends with the first probe that finds everything well, or with the store.
pub(super) fn start(inner: &Arc<Inner>) {
    if !inner.probing.swap(true, Ordering::AcqRel) {
        inner.runtime.spawn(watch(Arc::downgrade(inner)));
    }
}

async fn watch(inner: Weak<Inner>) {
    loop {
        let Some(inner) = inner.upgrade() else { return };
        let (reads, writes) = probe(&inner).await;
        inner.breaker.set(Class::Read, reads.is_err());
        inner.breaker.set(Class::Write, writes.is_err());
        let status = inner.breaker.status();
        if inner.breaker.announce(status) {
            announce(status, reads.err().or(writes.err()).as_ref());
        }
        if status == StoreStatus::Up {
            inner.probing.store(false, Ordering::Release);
            return;
        }
        let pause = jittered(inner.settings.probe_interval);
        drop(inner);
        tokio::time::sleep(pause).await;
    }
}

/// The server's `TIME`, and the removal of a key that does not exist, which a server that refuses writes refuses.
async fn probe(inner: &Inner) -> (Result<(), StoreError>, Result<(), StoreError>) {
    let until = || Instant::now() + inner.settings.deadline;
    let reads = keep_failures(Class::Read, inner.ask_time(until()).await);
    if reads.is_err() {
        return (reads.clone(), reads);
    }
    let remove = Command::write("DEL", Key::new(&inner.settings.prefix, "probe", "0"));
    let writes = inner.attempt(&[remove], until()).await.and_then(|used| used.replies.into_iter().collect());
    (reads, keep_failures(Class::Write, writes.map(|_: Vec<_>| ())))
}

/// A server that answers with another error (`MISCONF`, `NOPERM`) is there: each request gets that answer itself.
fn keep_failures(class: Class, result: Result<(), StoreError>) -> Result<(), StoreError> {
    result.or_else(|error| if is_failure(class, &error) { Err(error) } else { Ok(()) })
}

fn announce(status: StoreStatus, error: Option<&StoreError>) {
    crate::metric::count("tower_keep_store_status_changes_total", status.as_str());
    let error = error.map(tracing::field::display);
    match status {
        StoreStatus::Up => tracing::warn!("redis answers again"),
        StoreStatus::ReadOnly => {
            tracing::warn!(error, "redis takes no writes; reads go on, writes are refused until it does")
        }
        StoreStatus::Down => tracing::warn!(
            error,
            "redis is unavailable; requests follow their failure policy until it answers"
        ),
    }
}

/// Up to a quarter more, so that a fleet does not probe in step.
fn jittered(interval: Duration) -> Duration {
    let mut byte = [0u8];
    // Without randomness the interval is simply not jittered.
    let _ = getrandom::fill(&mut byte);
    interval + interval.mul_f64(f64::from(byte[0]) / 1024.0)
}
