//! Charging for several requests at once, for keys that are always busy.
//!
//! What is handed out was charged before, so never more than the limit is admitted in all. It is handed out within the time that
//! was set and within the window in which it was charged; what is left then is lost, not given back.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::micros;
use crate::store::key::Key;
use crate::store::op::{Decided, LimitUse, PerLimit, Standing, State, Verdict};

/// How many keys may be charged ahead at once; further ones are charged request by request.
const MAX_KEYS: usize = 1_000;

/// Requests that were charged and not made yet.
#[derive(Debug)]
pub(super) struct Ahead {
    /// For how many requests is charged at once.
    pub(super) requests: u64,
    keep: Duration,
    held: Mutex<HashMap<Vec<LimitUse>, Held>>,
}

#[derive(Debug)]
struct Held {
    left: u64,
    ends: Instant,
    /// What the store said when it was charged.
    states: PerLimit<State>,
    now_us: u64,
    arrived: Instant,
}

impl Ahead {
    pub(super) fn new(requests: u64, keep: Duration) -> Self {
        Self { requests, keep, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Vec<LimitUse>, Held>> {
        // Each entry is changed in one step, so a panic while the lock was held left none half-changed.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One request that was charged already.
    pub(super) fn hand_out(&self, uses: &[LimitUse], now: Instant) -> Option<PerLimit<Standing>> {
        let mut all = self.held();
        let held = all.get_mut(uses)?;
        if held.left == 0 || held.ends <= now {
            all.remove(uses);
            return None;
        }
        held.left -= 1;
        let now_us = held.now_us.saturating_add(micros(now.saturating_duration_since(held.arrived)));
        let standing = |(limit, state): (&LimitUse, &State)| {
            let state = limit.rule.at(Some(*state), now_us);
            Standing { verdict: Verdict::Admitted, ..limit.rule.standing(state, now_us, 0) }
        };
        Some(uses.iter().zip(&held.states).map(standing).collect())
    }

    /// Keeps what was charged but for the first request. `asked` is when the question was sent: its time counts.
    pub(super) fn keep(&self, uses: &[LimitUse], decided: &Decided, asked: Instant) {
        let left_us = |(limit, state): (&LimitUse, &State)| limit.rule.window_left_us(*state, decided.now_us);
        let window_ends = uses.iter().zip(&decided.states).filter_map(left_us);
        let window_ends = window_ends.map(|left_us| asked + Duration::from_micros(left_us));
        let arrived = Instant::now();
        let ends = window_ends.fold(asked + self.keep, Instant::min);
        let (states, now_us) = (decided.states.clone(), decided.now_us);
        let mut all = self.held();
        if all.len() >= MAX_KEYS {
            all.retain(|_, held| held.left > 0 && held.ends > arrived);
        }
        let left = self.requests - 1;
        if let Some(held) = all.get_mut(uses) {
            // Another request charged ahead at the same time: both were paid for, while the earlier lasts.
            let live = if held.ends > arrived { held.left } else { 0 };
            let ends = if live > 0 { held.ends.min(ends) } else { ends };
            *held = Held { left: live.saturating_add(left), ends, states, now_us, arrived };
        } else if all.len() < MAX_KEYS {
            all.insert(uses.to_vec(), Held { left, ends, states, now_us, arrived });
        }
    }

    /// Forgets what is held for any of these keys.
    pub(super) fn forget(&self, keys: &[Key]) {
        self.held().retain(|uses, _| !uses.iter().any(|limit| keys.contains(&limit.key)));
    }
}
