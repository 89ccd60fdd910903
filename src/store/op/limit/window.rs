//! The fixed window: so many in a time that begins with the first one. Later ones do not prolong it.

use super::State;

/// `limit` in `window_us` microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// How many.
    pub limit: u64,
    /// The window's length, microseconds.
    pub window_us: u64,
}

impl Window {
    pub(super) const fn at(self, state: State, now_us: u64) -> State {
        if now_us.saturating_sub(state.since_us) >= self.window_us {
            State { used: 0, since_us: now_us, ..state }
        } else {
            state
        }
    }

    /// When the window ends, microseconds from now.
    pub(super) const fn left_us(self, state: State, now_us: u64) -> u64 {
        state.since_us.saturating_add(self.window_us).saturating_sub(now_us)
    }
}
