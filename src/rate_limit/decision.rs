//! The answer of a limiter.

use std::sync::Arc;
use std::time::Duration;

use super::limit::{FailurePolicy, Limit, LimitMode};
use super::quota::Quota;
use crate::store::op::{PerLimit, Standing, Verdict};

/// Where a limit's answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// The store was asked.
    Store,
    /// An earlier refusal still holds, so the store was not asked.
    Remembered,
    /// The request was charged together with an earlier one
    /// ([`charge_ahead`](super::RateLimiterBuilder::charge_ahead)).
    Ahead,
    /// The store failed and this process decided alone ([`FailurePolicy::Local`](super::FailurePolicy::Local)).
    Local,
    /// Nobody was asked: another limit's refusal was known, or the store failed and the policy is
    /// [`FailurePolicy::Open`](super::FailurePolicy::Open).
    Nobody,
}

impl Source {
    /// A short, stable name, fit for a metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Remembered => "remembered",
            Self::Ahead => "ahead",
            Self::Local => "local",
            Self::Nobody => "nobody",
        }
    }
}

/// How one limit answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitStatus {
    /// The limit's name.
    pub name: Arc<str>,
    /// The quota in force for this request.
    pub quota: Quota,
    /// Whether it refuses, or only tells that it would.
    pub mode: LimitMode,
    /// Where the answer comes from.
    pub source: Source,
    /// Where the subject stands; `None` if [nobody](Source::Nobody) was asked. After a refusal nothing was charged, so the
    /// limits that did not refuse stand as before.
    pub standing: Option<Standing>,
    pub(super) failure: FailurePolicy,
}

impl LimitStatus {
    /// A limit that nobody was asked about yet.
    pub(super) fn unasked(limit: &Limit, quota: Quota) -> Self {
        let Limit { name, mode, failure, .. } = limit;
        let (name, mode, failure) = (name.clone(), *mode, *failure);
        Self { name, quota, mode, source: Source::Nobody, standing: None, failure }
    }

    /// What somebody answered; nothing where there is no standing.
    pub(super) const fn answer(&mut self, source: Source, standing: Option<Standing>) {
        self.source = if standing.is_some() { source } else { Source::Nobody };
        self.standing = standing;
    }

    pub(super) fn is_enforced(&self) -> bool {
        self.mode == LimitMode::Enforced
    }

    /// Whether this limit refused the request.
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        matches!(self.mode, LimitMode::Enforced) && self.is_over()
    }

    /// Whether this limit is in shadow mode and would have refused the request.
    #[must_use]
    pub const fn would_refuse(&self) -> bool {
        matches!(self.mode, LimitMode::Shadow) && self.is_over()
    }

    /// Whether the subject is banned with this limit ([`RateLimiter::ban`](super::RateLimiter::ban)).
    #[must_use]
    pub const fn is_banned(&self) -> bool {
        matches!(self.standing, Some(Standing { banned: true, .. }))
    }

    /// How much is left. `None` if [nobody](Source::Nobody) was asked.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        self.standing.map(|standing| standing.remaining)
    }

    /// How long to wait until this limit admits the request, if nothing else is charged; `None` when it does, when it never will,
    /// because the cost is above its capacity, and when [nobody](Source::Nobody) was asked.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.standing?.verdict {
            Verdict::Refused { retry_after_us } => retry_after_us.map(Duration::from_micros),
            Verdict::Admitted => None,
        }
    }

    /// How long until all of it is there again, if nothing else is charged. `None` if [nobody](Source::Nobody) was asked.
    #[must_use]
    pub fn reset_after(&self) -> Option<Duration> {
        self.standing.map(|standing| Duration::from_micros(standing.reset_us))
    }

    const fn is_over(&self) -> bool {
        matches!(self.standing, Some(Standing { verdict: Verdict::Refused { .. }, .. }))
    }
}

/// Whether a request may pass, and what each limit said. There is one [`LimitStatus`] for each limit that concerns the
/// request, in the limiter's order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Decision {
    pub(super) limits: PerLimit<LimitStatus>,
}

impl Decision {
    /// Whether no limit refused.
    #[must_use]
    pub fn is_admitted(&self) -> bool {
        self.refused().next().is_none()
    }

    /// The limits that refused. Of limits that were not asked it is unknown whether they would have.
    pub fn refused(&self) -> impl Iterator<Item = &LimitStatus> {
        self.limits.iter().filter(|status| status.is_refused())
    }

    /// What each limit said.
    #[must_use]
    pub fn limits(&self) -> &[LimitStatus] {
        &self.limits
    }

    /// What the limit of this name said.
    #[must_use]
    pub fn limit(&self, name: &str) -> Option<&LimitStatus> {
        self.limits.iter().find(|status| *status.name == *name)
    }

    /// How long to wait until the limits that refused admit the request, if nothing else is charged; `None` when it is admitted, or
    /// when it never will be, because its cost is above a capacity.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        // "Never" is longer than any time.
        let waits = self.refused().map(LimitStatus::retry_after);
        waits.max_by_key(|wait| wait.unwrap_or(Duration::MAX))?
    }

    /// What is left of the limit that is closest to exhaustion, among those that were asked and refuse.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        let enforced = self.limits.iter().filter(|status| status.is_enforced());
        enforced.filter_map(LimitStatus::remaining).min()
    }
}
