//! The rules of limits as whole numbers: what `rate_limit.lua` decides, step by step, for the embedded store; and what a state
//! says about a request, for both.
//!
//! All products stay below 2^53 ([`MAX_UNITS`]), because Lua counts in doubles: whoever makes a rule checks that.

use super::{Ban, Bucket, Sliding, State, Window};

/// What a full limit may hold at most, in its own unit: whole numbers up to 2^53 are exact in a double, and one more must fit.
pub const MAX_UNITS: u64 = (1 << 53) - 2;
/// The longest ban: 100 years in microseconds.
pub const MAX_BAN_US: u64 = 3_155_760_000_000_000;

/// How a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// A token bucket.
    Bucket(Bucket),
    /// A fixed window.
    Window(Window),
    /// A sliding window counter.
    Sliding(Sliding),
}

/// Whether a limit admits a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It does.
    Admitted,
    /// It does not.
    Refused {
        /// When it will if nothing else is charged, microseconds from now; `None`: never, the cost is above the capacity.
        retry_after_us: Option<u64>,
    },
}

/// Where a subject stands with one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The verdict on the request.
    pub verdict: Verdict,
    /// How much is left.
    pub remaining: u64,
    /// When all of it is there again if nothing else is charged, microseconds from now.
    pub reset_us: u64,
    /// Whether everything is refused for a while.
    pub banned: bool,
}

impl Rule {
    /// What a full limit holds, in the rule's own unit.
    pub(super) const fn most(self) -> u64 {
        match self {
            Self::Bucket(bucket) => bucket.most(),
            Self::Window(window) => window.limit,
            Self::Sliding(sliding) => sliding.limit,
        }
    }

    /// A cost in the rule's own unit; one that can never fit is one more than fits.
    pub(super) const fn units(self, cost: u64) -> u64 {
        let unit = match self {
            Self::Bucket(bucket) => bucket.period_us,
            Self::Window(_) | Self::Sliding(_) => 1,
        };
        let (units, most) = (cost.saturating_mul(unit), self.most());
        if units > most { most + 1 } else { units }
    }

    /// The state as it is now. A time ahead of the clock means that the clock stepped back: it is believed, and what was counted
    /// stays counted.
    #[must_use]
    pub fn at(self, stored: Option<State>, now_us: u64) -> State {
        let Some(stored) = stored else { return State::empty(now_us) };
        let ban = stored
            .ban
            .map(|ban| Ban { length_us: ban.length_us.min(MAX_BAN_US), from_us: ban.from_us.min(now_us) });
        let most = self.most();
        let state = State {
            used: stored.used.min(most),
            since_us: stored.since_us.min(now_us),
            before: stored.before.min(most),
            ban: ban.filter(|ban| ban.from_us.saturating_add(ban.length_us) > now_us),
        };
        match self {
            Self::Bucket(bucket) => bucket.at(State { before: 0, ..state }, now_us),
            Self::Window(window) => window.at(State { before: 0, ..state }, now_us),
            Self::Sliding(sliding) => sliding.at(state, now_us),
        }
    }

    /// Whether `cost` fits, now that the state is this one.
    pub(super) fn admits(self, state: State, now_us: u64, cost: u64) -> bool {
        let want = self.units(cost);
        let fits = match self {
            Self::Sliding(sliding) => sliding.admits(state, now_us, want),
            Self::Bucket(_) | Self::Window(_) => state.used + want <= self.most(),
        };
        fits && state.ban.is_none()
    }

    /// What a state as it is now says about a request of this cost.
    #[must_use]
    pub fn standing(self, state: State, now_us: u64, cost: u64) -> Standing {
        let (remaining, reset_us) = match self {
            Self::Bucket(bucket) => (bucket.remaining(state), bucket.reset_us(state)),
            Self::Window(window) => {
                let left_us = if state.used > 0 { window.left_us(state, now_us) } else { 0 };
                (window.limit.saturating_sub(state.used), left_us)
            }
            Self::Sliding(sliding) => (sliding.remaining(state, now_us), sliding.reset_us(state, now_us)),
        };
        let banned_us = state.banned_us(now_us);
        let verdict = if self.admits(state, now_us, cost) {
            Verdict::Admitted
        } else {
            let retry_us = self.retry_us(state, now_us, cost);
            Verdict::Refused { retry_after_us: retry_us.map(|retry_us| retry_us.max(banned_us)) }
        };
        let banned = banned_us > 0;
        let remaining = if banned { 0 } else { remaining };
        Standing { verdict, remaining, reset_us: reset_us.max(banned_us), banned }
    }

    /// When `cost` fits, bans aside; `None`: never.
    fn retry_us(self, state: State, now_us: u64, cost: u64) -> Option<u64> {
        let want = self.units(cost);
        if want > self.most() {
            return None;
        }
        Some(match self {
            Self::Bucket(bucket) => bucket.retry_us(state, want),
            Self::Window(window) if state.used + want > window.limit => window.left_us(state, now_us),
            Self::Window(_) => 0,
            Self::Sliding(sliding) => sliding.retry_us(state, now_us, want),
        })
    }

    /// How long a state must be kept: until then it says more than a missing key.
    #[must_use]
    pub fn keep_us(self, state: State, now_us: u64) -> u64 {
        let ends_us = match self {
            Self::Bucket(bucket) => bucket.reset_us(state),
            Self::Window(window) => window.left_us(state, now_us),
            Self::Sliding(sliding) => {
                state.since_us.saturating_add(sliding.window_ms.saturating_mul(2000)).saturating_sub(now_us)
            }
        };
        ends_us.max(state.banned_us(now_us))
    }

    /// How long the window lasts in which is counted now; a bucket has none.
    #[must_use]
    pub const fn window_left_us(self, state: State, now_us: u64) -> Option<u64> {
        let window_us = match self {
            Self::Bucket(_) => return None,
            Self::Window(window) => window.window_us,
            Self::Sliding(sliding) => sliding.window_ms.saturating_mul(1000),
        };
        Some(state.since_us.saturating_add(window_us).saturating_sub(now_us))
    }

    /// The rule in a word, for keys: a limit with another quota is another limit, and inherits nothing.
    #[must_use]
    pub fn word(self) -> String {
        match self {
            Self::Bucket(bucket) => format!("b{}.{}.{}", bucket.capacity, bucket.refill, bucket.period_us),
            Self::Window(window) => format!("w{}.{}", window.limit, window.window_us),
            Self::Sliding(sliding) => format!("s{}.{}", sliding.limit, sliding.window_ms),
        }
    }

    /// Kind, most and rate, as the script takes them.
    pub(super) const fn script(self) -> (&'static str, u64, u64) {
        match self {
            Self::Bucket(bucket) => ("b", self.most(), bucket.refill),
            Self::Window(window) => ("w", self.most(), window.window_us),
            Self::Sliding(sliding) => ("s", self.most(), sliding.window_ms),
        }
    }
}
