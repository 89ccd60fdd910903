//! A server's clock, as seen from here.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::clock::Clock;

/// How far the server's clock is from ours: those of application servers may differ by hours.
#[derive(Debug, Default)]
pub(super) struct ServerClock {
    /// The server's clock minus ours, ms, once it has been seen.
    ahead_ms: AtomicI64,
    seen: AtomicBool,
}

impl ServerClock {
    /// Takes note of the server's time, in milliseconds since the Unix epoch.
    pub(super) fn observe(&self, now_ms: u64) {
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        let ahead = signed(now_ms).saturating_sub(signed(Clock::system().now_ms()));
        self.ahead_ms.store(ahead, Ordering::Relaxed);
        self.seen.store(true, Ordering::Relaxed);
    }

    /// How many milliseconds it is ahead of ours, once it has been seen.
    pub(super) fn ahead_ms(&self) -> Option<i64> {
        self.seen.load(Ordering::Relaxed).then(|| self.ahead_ms.load(Ordering::Relaxed))
    }
}
