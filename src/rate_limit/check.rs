//! A question to a limiter between being asked and being answered.

use std::future::Future;
use std::time::Instant;

use super::ahead::Ahead;
use super::ask::Ask;
use super::decision::{Decision, LimitStatus, Source};
use super::engine::RateLimiter;
use super::error::LimitError;
use super::event::LimitEvent;
use super::limit::FailurePolicy;
use super::refusals::{Epoch, Refusal};
use crate::store::key::Key;
use crate::store::op::{DecideLimits, Decided, LimitUse, LimitVerb, PerLimit, Standing, Verdict};
use crate::store::{StoreError, StoreErrorKind};

/// What is to be asked of the store in one batch: the limits that refuse together, and each limit in shadow mode by itself.
pub type Questions<'a> = (Option<&'a DecideLimits>, Vec<&'a DecideLimits>);
/// The answers to [`Questions`], in the same order.
pub type Answers = (Option<Result<Decided, StoreError>>, Vec<Result<Decided, StoreError>>);

/// A question that was put to a limiter and is not answered yet: the seam by which one batch serves several engines.
///
/// ```
/// # use tower_keep::rate_limit::{Limit, Quota, RateLimiter};
/// # use tower_keep::store::Store;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limiter = RateLimiter::builder(Store::in_memory()).limit(Limit::new("api", Quota::per_second(5))).build()?;
/// let check = limiter.begin("alice")?;
/// let decision = match check.prepare() {
///     Some(questions) => {
///         let answers = limiter.store().batch_within(questions, limiter.deadline()).await;
///         check.complete(answers)?
///     }
///     None => check.known()?,
/// };
/// assert!(decision.is_admitted());
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Check {
    limiter: RateLimiter,
    /// One for each limit of the question, in the limiter's order. What they say comes with the answer.
    limits: PerLimit<LimitStatus>,
    /// The limits that refuse together.
    together: Option<DecideLimits>,
    shadow: Vec<DecideLimits>,
    /// The answer is known, from refusals that still hold; or there is nothing to ask.
    known: bool,
    epoch: Epoch,
}

impl Check {
    /// Puts a question about the limits that it concerns and whose key is `wanted`.
    pub(super) fn put(
        limiter: &RateLimiter,
        verb: LimitVerb,
        ask: &Ask,
        wanted: impl Fn(&Key) -> bool,
    ) -> Result<Self, LimitError> {
        let mut check = Self {
            limiter: limiter.clone(),
            limits: PerLimit::new(),
            together: None,
            shadow: Vec::new(),
            known: false,
            epoch: Epoch::default(),
        };
        limiter.0.resolve(ask, |status, limit| {
            if !wanted(&limit.key) {
                return;
            }
            if verb.is_decision() && !status.is_enforced() {
                check.shadow.push(DecideLimits::of(verb, limit));
            } else if let Some(together) = &mut check.together {
                together.push(limit);
            } else {
                check.together = Some(DecideLimits::of(verb, limit));
            }
            check.limits.push(status);
        })?;
        check.known = check.limits.is_empty();
        if limiter.0.remembers() {
            check.recall();
        }
        Ok(check)
    }

    /// Whether the question concerns no limit.
    pub(super) fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }

    /// Under which keys the request is counted.
    pub(super) fn into_keys(self) -> PerLimit<Key> {
        let mut keys = PerLimit::new();
        for decide in self.together.into_iter().chain(self.shadow) {
            keys.extend(decide.into_limits().map(|limit| limit.key));
        }
        keys
    }

    pub(super) fn together(&self) -> impl Iterator<Item = &LimitUse> {
        self.together.iter().flat_map(DecideLimits::limits)
    }

    fn is_charge(&self) -> bool {
        self.together.as_ref().is_some_and(|together| together.verb() == LimitVerb::Take)
    }

    /// Looks for refusals that still hold: then nobody is asked.
    fn recall(&mut self) {
        let (epoch, known) = self.limiter.0.refusals.recall(self.together(), Instant::now);
        self.epoch = epoch;
        if let Some(known) = known.filter(|_| self.is_charge()) {
            self.known = true;
            self.answer(Source::Remembered, known);
        }
    }

    /// What the limits that refuse together say.
    fn answer(&mut self, source: Source, standings: impl IntoIterator<Item = Option<Standing>>) {
        let enforced = self.limits.iter_mut().filter(|status| status.is_enforced());
        enforced.zip(standings).for_each(|(status, standing)| status.answer(source, standing));
    }

    /// The limiter's requests that are charged ahead, if this question is for one of them.
    fn ahead(&self) -> Option<&Ahead> {
        let engine = &self.limiter.0;
        engine.ahead.as_ref().filter(|_| engine.remembers() && self.is_charge())
    }

    /// The decision, if it can be had without waiting: it was charged ahead, is known, or the store is embedded.
    pub(super) fn decide_now(&mut self) -> Option<Result<Decision, LimitError>> {
        // What was charged comes before what was refused since.
        let charged = self.ahead().and_then(|ahead| ahead.hand_out(&self.uses(), Instant::now()));
        if let Some(standings) = charged {
            self.answer(Source::Ahead, standings.into_iter().map(Some));
            return Some(Ok(self.told()));
        }
        if self.known {
            return Some(Ok(self.told()));
        }
        let store = &self.limiter.0.store;
        let decide = |operation| store.decide_in_process(operation);
        let together = match &self.together {
            Some(together) => Some(decide(together)?),
            None => None,
        };
        let shadow = self.shadow.iter().map(decide).collect::<Option<_>>()?;
        Some(self.judge(Ok((together, shadow))))
    }

    /// The decision, in at most one round trip.
    pub(super) async fn decide(&mut self) -> Result<Decision, LimitError> {
        if let Some(decision) = self.decide_now() {
            return decision;
        }
        if self.ahead().is_some() {
            // In a box, so that the usual way's future stays small.
            return Box::pin(self.charge_ahead()).await;
        }
        let answers = self.ask().await;
        self.judge(answers)
    }

    fn ask(&self) -> impl Future<Output = Result<Answers, StoreError>> + '_ {
        self.limiter.0.store.batch_within(self.questions(), self.limiter.0.deadline)
    }

    /// Charges for several requests at once, unless so many are refused.
    async fn charge_ahead(&mut self) -> Result<Decision, LimitError> {
        let (limiter, uses) = (self.limiter.clone(), self.uses());
        let engine = &limiter.0;
        let Some((ahead, many)) = engine.ahead.as_ref().zip(self.many()) else {
            return self.known_or_failed();
        };
        let asked = Instant::now();
        // No limit is in shadow mode here: the builder refuses that.
        if engine.refusals.recall(many.limits(), || asked).1.is_none() {
            match engine.store.batch_within(&many, engine.deadline).await.and_then(|answer| answer) {
                Ok(decided) if decided.verdict == Verdict::Admitted => {
                    if engine.refusals.epoch() == self.epoch {
                        ahead.keep(&uses, &decided, asked);
                    }
                    return self.judge(Ok((Some(Ok(decided)), Vec::new())));
                }
                // So many are not there, and for a while that is known. One may be, unless what was heard says otherwise.
                Ok(decided) => self.remember(&decided),
                Err(error) => return self.failed(&error),
            }
        }
        self.recall();
        if self.known {
            return Ok(self.told());
        }
        let answers = self.ask().await;
        self.judge(answers)
    }

    fn uses(&self) -> Vec<LimitUse> {
        self.together().cloned().collect()
    }

    /// The same charge for as many requests as are charged ahead.
    fn many(&self) -> Option<DecideLimits> {
        let requests = self.ahead()?.requests;
        let many = |limit: &LimitUse| LimitUse { cost: limit.cost.saturating_mul(requests), ..limit.clone() };
        DecideLimits::new(LimitVerb::Take, self.together().map(many))
    }

    /// The operations that decide, to be sent alone or in a batch with others and answered by [`complete`](Self::complete). `None` when
    /// there is nothing to ask: then [`known`](Self::known) has the answer.
    #[must_use]
    pub fn prepare(&self) -> Option<Questions<'_>> {
        (!self.known).then(|| self.questions())
    }

    fn questions(&self) -> Questions<'_> {
        (self.together.as_ref(), self.shadow.iter().collect())
    }

    /// The decision when there is nothing to ask.
    ///
    /// # Errors
    ///
    /// [`LimitError::Store`] when there was something to ask and a limit's policy is [`FailurePolicy::Closed`]: not asking counts as
    /// a failure of the store.
    pub fn known(mut self) -> Result<Decision, LimitError> {
        self.known_or_failed()
    }

    fn known_or_failed(&mut self) -> Result<Decision, LimitError> {
        if self.known { Ok(self.told()) } else { self.failed(&StoreErrorKind::Unavailable.into()) }
    }

    /// Takes the answer to what [`prepare`](Self::prepare) asked. When it is a failure, each limit goes by its policy.
    ///
    /// # Errors
    ///
    /// [`LimitError::Store`] when the store failed and a limit's policy is [`FailurePolicy::Closed`].
    pub fn complete(mut self, answers: Result<Answers, StoreError>) -> Result<Decision, LimitError> {
        self.judge(answers)
    }

    pub(super) fn judge(&mut self, answers: Result<Answers, StoreError>) -> Result<Decision, LimitError> {
        let shadow = match answers {
            Ok((Some(Err(error)), _)) | Err(error) => return self.failed(&error),
            Ok((Some(Ok(decided)), shadow)) => {
                if decided.standings.len() != self.together().count() {
                    return self.failed(&StoreErrorKind::Desync.into());
                }
                self.limiter.0.store.observe(decided.now_us / 1000);
                self.remember(&decided);
                self.answer(Source::Store, decided.standings.into_iter().map(Some));
                shadow
            }
            Ok((None, shadow)) => shadow,
        };
        // Nobody waits for a limit that only watches: where it failed, it says nothing.
        let standings = shadow.into_iter().map(|answer| answer.ok()?.standings.into_iter().next());
        let watching = self.limits.iter_mut().filter(|status| !status.is_enforced());
        watching.zip(standings).for_each(|(status, standing)| status.answer(Source::Store, standing));
        Ok(self.told())
    }

    fn remember(&self, decided: &Decided) {
        let engine = &self.limiter.0;
        if decided.verdict == Verdict::Admitted || !engine.remembers() {
            return;
        }
        let states = decided.states.iter().zip(&decided.standings);
        for (limit, (state, standing)) in self.together().zip(states) {
            if let Some(refusal) = Refusal::new(limit.rule, *state, decided.now_us, *standing) {
                engine.refusals.remember(&limit.key, refusal, self.epoch);
            }
        }
    }

    /// The store could not be asked: each limit goes by its policy, and those that this process decides are decided together.
    fn failed(&mut self, error: &StoreError) -> Result<Decision, LimitError> {
        let engine = &self.limiter.0;
        let enforced = || self.limits.iter().filter(|status| status.is_enforced());
        enforced().for_each(|status| engine.fail(&status.name, status.failure, error.kind()));
        if enforced().any(|status| status.failure == FailurePolicy::Closed) {
            return Err(error.clone().into());
        }
        let is_local = |status: &LimitStatus| status.failure == FailurePolicy::Local;
        let local = enforced().zip(self.together()).filter(|(status, _)| is_local(status));
        let verb = self.together.as_ref().map_or(LimitVerb::Take, DecideLimits::verb);
        // A local memory that is full admits: a failure is never a refusal.
        let decided = DecideLimits::new(verb, local.map(|(_, limit)| limit.clone()))
            .and_then(|operation| engine.local.decide_in_process(&operation))
            .and_then(Result::ok);
        let standings = decided.into_iter().flat_map(|decided| decided.standings);
        let local = self.limits.iter_mut().filter(|status| status.is_enforced() && is_local(status));
        local.zip(standings).for_each(|(status, standing)| status.answer(Source::Local, Some(standing)));
        Ok(self.told())
    }

    /// The decision, after hook and metrics have heard of it.
    fn told(&mut self) -> Decision {
        let decision = Decision { limits: std::mem::take(&mut self.limits) };
        let mut outcome = "admitted";
        for status in decision.refused() {
            outcome = if status.source == Source::Remembered { "remembered" } else { "refused" };
            let (limit, source) = (&status.name, status.source);
            self.limiter.0.tell(|| LimitEvent::Refused { limit: limit.clone(), source });
        }
        crate::metric::count("tower_keep_limit_decisions_total", outcome);
        let watching = |status: &&LimitStatus| !status.is_enforced() && status.standing.is_some();
        for status in decision.limits.iter().filter(watching) {
            let outcome = if status.would_refuse() { "refused" } else { "admitted" };
            crate::metric::count("tower_keep_limit_shadow_total", outcome);
            if status.would_refuse() {
                self.limiter.0.tell(|| LimitEvent::WouldRefuse { limit: status.name.clone() });
            }
        }
        decision
    }
}
