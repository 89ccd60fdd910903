//! A decision in the words of header fields.

use crate::clock::micros;
use crate::rate_limit::decision::{Decision, LimitStatus};
use crate::rate_limit::fields::{LimitReport, PolicyName, PolicyReport, PolicyState};
use crate::rate_limit::limit::LimitMode;
use crate::rate_limit::quota::Quota;

impl Decision {
    /// What clients are told of it: the limits that were asked and refuse. Limits in shadow mode are not named.
    #[must_use]
    pub fn report(&self) -> LimitReport {
        let policies = self.limits().iter().filter_map(policy).collect();
        LimitReport::new(policies, self.retry_after().map(micros))
    }
}

fn policy(status: &LimitStatus) -> Option<PolicyReport> {
    let standing = status.standing.filter(|_| status.mode == LimitMode::Enforced)?;
    let name = PolicyName::of_limit(&status.name);
    let mut policy = PolicyReport::new(name, status.quota.capacity(), standing.remaining);
    policy.window_us = Some(window_us(&status.quota));
    policy.reset_us = Some(standing.reset_us);
    if status.is_refused() {
        policy.state = PolicyState::Violated;
    }
    Some(policy)
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
