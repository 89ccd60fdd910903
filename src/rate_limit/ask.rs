//! What is asked of a limiter about one request.

use super::key::LimitKey;
use super::quota::Quota;

/// A question to a limiter: who, how much, and what differs for single limits. Whatever makes a [`LimitKey`] is a question about that key
/// at cost 1: `limiter.check("alice")`, `limiter.check((client, "login"))`.
///
/// ```
/// use tower_keep::rate_limit::{Ask, Quota};
///
/// let plan = Quota::per_day(50_000);
/// let ask = Ask::new("user-7").cost(3).key_for("per-address", "2001:db8::/64").quota_for("per-day", plan);
/// # drop(ask);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Ask {
    pub(super) key: LimitKey,
    pub(super) cost: u64,
    pub(super) exceptions: Vec<(String, Exception)>,
}

/// What differs for one limit.
#[derive(Clone, Debug)]
pub(super) enum Exception {
    Key(LimitKey),
    Quota(Quota),
    Cost(u64),
    Skip,
}

impl Ask {
    /// All limits count `key`, at cost 1.
    pub fn new(key: impl Into<LimitKey>) -> Self {
        Self { key: key.into(), cost: 1, exceptions: Vec::new() }
    }

    /// What the request costs. 0 charges nothing, and is refused only by a ban.
    pub const fn cost(mut self, cost: u64) -> Self {
        self.cost = cost;
        self
    }

    /// The limit of this name counts another key. Under [`Slot::Subject`](super::Slot::Subject) that is an error.
    pub fn key_for(self, limit: &str, key: impl Into<LimitKey>) -> Self {
        self.except(limit, Exception::Key(key.into()))
    }

    /// The limit of this name has another quota for this request: a customer's plan. A subject whose quota changes begins anew
    /// under the new one, and finds the old count again if it changes back in time.
    pub fn quota_for(self, limit: &str, quota: Quota) -> Self {
        self.except(limit, Exception::Quota(quota))
    }

    /// The request costs something else with the limit of this name.
    pub fn cost_for(self, limit: &str, cost: u64) -> Self {
        self.except(limit, Exception::Cost(cost))
    }

    /// The limit of this name does not concern this request.
    pub fn without(self, limit: &str) -> Self {
        self.except(limit, Exception::Skip)
    }

    /// Whether the limit of this name has a cost of its own.
    pub(super) fn has_own_cost(&self, limit: &str) -> bool {
        self.exceptions
            .iter()
            .any(|(name, exception)| name == limit && matches!(exception, Exception::Cost(_)))
    }

    fn except(mut self, limit: &str, exception: Exception) -> Self {
        self.exceptions.push((limit.to_owned(), exception));
        self
    }
}

/// Whatever makes a [`LimitKey`] is a question about it at cost 1: a text, a part, an address, a tuple of parts.
impl<K: Into<LimitKey>> From<K> for Ask {
    fn from(key: K) -> Self {
        Self::new(key)
    }
}
