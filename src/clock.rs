//! Where the time comes from.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A source of wall-clock time since the Unix epoch.
///
/// The embedded store takes one so that tests can turn the clock. On Redis the server's own time decides,
/// because the clocks of several application servers never agree.
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The operating system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still at `start_ms` (milliseconds since the Unix epoch) until [`advance`](Self::advance)
    /// moves it. All clones show the same time.
    #[must_use]
    pub fn manual(start_ms: u64) -> Self {
        Self(Source::Manual(Arc::new(AtomicU64::new(start_ms.saturating_mul(1000)))))
    }

    /// Moves a manual clock forward. The system clock cannot be moved: there the call does nothing.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(now) = &self.0 {
            now.fetch_add(micros(by), Ordering::SeqCst);
        }
    }

    /// Turns a manual clock to a time, also backwards, in microseconds since the Unix epoch. The system clock cannot be turned.
    pub fn turn_to(&self, now_us: u64) {
        if let Source::Manual(now) = &self.0 {
            now.store(now_us, Ordering::SeqCst);
        }
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_us() / 1000
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        match &self.0 {
            Source::System => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, micros),
            Source::Manual(now) => now.load(Ordering::SeqCst),
        }
    }
}

/// Whole milliseconds, saturating: half a billion years is as good as for ever.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Whole microseconds, saturating.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_shows_what_it_was_told() {
        let clock = Clock::manual(5);
        let other = clock.clone();
        assert_eq!((clock.now_ms(), clock.now_us()), (5, 5000));
        clock.advance(Duration::from_micros(1_001_999));
        assert_eq!((other.now_ms(), other.now_us()), (1006, 1_006_999));
        clock.turn_to(3);
        assert_eq!((other.now_ms(), other.now_us()), (0, 3));
    }

    #[test]
    fn times_are_whole_and_saturate() {
        let time = Duration::from_nanos(1_999_999);
        assert_eq!((millis(time), micros(time)), (1, 1999));
        assert_eq!((millis(Duration::MAX), micros(Duration::MAX)), (u64::MAX, u64::MAX));
    }
}
