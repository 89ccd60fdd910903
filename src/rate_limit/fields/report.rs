//! What a limiter decided, as far as a client is told.

use std::fmt;
use std::sync::Arc;

/// The name of a policy, as clients see it: 1 to 64 printable ASCII characters, which is what a Structured Fields String holds
/// (RFC 9651 §3.3.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyName(Arc<str>);

/// A partition key (`pk`): which bucket of a policy a response speaks of. Up to 64 bytes, which anybody who sees the response
/// reads: nothing sensitive (draft -11 §6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionKey(Arc<[u8]>);

/// Why a report cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// Not 1 to 64 printable ASCII characters.
    #[error("a policy's name must be 1 to 64 printable ASCII characters")]
    PolicyName,
    /// More than 64 bytes.
    #[error("a partition key must be at most 64 bytes; send a shorter name or a hash")]
    PartitionKey,
}

impl PolicyName {
    /// Checks a name.
    ///
    /// # Errors
    ///
    /// [`ReportError::PolicyName`].
    pub fn new(name: &str) -> Result<Self, ReportError> {
        let printable = |b: u8| matches!(b, b' '..=b'~');
        if !(1..=64).contains(&name.len()) || !name.bytes().all(printable) {
            return Err(ReportError::PolicyName);
        }
        Ok(Self(name.into()))
    }

    /// A limit's name, which was checked when its limiter was built: 1 to 32 of `a-z 0-9 _ -`.
    pub(in crate::rate_limit) fn of_limit(name: &Arc<str>) -> Self {
        Self(Arc::clone(name))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartitionKey {
    /// Checks a partition key.
    ///
    /// # Errors
    ///
    /// [`ReportError::PartitionKey`].
    pub fn new(bytes: &[u8]) -> Result<Self, ReportError> {
        if bytes.len() > 64 {
            return Err(ReportError::PartitionKey);
        }
        Ok(Self(bytes.into()))
    }

    /// The key's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a quota counts (draft -11 §3.1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QuotaUnit {
    /// Requests. The default, which is not sent.
    #[default]
    Requests,
    /// Bytes of content.
    ContentBytes,
    /// Requests at the same time.
    ConcurrentRequests,
}

/// Whether a policy let the request pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PolicyState {
    /// There was enough left.
    Within,
    /// There was not: this policy refused the request.
    Violated,
}

/// One policy's state after a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyReport {
    /// Its name.
    pub name: PolicyName,
    /// What it counts.
    pub unit: QuotaUnit,
    /// How many units a client may use in a window.
    pub quota: u64,
    /// The window, in microseconds. `None` where there is none, as for requests at the same time.
    pub window_us: Option<u64>,
    /// How many units are left.
    pub remaining: u64,
    /// In how many microseconds the whole quota is there again. `None` where time alone brings nothing back.
    pub reset_us: Option<u64>,
    /// Whether it let the request pass.
    pub state: PolicyState,
    /// Of which bucket this is the state, if clients shall know.
    pub partition: Option<PartitionKey>,
}

impl PolicyReport {
    /// A policy of requests, without a window, that let the request pass. Set the other fields as they are.
    #[must_use]
    pub const fn new(name: PolicyName, quota: u64, remaining: u64) -> Self {
        Self {
            name,
            unit: QuotaUnit::Requests,
            quota,
            window_us: None,
            remaining,
            reset_us: None,
            state: PolicyState::Within,
            partition: None,
        }
    }
}

/// What all policies on one request decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitReport {
    /// The policies, in the order in which clients shall see them.
    pub policies: Vec<PolicyReport>,
    /// In how many microseconds the same request passes. `None` when it was not refused, or would never pass: its cost is above the
    /// quota.
    pub retry_after_us: Option<u64>,
}

impl LimitReport {
    /// These policies, and when the same request passes.
    #[must_use]
    pub const fn new(policies: Vec<PolicyReport>, retry_after_us: Option<u64>) -> Self {
        Self { policies, retry_after_us }
    }

    /// The names of the policies that refused the request. None of them: it was admitted.
    pub fn violated(&self) -> impl Iterator<Item = &PolicyName> {
        self.told().violated()
    }

    /// `Retry-After` in seconds: rounded up and at least 1, so that a client that waits so long is admitted. `None` when the
    /// request was admitted or would never pass.
    ///
    /// ```
    /// use tower_keep::rate_limit::{LimitReport, PolicyName, PolicyReport, PolicyState};
    ///
    /// let mut burst = PolicyReport::new(PolicyName::new("burst")?, 10, 0);
    /// burst.state = PolicyState::Violated;
    /// assert_eq!(LimitReport::new(vec![burst], Some(1_000_001)).retry_after_seconds(), Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.told().retry_after_seconds()
    }

    /// The policy that is closest to exhaustion: one that refused, or else the one with the fewest units left; among equals the one
    /// that lasts longest.
    #[must_use]
    pub fn closest(&self) -> Option<&PolicyReport> {
        self.told().closest()
    }

    pub(in crate::rate_limit) fn told(&self) -> Told<'_> {
        Told { policies: &self.policies, retry_after_us: self.retry_after_us }
    }
}

/// A report that owns nothing: most answers are written from policies that live on the stack.
#[derive(Clone, Copy)]
pub(in crate::rate_limit) struct Told<'a> {
    pub(in crate::rate_limit) policies: &'a [PolicyReport],
    pub(in crate::rate_limit) retry_after_us: Option<u64>,
}

impl<'a> Told<'a> {
    pub(in crate::rate_limit) fn violated(self) -> impl Iterator<Item = &'a PolicyName> {
        self.policies.iter().filter(|policy| policy.state == PolicyState::Violated).map(|policy| &policy.name)
    }

    pub(super) fn retry_after_seconds(self) -> Option<u64> {
        self.violated().next()?;
        self.retry_after_us.map(|us| seconds(us).max(1))
    }

    pub(super) fn closest(self) -> Option<&'a PolicyReport> {
        self.policies.iter().min_by_key(|policy| {
            let within = policy.state == PolicyState::Within;
            (within, policy.remaining, std::cmp::Reverse(policy.reset_us))
        })
    }

    /// For how many seconds a client may use no more than what is left of a policy (draft -11 §4.1.2).
    ///
    /// Where the policy refused, that is until the request would pass, so that `Retry-After` is never earlier (§6); else until the whole
    /// quota is there again.
    pub(super) fn window_seconds(self, policy: &PolicyReport) -> Option<u64> {
        match (policy.state, self.retry_after_seconds()) {
            (PolicyState::Violated, Some(retry)) => Some(retry),
            _ => policy.reset_us.map(seconds),
        }
    }
}

/// Rounded up: who waits that long has waited long enough.
pub(in crate::rate_limit) const fn seconds(us: u64) -> u64 {
    us.div_ceil(1_000_000)
}
