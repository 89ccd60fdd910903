//! `RateLimiter`: the engine that layers, adapters and programs without a middleware call.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::ahead::Ahead;
use super::ask::{Ask, Exception};
use super::builder::RateLimiterBuilder;
use super::check::Check;
use super::decision::{Decision, LimitStatus, Source};
use super::error::LimitError;
use super::event::LimitEvent;
use super::key::LimitKey;
use super::limit::{FailurePolicy, Limit, LimitMode};
use super::quota::Quota;
use super::refusals::Refusals;
use super::warnings::Warnings;
use crate::clock::micros;
use crate::store::key::{Key, LimitKeys, Slot};
use crate::store::op::{DecideLimits, LimitUse, LimitVerb, ResetLimits, Rule};
use crate::store::{Store, StoreError, StoreErrorKind, StoreKind};

pub(super) type Hook = Arc<dyn Fn(&LimitEvent) + Send + Sync>;

/// One or several named limits that are decided together. Cheap to clone; clones are the same engine.
///
/// See the [module docs](crate::rate_limit) for examples.
#[derive(Clone)]
pub struct RateLimiter(pub(super) Arc<Engine>);

pub(super) struct Engine {
    pub(super) store: Store,
    /// Decides for [`FailurePolicy::Local`](super::FailurePolicy::Local).
    pub(super) local: Store,
    pub(super) namespace: String,
    pub(super) limits: Vec<Configured>,
    pub(super) slot: Slot,
    pub(super) deadline: Duration,
    pub(super) refusals: Refusals,
    pub(super) ahead: Option<Ahead>,
    pub(super) hook: Option<Hook>,
    pub(super) warnings: Warnings,
}

/// A limit and what was worked out from it.
pub(super) struct Configured {
    pub(super) limit: Limit,
    pub(super) rule: Rule,
    pub(super) keys: LimitKeys,
}

impl RateLimiter {
    /// Settings. At least one [`limit`](RateLimiterBuilder::limit) is needed.
    pub fn builder(store: Store) -> RateLimiterBuilder {
        RateLimiterBuilder::new(store)
    }

    /// Decides about a request and charges it: all limits, or none if one refuses. One round trip (`EVALSHA`); none while a refusal
    /// is remembered. A request that must not wait for the store's failures goes by the limits' policies after the deadline.
    ///
    /// # Errors
    ///
    /// [`LimitError::Store`] when the store fails and a limit's policy is [`Closed`](super::FailurePolicy::Closed); other kinds when
    /// the question cannot be asked. A refusal is a [`Decision`].
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the request may or may not have been charged.
    pub async fn check(&self, ask: impl Into<Ask> + Send) -> Result<Decision, LimitError> {
        self.begin(ask)?.decide().await
    }

    /// [`check`](Self::check) at a cost.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub async fn check_n(&self, ask: impl Into<Ask> + Send, cost: u64) -> Result<Decision, LimitError> {
        self.check(ask.into().cost(cost)).await
    }

    /// Tells whether [`check`](Self::check) would admit the request, and writes nothing. What is told to be left is what is left now; after
    /// a `check` it is what is left then. One round trip.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub async fn peek(&self, ask: impl Into<Ask> + Send) -> Result<Decision, LimitError> {
        Check::put(self, LimitVerb::Peek, &ask.into(), |_| true)?.decide().await
    }

    /// The first half of [`check`](Self::check), for those who send several engines' operations in one batch: see
    /// [`Check::prepare`].
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), but for the store's failures.
    pub fn begin(&self, ask: impl Into<Ask>) -> Result<Check, LimitError> {
        Check::put(self, LimitVerb::Take, &ask.into(), |_| true)
    }

    /// The same, without the limits that have counted this request already.
    pub(super) fn begin_unless(
        &self,
        ask: &Ask,
        counted: impl Fn(&Key) -> bool,
    ) -> Result<Check, LimitError> {
        Check::put(self, LimitVerb::Take, ask, |key| !counted(key))
    }

    /// A request cannot be asked about, because the store failed before its key was known: no process can count it alone then.
    pub(super) fn without_store(&self, error: &StoreError) -> Result<(), LimitError> {
        let enforced = || self.limits().filter(|limit| limit.mode == LimitMode::Enforced);
        for limit in enforced() {
            self.0.fail(&limit.name, limit.failure, error.kind());
        }
        let closed = enforced().any(|limit| limit.failure == FailurePolicy::Closed);
        if closed { Err(error.clone().into()) } else { Ok(()) }
    }

    /// The limits that refuse, before anybody asked.
    pub(super) fn statuses(&self) -> Vec<LimitStatus> {
        let statuses = self.limits().map(|limit| LimitStatus::unasked(limit, limit.quota));
        statuses.filter(LimitStatus::is_enforced).collect()
    }

    pub(super) fn warnings(&self) -> &Warnings {
        &self.0.warnings
    }

    /// Whether these are clones of one limiter.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Gives back what a request cost, such as one that failed through no fault of the client's. There is never more than a full
    /// limit. It is given back under the quotas of the question: what was charged with a plan ([`Ask::quota_for`]) is refunded with the
    /// same. The answer tells where the limits stand then. One round trip.
    ///
    /// # Errors
    ///
    /// [`LimitError::Store`] when it could not be written, whatever the policy; it may have been.
    pub async fn refund(&self, ask: impl Into<Ask> + Send) -> Result<Vec<LimitStatus>, LimitError> {
        self.change(LimitVerb::Refund, ask.into()).await
    }

    /// Charges a cost without a decision, or what is left if that is less, under the quotas of the question as
    /// [`refund`](Self::refund) does. To keep somebody out for longer, use [`ban`](Self::ban). One round trip.
    ///
    /// # Errors
    ///
    /// As [`refund`](Self::refund).
    pub async fn penalise(&self, ask: impl Into<Ask> + Send) -> Result<Vec<LimitStatus>, LimitError> {
        self.change(LimitVerb::Penalise, ask.into()).await
    }

    /// Refuses everything for a time, at most a hundred years, whatever is left; zero lifts the ban. It holds for the limits and quotas
    /// of the question: who is checked with a plan ([`Ask::quota_for`]) must be banned with the same, and with each plan that it may
    /// have. Meanwhile limits recover as usual. One round trip.
    ///
    /// Whoever is banned is told so: the answer's problem type is [`RefusalReason::AbnormalUsage`](super::RefusalReason::AbnormalUsage),
    /// and [`LimitStatus::is_banned`] says it to the app.
    ///
    /// # Errors
    ///
    /// As [`refund`](Self::refund).
    pub async fn ban(
        &self,
        ask: impl Into<Ask> + Send,
        ttl: Duration,
    ) -> Result<Vec<LimitStatus>, LimitError> {
        self.change(LimitVerb::Ban(micros(ttl)), ask.into()).await
    }

    async fn change(&self, verb: LimitVerb, ask: Ask) -> Result<Vec<LimitStatus>, LimitError> {
        let (mut statuses, mut limits) = (Vec::new(), Vec::new());
        self.0.resolve(&ask, |status, limit| {
            statuses.push(status);
            limits.push(limit);
        })?;
        let keys: Vec<Key> = limits.iter().map(|limit| limit.key.clone()).collect();
        let Some(operation) = DecideLimits::new(verb, limits) else {
            return Ok(Vec::new());
        };
        let answer = self.0.store.batch_within(operation, self.0.deadline).await;
        // Whatever the answer: it may have happened.
        self.0.forget(&keys);
        let decided = answer.and_then(|answer| answer)?;
        let told = statuses.iter_mut().zip(decided.standings);
        told.for_each(|(status, standing)| status.answer(Source::Store, Some(standing)));
        Ok(statuses)
    }

    /// Forgets what the limits have counted for a key under the quotas of the question, bans included; what was counted with another plan
    /// stays. The answer is for how many limits there was something. One round trip (`DEL`).
    ///
    /// # Errors
    ///
    /// As [`refund`](Self::refund).
    pub async fn reset(&self, ask: impl Into<Ask> + Send) -> Result<u64, LimitError> {
        let mut keys = Vec::new();
        self.0.resolve(&ask.into(), |_, limit| keys.push(limit.key))?;
        let Some(operation) = ResetLimits::new(keys.clone()) else { return Ok(0) };
        let answer = self.0.store.batch_within(operation, self.0.deadline).await;
        self.0.forget(&keys);
        self.0.local.run_in_process(&ResetLimits::new(keys));
        Ok(answer.and_then(|answer| answer)?)
    }

    /// The store on which this limiter stands.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// How long a question may take.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.0.deadline
    }

    /// The limits, in order.
    pub fn limits(&self) -> impl Iterator<Item = &Limit> {
        self.0.limits.iter().map(|configured| &configured.limit)
    }
}

impl Engine {
    /// Tells what a question means for each limit that it concerns, in order.
    pub(super) fn resolve(
        &self,
        ask: &Ask,
        mut tell: impl FnMut(LimitStatus, LimitUse),
    ) -> Result<(), LimitError> {
        let known = |name: &str| self.limits.iter().any(|configured| *configured.limit.name == *name);
        if !ask.exceptions.iter().all(|(name, _)| known(name)) {
            return Err(LimitError::UnknownLimit);
        }
        'limits: for configured in &self.limits {
            let (mut subject, mut cost, mut plan) = (&ask.key, ask.cost, None);
            for (name, exception) in &ask.exceptions {
                if **name != *configured.limit.name {
                    continue;
                }
                match exception {
                    Exception::Skip => continue 'limits,
                    Exception::Cost(other) => cost = *other,
                    Exception::Quota(quota) => plan = Some((*quota, quota.rule()?)),
                    Exception::Key(other) => subject = other,
                }
            }
            if subject.is_empty() {
                return Err(LimitError::EmptyKey);
            }
            if self.slot == Slot::Subject && *subject != ask.key {
                return Err(LimitError::DifferentSlots);
            }
            let (quota, usage) = self.usage(configured, plan, subject, cost);
            tell(LimitStatus::unasked(&configured.limit, quota), usage);
        }
        Ok(())
    }

    fn usage(
        &self,
        configured: &Configured,
        plan: Option<(Quota, Rule)>,
        subject: &LimitKey,
        cost: u64,
    ) -> (Quota, LimitUse) {
        let Configured { limit, rule, keys } = configured;
        let Some((quota, rule)) = plan else {
            return (limit.quota, LimitUse { key: keys.of(subject.as_composite()), rule: *rule, cost });
        };
        let keys = self.keys(&limit.name, rule);
        (quota, LimitUse { key: keys.of(subject.as_composite()), rule, cost })
    }

    fn keys(&self, limit: &str, rule: Rule) -> LimitKeys {
        LimitKeys::new(self.store.prefix(), [&self.namespace, limit, &rule.word()], self.slot)
    }

    /// Whether refusals are worth remembering: the embedded store is as near as the memory.
    pub(super) fn remembers(&self) -> bool {
        self.store.kind() != StoreKind::Memory
    }

    /// Something changed beside the charges: what is remembered of these keys may be wrong.
    fn forget(&self, keys: &[Key]) {
        self.refusals.forget(keys);
        if let Some(ahead) = &self.ahead {
            ahead.forget(keys);
        }
    }

    /// A limit goes by its policy.
    pub(super) fn fail(&self, limit: &Arc<str>, policy: FailurePolicy, kind: StoreErrorKind) {
        crate::metric::count("tower_keep_limit_failures_total", policy.as_str());
        self.tell(|| LimitEvent::Failed { limit: limit.clone(), policy, kind });
    }

    pub(super) fn tell(&self, event: impl FnOnce() -> LimitEvent) {
        if let Some(hook) = &self.hook {
            hook(&event());
        }
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter")
            .field("namespace", &self.0.namespace)
            .field("limits", &self.limits().collect::<Vec<_>>())
            .field("deadline", &self.0.deadline)
            .finish_non_exhaustive()
    }
}
