//! The token bucket, by its level: what was taken and has not drained yet.
//!
//! One token is `period_us` units and each microsecond drains `refill` units, so a token is back after `period_us / refill`
//! microseconds whatever the two are, and nothing is ever rounded in what is stored. It is the generic cell rate algorithm
//! (ITU-T I.371) with the sum kept instead of the theoretical arrival time, because a sum survives a clock that steps back.

use super::State;

/// `capacity` tokens, `refill` of which come back each `period_us` microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bucket {
    /// What a full bucket holds, in tokens.
    pub capacity: u64,
    /// How many tokens come back in a period.
    pub refill: u64,
    /// The period, microseconds.
    pub period_us: u64,
}

impl Bucket {
    pub(super) const fn most(self) -> u64 {
        self.capacity.saturating_mul(self.period_us)
    }

    pub(super) const fn at(self, state: State, now_us: u64) -> State {
        let drained = now_us.saturating_sub(state.since_us).saturating_mul(self.refill);
        State { used: state.used.saturating_sub(drained), since_us: now_us, ..state }
    }

    pub(super) const fn remaining(self, state: State) -> u64 {
        self.most().saturating_sub(state.used) / self.period_us
    }

    /// When the bucket is full again, microseconds from now.
    pub(super) const fn reset_us(self, state: State) -> u64 {
        state.used.div_ceil(self.refill)
    }

    /// When `want` units fit, microseconds from now; `want` is at most [`most`](Self::most).
    pub(super) const fn retry_us(self, state: State, want: u64) -> u64 {
        (state.used + want).saturating_sub(self.most()).div_ceil(self.refill)
    }
}
