//! Stops paying the deadline for every request while Redis does not answer.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::health::StoreStatus;
use crate::store::wire::Class;

/// Failures in a row after which requests are refused without a try, unless a probe decides earlier.
const THRESHOLD: u32 = 5;

/// One circuit for reads and one for writes: a server that refuses writes still answers reads.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    reads: Circuit,
    writes: Circuit,
    announced: AtomicU8,
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

impl Breaker {
    const fn circuit(&self, class: Class) -> &Circuit {
        match class {
            Class::Read => &self.reads,
            Class::Write => &self.writes,
        }
    }

    /// Lets a request through, or refuses it at once.
    pub(super) fn admit(&self, class: Class) -> Result<(), StoreError> {
        if self.circuit(class).open.load(Ordering::Acquire) {
            Err(StoreErrorKind::Unavailable.into())
        } else {
            Ok(())
        }
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
        let open = |class| self.admit(class).is_err();
        match (open(Class::Read), open(Class::Write)) {
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
    use super::*;

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
        assert!(breaker.admit(Class::Read).is_ok());
        breaker.set(Class::Write, false);
        assert_eq!(breaker.status(), StoreStatus::Up);
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
