//! Refusals that still hold, so that a flood from one key costs the store nothing.
//!
//! What is remembered is the state that refused. Others can only have added to it since, so what it refuses, as time goes on, the
//! store would refuse as well, whatever the cost; and what it no longer refuses, the store is asked. Time is counted by the
//! monotonic clock from the arrival of the answer: later than the server's moment by the way of the answer, never earlier.
//!
//! Only a refund or a reset can make it wrong. Those of this process clear what is remembered, answers still under way
//! included; those of another process count here when the promised time has come. A server that lost its data admits
//! from then on, while this process keeps to what was promised.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::store::key::Key;
use crate::store::op::{LimitUse, PerLimit, Rule, Standing, State, Verdict};

/// For how long a cost that is never possible is remembered: what else the answer says should not grow too old.
const NEVER: Duration = Duration::from_secs(1);

/// A bounded memory of refusals.
#[derive(Debug)]
pub(super) struct Refusals {
    memory: Mutex<Memory>,
    most: usize,
}

#[derive(Debug, Default)]
struct Memory {
    refusals: HashMap<Key, Refusal>,
    ends: BTreeSet<(Instant, Key)>,
    epoch: Epoch,
}

/// Grows with each change that could make an answer under way wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Epoch(u64);

/// A state that refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    pub(super) rule: Rule,
    pub(super) state: State,
    /// The store's time of which the state speaks.
    pub(super) now_us: u64,
    /// When the answer came.
    pub(super) arrived: Instant,
    ends: Instant,
}

impl Refusal {
    /// `None` when the standing is no refusal.
    pub(super) fn new(rule: Rule, state: State, now_us: u64, standing: Standing) -> Option<Self> {
        let Verdict::Refused { retry_after_us } = standing.verdict else { return None };
        let arrived = Instant::now();
        let ends = arrived.checked_add(retry_after_us.map_or(NEVER, Duration::from_micros))?;
        Some(Self { rule, state, now_us, arrived, ends })
    }

    /// What it says now about a cost, while it refuses that.
    fn still(&self, now: Instant, cost: u64) -> Option<Standing> {
        if now >= self.ends {
            return None;
        }
        let since = crate::clock::micros(now.saturating_duration_since(self.arrived));
        let now_us = self.now_us.saturating_add(since);
        let standing = self.rule.standing(self.rule.at(Some(self.state), now_us), now_us, cost);
        (standing.verdict != Verdict::Admitted).then_some(standing)
    }
}

impl Refusals {
    pub(super) fn new(most: usize) -> Self {
        Self { memory: Mutex::default(), most }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // A panic while the lock was held can at worst leave an end without its refusal, which is harmless.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time before a question is sent, to go with its answer.
    pub(super) fn epoch(&self) -> Epoch {
        self.memory().epoch
    }

    /// What is known to be refused of these limits, one item for each, if anything is; and the epoch.
    pub(super) fn recall<'a>(
        &self,
        limits: impl Iterator<Item = &'a LimitUse>,
        now: impl FnOnce() -> Instant,
    ) -> (Epoch, Option<PerLimit<Option<Standing>>>) {
        let memory = self.memory();
        if memory.refusals.is_empty() {
            return (memory.epoch, None);
        }
        let now = std::cell::LazyCell::new(now); // most requests are not known
        let look = |limit: &LimitUse| memory.refusals.get(&limit.key)?.still(*now, limit.cost);
        let standings: PerLimit<_> = limits.map(look).collect();
        (memory.epoch, standings.iter().any(Option::is_some).then_some(standings))
    }

    /// Remembers a refusal, unless something changed since the question was sent. When the memory is full, the refusal that ends
    /// first gives way: it costs one more question.
    pub(super) fn remember(&self, key: &Key, refusal: Refusal, asked: Epoch) {
        let mut memory = self.memory();
        if memory.epoch != asked {
            return;
        }
        memory.forget(key);
        while memory.refusals.len() >= self.most
            && let Some((_, first)) = memory.ends.pop_first()
        {
            memory.refusals.remove(&first);
        }
        memory.ends.insert((refusal.ends, key.clone()));
        memory.refusals.insert(key.clone(), refusal);
    }

    /// Forgets what was remembered of these keys, and what answers under way would add.
    pub(super) fn forget(&self, keys: &[Key]) {
        let mut memory = self.memory();
        memory.epoch.0 += 1;
        keys.iter().for_each(|key| memory.forget(key));
    }
}

impl Memory {
    fn forget(&mut self, key: &Key) {
        if let Some(refusal) = self.refusals.remove(key) {
            self.ends.remove(&(refusal.ends, key.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::key::KeyPrefix;
    use crate::store::op::{Bucket, Window};

    const START: u64 = 1_700_000_000_000_000;

    fn key(part: &str) -> Key {
        Key::new(&KeyPrefix::default(), "t", part)
    }

    fn refusal(rule: Rule, used: u64, cost: u64) -> Refusal {
        let state = State { used, ..State::empty(START) };
        Refusal::new(rule, state, START, rule.standing(state, START, cost)).unwrap()
    }

    fn window(seconds: u64) -> Refusal {
        refusal(Rule::Window(Window { limit: 5, window_us: seconds * 1_000_000 }), 5, 1)
    }

    /// What is known of one limit.
    fn recalled(refusals: &Refusals, key: &Key, cost: u64, now: Instant) -> Option<Standing> {
        let rule = Rule::Window(Window { limit: 1, window_us: 1 }); // the refusal has its own
        let limit = LimitUse { key: key.clone(), rule, cost };
        refusals.recall([&limit].into_iter(), || now).1?.into_iter().next()?
    }

    #[test]
    fn it_is_refused_until_the_promised_time_and_not_longer() {
        let refusals = Refusals::new(10);
        let refusal = window(10);
        refusals.remember(&key("a"), refusal, refusals.epoch());
        let after = |ms| refusal.arrived + Duration::from_millis(ms);
        let standing = recalled(&refusals, &key("a"), 1, after(4000)).unwrap();
        assert_eq!(standing.verdict, Verdict::Refused { retry_after_us: Some(6_000_000) });
        assert!(recalled(&refusals, &key("a"), 1, after(9999)).is_some());
        assert!(recalled(&refusals, &key("a"), 1, after(10_000)).is_none());
        assert!(recalled(&refusals, &key("b"), 1, after(0)).is_none());
    }

    #[test]
    fn a_smaller_cost_is_asked_as_soon_as_it_may_fit() {
        let bucket = Rule::Bucket(Bucket { capacity: 10, refill: 1, period_us: 1_000_000 });
        let refusals = Refusals::new(10);
        let refusal = refusal(bucket, 10_000_000, 5);
        refusals.remember(&key("a"), refusal, refusals.epoch());
        let after = |ms| refusal.arrived + Duration::from_millis(ms);
        assert!(recalled(&refusals, &key("a"), 1, after(999)).is_some());
        assert!(recalled(&refusals, &key("a"), 1, after(1000)).is_none());
        assert!(recalled(&refusals, &key("a"), 5, after(4999)).is_some());
        assert!(recalled(&refusals, &key("a"), 10, after(4999)).is_some());
        assert!(recalled(&refusals, &key("a"), 5, after(5000)).is_none());
    }

    #[test]
    fn the_memory_is_bounded_and_what_ends_first_gives_way() {
        let refusals = Refusals::new(3);
        for (name, seconds) in [("a", 40), ("b", 10), ("c", 30), ("a", 50), ("d", 20)] {
            refusals.remember(&key(name), window(seconds), refusals.epoch());
        }
        let known = |name| recalled(&refusals, &key(name), 1, Instant::now()).is_some();
        assert_eq!(["a", "b", "c", "d"].map(known), [true, false, true, true]);
        let memory = refusals.memory();
        assert_eq!((memory.refusals.len(), memory.ends.len()), (3, 3));
    }

    #[test]
    fn a_change_also_stops_answers_under_way() {
        let refusals = Refusals::new(3);
        let asked = refusals.epoch();
        refusals.remember(&key("a"), window(10), asked);
        refusals.forget(&[key("a")]);
        assert!(recalled(&refusals, &key("a"), 1, Instant::now()).is_none());
        refusals.remember(&key("a"), window(10), asked);
        assert!(recalled(&refusals, &key("a"), 1, Instant::now()).is_none());
        assert!(refusals.memory().ends.is_empty());
    }
}
