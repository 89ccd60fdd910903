//! Finds out whether Redis serves again, so that no request has to.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::{Instant, timeout_at};

use super::breaker::is_failure;
use super::link::Link;
use super::node::Inner;
use super::send::Outgoing;
use super::supervise::supervise;
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::health::StoreStatus;
use crate::store::wire::{Class, Command};

/// One connection that ended says little about the server, so the first probe is repeated.
const FIRST_TRIES: u32 = 3;

/// Starts probing unless that goes on already. It ends with the first probe that finds everything well, or with the store.
pub(super) fn start(inner: &Arc<Inner>) {
    if !inner.probing.swap(true, Ordering::AcqRel) {
        let weak = Arc::downgrade(inner);
        supervise(&inner.runtime, "probe", move |_| watch(weak.clone()));
    }
}

async fn watch(inner: Weak<Inner>) {
    let (mut own, mut tries) = (None, FIRST_TRIES);
    loop {
        let Some(inner) = inner.upgrade().filter(|inner| !inner.checkout.is_closed()) else { return };
        let (reads, writes) = probe(&inner, &mut own).await;
        tries -= 1;
        if tries > 0 && [&reads, &writes].into_iter().any(has_ended) {
            continue;
        }
        tries = 1;
        inner.breaker.set(Class::Read, reads.is_err());
        inner.breaker.set(Class::Write, writes.is_err());
        let status = inner.breaker.status();
        if inner.breaker.announce(status) {
            announce(&inner, status, reads.err().or(writes.err()).as_ref());
        }
        if status == StoreStatus::Up {
            inner.up.send_if_modified(|up| !std::mem::replace(up, true));
            inner.probing.swap(false, Ordering::AcqRel);
            // Requests that failed since the probe left the probing to this task.
            if inner.breaker.status() == StoreStatus::Up || inner.probing.swap(true, Ordering::AcqRel) {
                own.into_iter().for_each(|link| inner.checkout.adopt(link));
                return;
            }
            continue;
        }
        let pause = jittered(inner.settings.probe_interval);
        drop(inner);
        tokio::time::sleep(pause).await;
    }
}

type Verdict = Result<(), StoreError>;

fn has_ended(verdict: &Verdict) -> bool {
    verdict.as_ref().is_err_and(|error| error.kind() == StoreErrorKind::Disconnected)
}

/// The server's `TIME`, and the removal of a key that does not exist, which a server that refuses writes refuses.
///
/// On a connection of its own: a server that holds a write back holds back what follows on its connection, so the pool's
/// would tell of their users. When the removal fails, the time is asked for once more: the server may have stopped in between.
async fn probe(inner: &Inner, own: &mut Option<Link>) -> (Verdict, Verdict) {
    let reads = probe_reads(inner, own).await;
    if reads.is_err() {
        return (reads.clone(), reads);
    }
    let remove = [Command::write("DEL", inner.probed())];
    let remove = Outgoing::All(&remove);
    let until = Instant::now() + inner.settings.deadline;
    let used = match own {
        Some(link) => inner.attempt_on(link.clone(), remove, until.into()).await,
        None => inner.attempt(remove, until.into()).await,
    };
    let removed = used.and_then(|used| match used.answers.errors().next() {
        Some(error) => Err(error.clone()),
        None => Ok(()),
    });
    match keep_failures(Class::Write, removed) {
        Ok(()) => (reads, Ok(())),
        refused => (probe_reads(inner, own).await, refused),
    }
}

async fn probe_reads(inner: &Inner, own: &mut Option<Link>) -> Verdict {
    let link = match own.take().filter(|link| !link.is_broken()) {
        Some(link) => link,
        None => match open(inner).await {
            Either::Left(link) => link,
            Either::Right(verdict) => return verdict,
        },
    };
    let link = own.insert(link);
    let until = Instant::now() + inner.settings.deadline;
    answer(inner, inner.ask_time_on(link, until)).await
}

/// A connection for the probe. Where none can be had in time, the verdict is that of the pool's, which are asked meanwhile: a
/// server that hangs is known after one deadline instead of two, and one that has no room for more connections is not given up.
async fn open(inner: &Inner) -> Either<Link, Verdict> {
    let until = Instant::now() + inner.settings.deadline;
    let opening = pin!(async { timeout_at(until, inner.checkout.dedicated()).await? });
    if inner.checkout.counts().connections == 0 {
        return opening.await.map_or_else(|error| Either::Right(Err(error)), Either::Left);
    }
    let asking = pin!(answer(inner, inner.ask_time(until)));
    match select(opening, asking).await {
        Either::Left((Ok(link), _)) => Either::Left(link),
        Either::Left((Err(_), asking)) => Either::Right(asking.await),
        Either::Right((verdict, opening)) => {
            opening.await.map_or_else(|_| Either::Right(verdict), Either::Left)
        }
    }
}

async fn answer(inner: &Inner, asked: impl Future<Output = Verdict>) -> Verdict {
    let question = inner.breaker.ask();
    let answered = asked.await;
    drop(question);
    keep_failures(Class::Read, answered)
}

/// A server that answers with another error (`MISCONF`, `NOPERM`) is there: each request gets that answer itself.
fn keep_failures(class: Class, result: Result<(), StoreError>) -> Result<(), StoreError> {
    result.or_else(|error| if is_failure(class, &error) { Err(error) } else { Ok(()) })
}

fn announce(inner: &Inner, status: StoreStatus, error: Option<&StoreError>) {
    crate::metric::count("tower_keep_store_status_changes_total", status.as_str());
    let error = error.map(tracing::field::display);
    let server = inner.checkout.connector().map(|connector| connector.target.place());
    let server = server.as_deref();
    match status {
        StoreStatus::Up => tracing::warn!(server, "redis answers again"),
        StoreStatus::ReadOnly => {
            tracing::warn!(
                server,
                error,
                "redis takes no writes; reads go on, writes are refused until it does"
            )
        }
        StoreStatus::Down | StoreStatus::Partial => tracing::warn!(
            server,
            error,
            "redis is unavailable; requests follow their failure policy until it answers"
        ),
    }
}

/// Up to a quarter more, so that a fleet does not probe in step.
pub(super) fn jittered(interval: Duration) -> Duration {
    let mut byte = [0u8];
    // Without randomness the interval is simply not jittered.
    let _ = getrandom::fill(&mut byte);
    interval + interval.mul_f64(f64::from(byte[0]) / 1024.0)
}
