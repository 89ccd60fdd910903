//! A decision in the words of header fields.

use smallvec::SmallVec;

use crate::clock::micros;
use crate::rate_limit::RefusalReason;
use crate::rate_limit::decision::{Decision, LimitStatus};
use crate::rate_limit::fields::{LimitReport, PolicyName, PolicyReport, PolicyState, Told, seconds};
use crate::rate_limit::quota::Quota;
use crate::store::op::{PerLimit, Standing, Verdict};

impl Decision {
    /// What clients are told of it: the limits that were asked and refuse. Limits in shadow mode are not named.
    #[must_use]
    pub fn report(&self) -> LimitReport {
        self.tell(|told| LimitReport::new(told.policies.to_vec(), told.retry_after_us))
    }

    /// The same, lent: it is needed for each response.
    pub(super) fn tell<T>(&self, write: impl FnOnce(Told<'_>) -> T) -> T {
        let policies = self.told().map(|status| policy(status, status.standing));
        let policies: SmallVec<[_; 2]> = policies.collect();
        write(Told { policies: &policies, retry_after_us: self.retry_after().map(micros) })
    }

    /// The limits of which clients are told.
    pub(super) fn told(&self) -> impl Iterator<Item = &LimitStatus> {
        self.limits().iter().filter(|status| status.is_enforced() && status.standing.is_some())
    }

    /// All that differs between answers about the same limits.
    pub(super) fn numbers(&self) -> PerLimit<Numbers> {
        let numbers = |status: &LimitStatus| {
            let standing = status.standing?;
            let retry_after = match standing.verdict {
                Verdict::Refused { retry_after_us } => Some(retry_after_us.map(seconds)),
                _ => None,
            };
            let Standing { remaining, reset_us, banned, .. } = standing;
            Some(Numbers { remaining, reset: seconds(reset_us), retry_after, banned })
        };
        self.told().filter_map(numbers).collect()
    }

    /// Why the request is refused, in the words of problem types.
    pub(super) fn refusal(&self) -> RefusalReason {
        if self.refused().any(LimitStatus::is_banned) {
            RefusalReason::AbnormalUsage
        } else {
            RefusalReason::QuotaExceeded
        }
    }
}

/// What an answer says of one limit, in whole seconds.
#[derive(PartialEq)]
pub(super) struct Numbers {
    remaining: u64,
    reset: u64,
    /// Of a limit that refuses; there is none where waiting does not help.
    retry_after: Option<Option<u64>>,
    banned: bool,
}

/// A limit as a policy; without a standing, of somebody who has asked nothing.
pub(super) fn policy(status: &LimitStatus, standing: Option<Standing>) -> PolicyReport {
    let capacity = status.quota.capacity();
    let name = PolicyName::of_limit(&status.name);
    let mut policy =
        PolicyReport::new(name, capacity, standing.map_or(capacity, |standing| standing.remaining));
    policy.window_us = Some(window_us(&status.quota));
    policy.reset_us = Some(standing.map_or(0, |standing| standing.reset_us));
    if status.is_refused() {
        policy.state = PolicyState::Violated;
    }
    policy
}

/// The time in which the whole capacity comes back: of a window its length, of a bucket until it is full.
fn window_us(quota: &Quota) -> u64 {
    let full = u128::from(quota.capacity()) * u128::from(micros(quota.period()));
    u64::try_from(full.div_ceil(u128::from(quota.amount().max(1)))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_buckets_window_is_the_time_until_it_is_full() {
        for (quota, us) in [
            (Quota::per_second(10), 1_000_000),
            (Quota::per_second(10).burst(30), 3_000_000),
            (Quota::per_minute(1).burst(3), 180_000_000),
            (Quota::per(7, Duration::from_secs(1)).burst(1), 142_858),
            (Quota::window(10, Duration::from_secs(10)), 10_000_000),
            (Quota::sliding(5, Duration::from_millis(100)), 100_000),
        ] {
            assert_eq!(window_us(&quota), us, "{quota:?}");
        }
    }
}
