//! One named limit, and what becomes of it when the store fails.

use std::sync::Arc;

use super::quota::Quota;

/// What a limit does when the store cannot be asked. None of them turns a failure into a refusal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailurePolicy {
    /// The request is admitted. The default: a limiter that is down must not take the site down.
    #[default]
    Open,
    /// The request is answered with 503, and [`RateLimiter::check`](super::RateLimiter::check) is an error: for what must never go unlimited,
    /// such as attempts to sign in.
    Closed,
    /// This process decides alone, with the same quota and a memory of its own, until the store is back. Each process then
    /// admits up to the limit.
    Local,
}

impl FailurePolicy {
    /// A short, stable name, fit for a metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Local => "local",
        }
    }
}

/// Whether a limit refuses, or only tells that it would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitMode {
    /// It refuses. The default.
    #[default]
    Enforced,
    /// It counts, and tells by [`LimitEvent::WouldRefuse`](super::LimitEvent::WouldRefuse) and a metric of its own what it would have
    /// refused; it refuses nothing, and clients are not told of it.
    Shadow,
}

/// A quota with a name. The name stands in keys, in answers and in header fields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Limit {
    pub(super) name: Arc<str>,
    pub(super) quota: Quota,
    pub(super) failure: FailurePolicy,
    pub(super) mode: LimitMode,
}

impl Limit {
    /// A limit called `name`: 1 to 32 of `a-z 0-9 _ -`.
    ///
    /// Its count is shared with every limit of the same name and quota whose limiter has the same
    /// [namespace](super::RateLimiterBuilder::namespace) and store, also with one that is meant for something else.
    pub fn new(name: &str, quota: Quota) -> Self {
        Self { name: name.into(), quota, failure: FailurePolicy::default(), mode: LimitMode::default() }
    }

    /// What it does when the store fails. Default [`FailurePolicy::Open`].
    pub const fn on_failure(mut self, policy: FailurePolicy) -> Self {
        self.failure = policy;
        self
    }

    /// The limit refuses nothing and tells what it would have refused ([`LimitMode::Shadow`]): to try a quota on real traffic. It is
    /// decided by itself, in the same round trip: it is charged also where another limit refuses.
    pub const fn shadow(mut self) -> Self {
        self.mode = LimitMode::Shadow;
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_enforced_and_open_unless_told_otherwise() {
        let limit = || Limit::new("burst", Quota::per_second(10));
        let settings = |limit: Limit| (limit.failure, limit.mode);
        assert_eq!((limit().name(), limit().quota), ("burst", Quota::per_second(10)));
        assert_eq!(settings(limit()), (FailurePolicy::Open, LimitMode::Enforced));
        assert_eq!(settings(limit().shadow()), (FailurePolicy::Open, LimitMode::Shadow));
        for (policy, label) in [
            (FailurePolicy::Open, "open"),
            (FailurePolicy::Closed, "closed"),
            (FailurePolicy::Local, "local"),
        ] {
            assert_eq!(settings(limit().on_failure(policy)), (policy, LimitMode::Enforced));
            assert_eq!(policy.as_str(), label);
        }
    }
}
