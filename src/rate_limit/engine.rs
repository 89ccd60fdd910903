//! `RateLimiter`: the engine that layers, adapters and programs without a middleware call.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ahead::Ahead;
use super::ask::{Ask, Exception};
use super::builder::RateLimiterBuilder;
use super::check::{Asked, Check};
use super::decision::{Decision, LimitStatus, Source};
use super::error::LimitError;
use super::event::LimitEvent;
use super::key::LimitKey;
use super::limit::{FailurePolicy, Limit, LimitMode};
use super::refusals::Refusals;
use super::warnings::Warnings;
use crate::clock::micros;
use crate::store::key::{Key, Slot};
use crate::store::op::{DecideLimits, LimitUse, LimitVerb, ResetLimits, Rule, Verdict};
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
    pub(super) word: String,
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
        let check = self.begin(ask)?;
        self.decide(check).await
    }

    /// The second half of [`check`](Self::check).
    pub(super) async fn decide(&self, check: Check) -> Result<Decision, LimitError> {
        match &self.0.ahead {
            // In a box, so that the usual way's future stays small.
            Some(ahead) if self.0.remembers() => Box::pin(self.check_ahead(ahead, check)).await,
            _ => self.ask_store(check).await,
        }
    }

    /// Charges for several requests at once, unless so many are refused. What was charged comes before what was refused since.
    async fn check_ahead(&self, ahead: &Ahead, check: Check) -> Result<Decision, LimitError> {
        let uses = uses(check.asked());
        let asked = Instant::now();
        if let Some(standings) = ahead.hand_out(&uses, asked) {
            return Ok(check.decided(Source::Ahead, standings, Vec::new()));
        }
        if check.prepare().is_none() {
            return check.known();
        }
        let many = check.times(ahead.requests);
        // No limit is in shadow mode here: the builder refuses that.
        let Some((Some(operation), _)) = many.prepare() else { return self.ask_store(check).await };
        match self.0.store.batch_within(operation, self.0.deadline).await.and_then(|answer| answer) {
            Ok(decided) if decided.verdict == Verdict::Admitted => {
                if many.is_current() {
                    ahead.keep(&uses, &decided, asked);
                }
                check.complete(Ok((Some(Ok(decided)), Vec::new())))
            }
            Ok(decided) => {
                // So many are not there, and for a while that is known. One may be, unless what was heard says otherwise.
                many.remember(&decided);
                self.ask_store(check.again()).await
            }
            Err(error) => check.complete(Err(error)),
        }
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
        self.ask_store(Check::new(self.clone(), LimitVerb::Peek, self.resolve(ask.into())?)).await
    }

    async fn ask_store(&self, check: Check) -> Result<Decision, LimitError> {
        let Some(questions) = check.prepare() else { return check.known() };
        let answers = self.0.store.batch_within(questions, self.0.deadline).await;
        check.complete(answers)
    }

    /// The first half of [`check`](Self::check), for those who send several engines' operations in one batch: see
    /// [`Check::prepare`].
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), but for the store's failures.
    pub fn begin(&self, ask: impl Into<Ask>) -> Result<Check, LimitError> {
        Ok(Check::new(self.clone(), LimitVerb::Take, self.resolve(ask.into())?))
    }

    /// The same, without the limits that have counted this request already.
    pub(super) fn begin_unless(&self, ask: Ask, counted: impl Fn(&Key) -> bool) -> Result<Check, LimitError> {
        let mut asked = self.resolve(ask)?;
        asked.retain(|asked| !counted(&asked.usage.key));
        Ok(Check::new(self.clone(), LimitVerb::Take, asked))
    }

    /// A request cannot be asked about, because the store failed before its key was known: no process can count it alone then.
    pub(super) fn without_store(&self, error: &StoreError) -> Result<(), LimitError> {
        let enforced = || self.limits().filter(|limit| limit.mode == LimitMode::Enforced);
        for limit in enforced() {
            self.0.fail(limit, error.kind());
        }
        let closed = enforced().any(|limit| limit.failure == FailurePolicy::Closed);
        if closed { Err(error.clone().into()) } else { Ok(()) }
    }

    pub(super) fn warnings(&self) -> &Warnings {
        &self.0.warnings
    }

    /// Whether these are clones of one limiter.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Gives back what a request cost, such as one that failed through no fault of the client's. There is never more than a full
    /// limit. The answer tells where the limits stand then. One round trip.
    ///
    /// # Errors
    ///
    /// [`LimitError::Store`] when it could not be written, whatever the policy; it may have been.
    pub async fn refund(&self, ask: impl Into<Ask> + Send) -> Result<Vec<LimitStatus>, LimitError> {
        self.change(LimitVerb::Refund, ask.into()).await
    }

    /// Charges a cost without a decision, or what is left if that is less. To keep somebody out for longer, use [`ban`](Self::ban).
    /// One round trip.
    ///
    /// # Errors
    ///
    /// As [`refund`](Self::refund).
    pub async fn penalise(&self, ask: impl Into<Ask> + Send) -> Result<Vec<LimitStatus>, LimitError> {
        self.change(LimitVerb::Penalise, ask.into()).await
    }

    /// Refuses everything for a time, at most a hundred years, whatever is left; zero lifts the ban. It holds for the limits and quotas
    /// of the question: who is checked with a plan ([`Ask::quota_for`]) must be banned with the same. Meanwhile limits recover as usual. One
    /// round trip.
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
        let asked = self.resolve(ask)?;
        let Some(operation) = DecideLimits::new(verb, uses(&asked)) else {
            return Ok(Vec::new());
        };
        let answer = self.0.store.batch_within(&operation, self.0.deadline).await;
        // Whatever the answer: it may have happened.
        self.0.forget(&operation.limits().map(|limit| limit.key.clone()).collect::<Vec<_>>());
        let decided = answer.and_then(|answer| answer)?;
        let status = |(asked, standing): (&Asked, _)| asked.status(&self.0, Source::Store, Some(standing));
        Ok(asked.iter().zip(decided.standings).map(status).collect())
    }

    /// Forgets what the limits have counted for a key under the quotas of the question, bans included. The answer is for how many limits
    /// there was something.
    /// One round trip (`DEL`).
    ///
    /// # Errors
    ///
    /// As [`refund`](Self::refund).
    pub async fn reset(&self, ask: impl Into<Ask> + Send) -> Result<u64, LimitError> {
        let asked = self.resolve(ask.into())?;
        let keys: Vec<Key> = asked.into_iter().map(|asked| asked.usage.key).collect();
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

    /// What a question means for each limit that it concerns.
    fn resolve(&self, ask: Ask) -> Result<Vec<Asked>, LimitError> {
        let Ask { key, cost, exceptions } = ask;
        let known = |name: &str| self.0.limits.iter().any(|configured| *configured.limit.name == *name);
        if !exceptions.iter().all(|(name, _)| known(name)) {
            return Err(LimitError::UnknownLimit);
        }
        let mut asked = Vec::with_capacity(self.0.limits.len());
        'limits: for (index, configured) in self.0.limits.iter().enumerate() {
            let (mut subject, mut cost, mut plan) = (&key, cost, None);
            for (name, exception) in &exceptions {
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
            if self.0.slot == Slot::Subject && *subject != key {
                return Err(LimitError::DifferentSlots);
            }
            asked.push(self.0.asked(index, plan, subject, cost));
        }
        Ok(asked)
    }
}

/// The same in the store's terms.
pub(super) fn uses(asked: &[Asked]) -> Vec<LimitUse> {
    asked.iter().map(|asked| asked.usage.clone()).collect()
}

impl Engine {
    fn asked(
        &self,
        index: usize,
        plan: Option<(super::Quota, Rule)>,
        subject: &LimitKey,
        cost: u64,
    ) -> Asked {
        let Configured { limit, rule, word } = &self.limits[index];
        let name = [&self.namespace, &*limit.name, word];
        let (quota, rule, key) = match plan {
            None => {
                (limit.quota, *rule, Key::limit(self.store.prefix(), name, subject.as_composite(), self.slot))
            }
            Some((quota, rule)) => {
                let [namespace, name, _] = name;
                let name = [namespace, name, &rule.word()];
                (quota, rule, Key::limit(self.store.prefix(), name, subject.as_composite(), self.slot))
            }
        };
        Asked { index, quota, usage: LimitUse { key, rule, cost } }
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
    pub(super) fn fail(&self, limit: &Limit, kind: StoreErrorKind) {
        crate::metric::count("tower_keep_limit_failures_total", limit.failure.as_str());
        self.tell(&LimitEvent::Failed { limit: limit.name.clone(), policy: limit.failure, kind });
    }

    pub(super) fn tell(&self, event: &LimitEvent) {
        if let Some(hook) = &self.hook {
            hook(event);
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
