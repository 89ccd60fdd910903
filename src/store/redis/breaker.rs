//! Stops paying the deadline for every request while Redis does not answer.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use tokio::time::Instant;

use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::health::StoreStatus;
use crate::store::wire::Class;

/// Failures in a row after which requests are refused without a try, unless a probe decides earlier.
const THRESHOLD: u32 = 5;

/// One circuit for reads and one for writes: a server that refuses writes still answers reads.
#[derive(Debug)]
pub(super) struct Breaker {
    reads: Circuit,
    writes: Circuit,
    announced: AtomicU8,
    created: Instant,
    /// When the question was asked that a probe has no answer to yet: in milliseconds, the first of which is 1; 0 while there is none.
    asked: AtomicU64,
}

/// A probe has asked; with it the question ends, answered or not.
#[must_use = "the question is over when it is dropped"]
pub(super) struct Question<'a>(&'a Breaker);

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.0.asked.store(0, Ordering::Release);
    }
}

#[derive(Debug, Default)]
struct Circuit {
    failures: AtomicU32,
    open: AtomicBool,
}

/// Whether an error says that the server cannot be used for this class, as opposed to refusing one request.
pub(super) const fn is_failure(class: Class, error: &StoreError) -> bool {
    match error.kind() {
        // That a key lies elsewhere says nothing about the server.
        StoreErrorKind::Unavailable | StoreErrorKind::Moved => false,
        StoreErrorKind::ReadOnly => matches!(class, Class::Write),
        _ => error.is_outage(),
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            reads: Circuit::default(),
            writes: Circuit::default(),
            announced: AtomicU8::default(),
            created: Instant::now(),
            asked: AtomicU64::new(0),
        }
    }
}

impl Breaker {
    const fn circuit(&self, class: Class) -> &Circuit {
        match class {
            Class::Read => &self.reads,
            Class::Write => &self.writes,
        }
    }

    /// Lets a request through that can wait until then, or refuses it at once: while the circuit is open, and while a probe has been
    /// without an answer for as long as the request could wait for its own.
    pub(super) fn admit(&self, class: Class, until: Instant) -> Result<(), StoreError> {
        if self.is_open(class) || self.has_been_silent_for_longer_than(until) {
            Err(StoreErrorKind::Unavailable.into())
        } else {
            Ok(())
        }
    }

    /// Takes note that a probe asks a server that should answer at once.
    pub(super) fn ask(&self) -> Question<'_> {
        self.asked.store(self.age().saturating_add(1), Ordering::Release);
        Question(self)
    }

    fn has_been_silent_for_longer_than(&self, until: Instant) -> bool {
        let Some(asked) = self.asked.load(Ordering::Acquire).checked_sub(1) else { return false };
        let silent = self.age().saturating_sub(asked);
        u128::from(silent) >= until.saturating_duration_since(Instant::now()).as_millis()
    }

    fn age(&self) -> u64 {
        u64::try_from(self.created.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn is_open(&self, class: Class) -> bool {
        self.circuit(class).open.load(Ordering::Acquire)
    }

    /// Takes note of a success.
    pub(super) fn succeeded(&self, class: Class) {
        let failures = &self.circuit(class).failures;
        if failures.load(Ordering::Relaxed) != 0 {
            failures.store(0, Ordering::Relaxed);
        }
    }

    /// Takes note of a failure.
    pub(super) fn failed(&self, class: Class) {
        let circuit = self.circuit(class);
        if circuit.failures.fetch_add(1, Ordering::Relaxed) + 1 >= THRESHOLD {
            circuit.open.store(true, Ordering::Release);
        }
    }

    /// Takes over what a probe found out.
    pub(super) fn set(&self, class: Class, open: bool) {
        let circuit = self.circuit(class);
        circuit.failures.store(0, Ordering::Relaxed);
        circuit.open.store(open, Ordering::Release);
    }

    pub(super) fn status(&self) -> StoreStatus {
        match (self.is_open(Class::Read), self.is_open(Class::Write)) {
            (false, false) => StoreStatus::Up,
            (false, true) => StoreStatus::ReadOnly,
            (true, _) => StoreStatus::Down,
        }
    }

    /// Whether `status` differs from what was last announced; announces it.
    pub(super) fn announce(&self, status: StoreStatus) -> bool {
        self.announced.swap(status as u8, Ordering::AcqRel) != status as u8
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn opens_after_failures_in_a_row_for_one_class_only() {
        let breaker = Breaker::default();
        for _ in 1..THRESHOLD {
            breaker.failed(Class::Write);
        }
        breaker.succeeded(Class::Write);
        breaker.failed(Class::Write);
        assert_eq!(breaker.status(), StoreStatus::Up);
        for _ in 1..THRESHOLD {
            breaker.failed(Class::Write);
        }
        assert_eq!(breaker.status(), StoreStatus::ReadOnly);
        let until = Instant::now() + SECOND;
        assert!(breaker.admit(Class::Read, until).is_ok() && breaker.admit(Class::Write, until).is_err());
        breaker.set(Class::Write, false);
        assert_eq!(breaker.status(), StoreStatus::Up);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_who_could_wait_no_longer_than_a_probe_already_has() {
        let breaker = Breaker::default();
        let admits = |wait| breaker.admit(Class::Read, Instant::now() + Duration::from_millis(wait)).is_ok();
        tokio::time::advance(SECOND).await;
        let question = breaker.ask();
        tokio::time::advance(Duration::from_millis(49)).await;
        assert!(admits(50) && admits(250) && !admits(49));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!admits(50) && admits(250));
        assert_eq!(breaker.status(), StoreStatus::Up, "a slow answer is none of the outages");
        drop(question);
        assert!(admits(50));
    }

    #[test]
    fn a_change_of_state_is_announced_once() {
        let breaker = Breaker::default();
        assert!(!breaker.announce(StoreStatus::Up));
        assert!(breaker.announce(StoreStatus::Down));
        assert!(!breaker.announce(StoreStatus::Down));
        assert!(breaker.announce(StoreStatus::Up));
    }

    #[test]
    fn only_outages_count() {
        use StoreErrorKind as K;
        for (kind, read, write) in [
            (K::Timeout, true, true),
            (K::Refused, true, true),
            (K::ReadOnly, false, true),
            (K::Full, false, false),
            (K::WrongType, false, false),
            (K::Unavailable, false, false),
            (K::Moved, false, false),
            (K::Overloaded, false, false),
        ] {
            assert_eq!(is_failure(Class::Read, &kind.into()), read, "{kind:?}");
            assert_eq!(is_failure(Class::Write, &kind.into()), write, "{kind:?}");
        }
    }
}
