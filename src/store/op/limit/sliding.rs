//! The sliding window counter: what was counted in this window, and the part of the one before that still lies within the last
//! `window_ms`, as if it had been spread evenly.
//!
//! The estimate errs when traffic came in bursts; what is stored are two numbers whatever the limit is. Weights are
//! counted in whole milliseconds, so that the product of limit and window stays below 2^53 for any limit of practical use.

use super::State;

/// `limit` in any `window_ms` milliseconds, by estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sliding {
    /// How many.
    pub limit: u64,
    /// The window's length, milliseconds.
    pub window_ms: u64,
}

impl Sliding {
    const fn window_us(self) -> u64 {
        self.window_ms.saturating_mul(1000)
    }

    pub(super) const fn at(self, state: State, now_us: u64) -> State {
        let gone = now_us.saturating_sub(state.since_us);
        if gone >= self.window_us().saturating_mul(2) {
            State { used: 0, before: 0, since_us: now_us, ..state }
        } else if gone >= self.window_us() {
            State { used: 0, before: state.used, since_us: state.since_us + self.window_us(), ..state }
        } else {
            state
        }
    }

    /// What of the window before still counts, times the window's milliseconds.
    const fn carried(self, state: State, now_us: u64) -> u64 {
        let into_ms = now_us.saturating_sub(state.since_us) / 1000;
        state.before.saturating_mul(self.window_ms.saturating_sub(into_ms))
    }

    pub(super) fn admits(self, state: State, now_us: u64, want: u64) -> bool {
        let room = self.limit.checked_sub(state.used).and_then(|room| room.checked_sub(want));
        room.is_some_and(|room| self.carried(state, now_us) <= room.saturating_mul(self.window_ms))
    }

    pub(super) const fn remaining(self, state: State, now_us: u64) -> u64 {
        self.limit
            .saturating_sub(state.used)
            .saturating_sub(self.carried(state, now_us).div_ceil(self.window_ms))
    }

    /// When nothing counts any more, microseconds from now.
    pub(super) const fn reset_us(self, state: State, now_us: u64) -> u64 {
        let windows = if state.used > 0 { 2 } else { (state.before > 0) as u64 };
        if windows == 0 {
            return 0;
        }
        (state.since_us + windows * self.window_us()).saturating_sub(now_us)
    }

    /// When `want` fits if nothing else comes, microseconds from now; `want` is at most `limit`.
    pub(super) fn retry_us(self, state: State, now_us: u64, want: u64) -> u64 {
        // Within this window the one before fades; in the next one, this one does.
        let (fading, room, skipped) = match (self.limit - want).checked_sub(state.used) {
            Some(room) => (state.before, room, 0),
            None => (state.used, self.limit - want, self.window_ms),
        };
        let still = room.saturating_mul(self.window_ms).checked_div(fading).unwrap_or(self.window_ms);
        let wait_ms = skipped + self.window_ms.saturating_sub(still);
        (state.since_us + wait_ms * 1000).saturating_sub(now_us)
    }
}
