//! How much is allowed in which time.

use std::time::Duration;

use crate::store::op::{Bucket, MAX_UNITS, Rule, Sliding, Window};

/// The longest period or window: ten years.
const MAX_PERIOD: Duration = Duration::from_secs(315_576_000);

/// How much is allowed in which time, and how it is counted. Checked when the limiter is built, or by [`check`](Self::check).
///
/// | | admits | at the edge | stored |
/// |---|---|---|---|
/// | [`per_second`](Self::per_second)… | a burst at once, then a steady rate (token bucket) | no edge: tokens come back one by one | 2 numbers |
/// | [`window`](Self::window) | all at any time of the window, which begins with the first request | up to twice as many around the edge | 2 numbers |
/// | [`sliding`](Self::sliding) | what is left when the window before fades, by estimate | no edge: a second burst is refused | 3 numbers |
///
/// Everything is counted in whole numbers of microseconds (sliding windows: milliseconds) that a double holds exactly.
///
/// ```
/// use std::time::Duration;
/// use tower_keep::rate_limit::Quota;
///
/// let api = Quota::per_second(10).burst(30); // 30 at once, then one each 100 ms
/// let login = Quota::window(5, Duration::from_secs(900));
/// let search = Quota::sliding(100, Duration::from_secs(60));
/// for quota in [api, login, search, Quota::per(7, Duration::from_micros(250))] {
///     quota.check()?;
/// }
/// assert!(Quota::per_minute(0).check().is_err());
/// # Ok::<(), tower_keep::rate_limit::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    kind: Kind,
    amount: u64,
    period: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Bucket {
        burst: Option<u64>,
    },
    Window,
    Sliding,
    /// A burst was set for something that has none.
    Misfit,
}

/// Why a quota cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuotaError {
    /// Nothing would ever be allowed.
    #[error("the amount and the burst of a quota must be greater than zero")]
    Zero,
    /// The period is zero, longer than ten years or not a whole number of steps.
    #[error(
        "a period must be greater than zero, at most ten years and whole microseconds (sliding windows: whole milliseconds)"
    )]
    Period,
    /// A window has no burst.
    #[error("only a quota by rate has a burst; set the amount of the window instead")]
    Burst,
    /// Beyond what can be counted exactly.
    #[error(
        "the quota cannot be counted exactly: amount (or burst) times period exceeds 2^53; choose a shorter period or rounder numbers"
    )]
    TooLarge,
}

impl Quota {
    /// A token bucket: `amount` each second, and as many at once unless [`burst`](Self::burst) says otherwise.
    #[must_use]
    pub const fn per_second(amount: u64) -> Self {
        Self::per(amount, Duration::from_secs(1))
    }

    /// A token bucket: `amount` each minute.
    #[must_use]
    pub const fn per_minute(amount: u64) -> Self {
        Self::per(amount, Duration::from_secs(60))
    }

    /// A token bucket: `amount` each hour.
    #[must_use]
    pub const fn per_hour(amount: u64) -> Self {
        Self::per(amount, Duration::from_secs(3600))
    }

    /// A token bucket: `amount` each day.
    #[must_use]
    pub const fn per_day(amount: u64) -> Self {
        Self::per(amount, Duration::from_secs(86_400))
    }

    /// A token bucket: `amount` come back in each `period`, evenly.
    #[must_use]
    pub const fn per(amount: u64, period: Duration) -> Self {
        Self { kind: Kind::Bucket { burst: None }, amount, period }
    }

    /// A fixed window: `amount` in a time that begins with the first request. Later ones do not prolong it.
    #[must_use]
    pub const fn window(amount: u64, window: Duration) -> Self {
        Self { kind: Kind::Window, amount, period: window }
    }

    /// A sliding window counter: `amount` in this window and in the part of the one before that still lies within the last `window`, taken
    /// as evenly spread. A burst at the end of a window, and then whatever fades, is nearly twice the amount in the worst time of this length,
    /// though never at once.
    #[must_use]
    pub const fn sliding(amount: u64, window: Duration) -> Self {
        Self { kind: Kind::Sliding, amount, period: window }
    }

    /// How many a token bucket admits at once, when it is full. Default: the amount.
    #[must_use]
    pub const fn burst(self, burst: u64) -> Self {
        let kind = match self.kind {
            Kind::Bucket { .. } => Kind::Bucket { burst: Some(burst) },
            Kind::Window | Kind::Sliding | Kind::Misfit => Kind::Misfit,
        };
        Self { kind, ..self }
    }

    /// The most that can be admitted at once.
    #[must_use]
    pub const fn capacity(&self) -> u64 {
        match self.kind {
            Kind::Bucket { burst: Some(burst) } => burst,
            _ => self.amount,
        }
    }

    /// How much is allowed in each [`period`](Self::period).
    #[must_use]
    pub const fn amount(&self) -> u64 {
        self.amount
    }

    /// The time of which [`amount`](Self::amount) speaks.
    #[must_use]
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// Checks that the quota can be counted exactly.
    ///
    /// # Errors
    ///
    /// The [`QuotaError`] that says what is wrong.
    pub fn check(&self) -> Result<(), QuotaError> {
        self.rule().map(drop)
    }

    /// The quota in the store's numbers.
    pub(super) fn rule(&self) -> Result<Rule, QuotaError> {
        let step_ns = if self.kind == Kind::Sliding { 1_000_000 } else { 1000 };
        let ns = self.period.as_nanos();
        if ns == 0 || self.period > MAX_PERIOD || !ns.is_multiple_of(step_ns) {
            return Err(QuotaError::Period);
        }
        if self.amount == 0 || self.capacity() == 0 {
            return Err(QuotaError::Zero);
        }
        let steps = u64::try_from(ns / step_ns).map_err(|_| QuotaError::Period)?;
        let (rule, product) = match self.kind {
            Kind::Misfit => return Err(QuotaError::Burst),
            Kind::Bucket { .. } => {
                // A million a day is one each 86,400 µs: in lowest terms the products are small.
                let divisor = gcd(self.amount, steps);
                let (refill, period_us) = (self.amount / divisor, steps / divisor);
                let capacity = self.capacity();
                let most = capacity.checked_mul(period_us);
                (Rule::Bucket(Bucket { capacity, refill, period_us }), most.map(|most| most.max(refill)))
            }
            Kind::Window => {
                (Rule::Window(Window { limit: self.amount, window_us: steps }), Some(self.amount))
            }
            Kind::Sliding => {
                let rule = Rule::Sliding(Sliding { limit: self.amount, window_ms: steps });
                (rule, self.amount.checked_mul(steps))
            }
        };
        if product.is_some_and(|product| product <= MAX_UNITS) { Ok(rule) } else { Err(QuotaError::TooLarge) }
    }
}

const fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn quotas_that_cannot_be_counted_are_refused() {
        for (quota, error) in [
            (Quota::per_second(0), QuotaError::Zero),
            (Quota::per_second(1).burst(0), QuotaError::Zero),
            (Quota::window(0, DAY), QuotaError::Zero),
            (Quota::per(1, Duration::ZERO), QuotaError::Period),
            (Quota::per(1, Duration::from_nanos(1500)), QuotaError::Period),
            (Quota::sliding(1, Duration::from_micros(1500)), QuotaError::Period),
            (Quota::window(1, Duration::MAX), QuotaError::Period),
            (Quota::window(1, DAY).burst(2), QuotaError::Burst),
            (Quota::per_day(999_983), QuotaError::TooLarge),
            (Quota::per_second(u64::MAX).burst(u64::MAX), QuotaError::TooLarge),
            (Quota::window(u64::MAX, DAY), QuotaError::TooLarge),
            (Quota::sliding(1 << 40, DAY), QuotaError::TooLarge),
        ] {
            assert_eq!(quota.check(), Err(error), "{quota:?}");
        }
    }

    #[test]
    fn quotas_of_practical_use_are_counted() {
        for quota in [
            Quota::per_second(10),
            Quota::per_second(3_000_000),
            Quota::per(1, Duration::from_micros(1)),
            Quota::per_day(1_000_000),
            Quota::per_day(10_000_000).burst(1_000_000),
            Quota::window(1_000_000_000, DAY * 31),
            Quota::window(1, Duration::from_micros(500)),
            Quota::sliding(1_000_000, DAY * 31),
            Quota::sliding(5, Duration::from_millis(100)),
        ] {
            assert_eq!(quota.check(), Ok(()), "{quota:?}");
        }
    }

    #[test]
    fn the_longest_period_and_the_largest_window_are_the_last_that_work() {
        let us = Duration::from_micros(1);
        assert_eq!(Quota::window(1, MAX_PERIOD).check(), Ok(()));
        assert_eq!(Quota::window(1, MAX_PERIOD + us).check(), Err(QuotaError::Period));
        assert_eq!(Quota::window(MAX_UNITS, us).check(), Ok(()));
        assert_eq!(Quota::window(MAX_UNITS + 1, us).check(), Err(QuotaError::TooLarge));
    }

    #[test]
    fn a_quota_tells_what_it_was_made_of() {
        for (quota, told) in [
            (Quota::per_second(7), (7, 7, 1)),
            (Quota::per_minute(7).burst(9), (7, 9, 60)),
            (Quota::per_hour(7), (7, 7, 3600)),
            (Quota::per_day(7).burst(2), (7, 2, 86_400)),
            (Quota::window(8, DAY), (8, 8, 86_400)),
            (Quota::sliding(9, DAY), (9, 9, 86_400)),
        ] {
            assert_eq!((quota.amount(), quota.capacity(), quota.period().as_secs()), told, "{quota:?}");
        }
    }

    #[test]
    fn a_rate_is_what_its_name_says() {
        let rule = Quota::per_second(10).rule().unwrap();
        assert_eq!(rule, Rule::Bucket(Bucket { capacity: 10, refill: 1, period_us: 100_000 }));
        let rule = Quota::per_minute(90).burst(5).rule().unwrap();
        assert_eq!(rule, Rule::Bucket(Bucket { capacity: 5, refill: 3, period_us: 2_000_000 }));
    }
}
