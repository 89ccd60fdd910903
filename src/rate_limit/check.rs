//! A question to a limiter between being asked and being answered.

use std::time::Instant;

use super::decision::{Decision, LimitStatus, Source};
use super::engine::{Engine, RateLimiter};
use super::error::LimitError;
use super::event::LimitEvent;
use super::limit::{FailurePolicy, LimitMode};
use super::quota::Quota;
use super::refusals::{Epoch, Refusal};
use crate::store::key::Key;
use crate::store::op::{DecideLimits, Decided, LimitUse, LimitVerb, Standing, Verdict};
use crate::store::{StoreError, StoreErrorKind};

/// One limit of a question.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Which of the limiter's limits.
    pub(super) index: usize,
    pub(super) quota: Quota,
    pub(super) usage: LimitUse,
}

impl Asked {
    pub(super) fn status(&self, engine: &Engine, source: Source, standing: Option<Standing>) -> LimitStatus {
        let limit = &engine.limits[self.index].limit;
        LimitStatus { name: limit.name.clone(), quota: self.quota, mode: limit.mode, source, standing }
    }

    pub(super) fn is_shadow(&self, engine: &Engine) -> bool {
        engine.limits[self.index].limit.mode == LimitMode::Shadow
    }
}

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
    asked: Vec<Asked>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The answer is known, from refusals that still hold, one item for each limit; or there is nothing to ask.
    Known(Vec<Option<Standing>>),
    Ask {
        enforced: Option<DecideLimits>,
        shadow: Vec<DecideLimits>,
        verb: LimitVerb,
        epoch: Epoch,
    },
}

/// What can be said without waiting.
pub(super) enum Now {
    Decided(Result<Decision, LimitError>),
    Ask(Check),
}

impl Check {
    pub(super) fn new(limiter: RateLimiter, verb: LimitVerb, asked: Vec<Asked>) -> Self {
        let engine = &limiter.0;
        let remembers = engine.remembers() && verb == LimitVerb::Take;
        let mut known = Vec::new();
        if remembers {
            let now = Instant::now();
            let recall = |asked: &Asked| {
                let refuses = !asked.is_shadow(engine);
                refuses.then(|| engine.refusals.recall(&asked.usage.key, asked.usage.cost, now)).flatten()
            };
            known = asked.iter().map(recall).collect();
        }
        let stage = if asked.is_empty() || known.iter().any(Option::is_some) {
            Stage::Known(known)
        } else {
            let enforced = asked.iter().filter(|asked| !asked.is_shadow(engine));
            let enforced = DecideLimits::new(verb, enforced.map(|asked| asked.usage.clone()).collect());
            let shadow = asked.iter().filter(|asked| asked.is_shadow(engine));
            let shadow =
                shadow.filter_map(|asked| DecideLimits::new(verb, vec![asked.usage.clone()])).collect();
            Stage::Ask { enforced, shadow, verb, epoch: engine.refusals.epoch() }
        };
        Self { limiter, asked, stage }
    }

    /// Under which keys the request is counted.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.asked.iter().map(|asked| &asked.usage.key)
    }

    /// The decision, if it can be had without waiting: it is known, or the store is embedded.
    pub(super) fn decide_now(self) -> Now {
        let answers = match self.prepare() {
            None => return Now::Decided(self.known()),
            Some(questions) => self.limiter.0.store.run_in_process(&questions),
        };
        match answers {
            Some(answers) => Now::Decided(self.complete(Ok(answers))),
            None => Now::Ask(self),
        }
    }

    /// The decision, in at most one round trip.
    pub(super) async fn decide(self) -> Result<Decision, LimitError> {
        let limiter = self.limiter.clone();
        limiter.decide(self).await
    }

    pub(super) fn asked(&self) -> &[Asked] {
        &self.asked
    }

    /// The same question for so many requests.
    pub(super) fn times(&self, requests: u64) -> Self {
        let mut asked = self.asked.clone();
        for asked in &mut asked {
            asked.usage.cost = asked.usage.cost.saturating_mul(requests);
        }
        Self::new(self.limiter.clone(), LimitVerb::Take, asked)
    }

    /// The same question once more, with what is known now.
    pub(super) fn again(self) -> Self {
        Self::new(self.limiter, LimitVerb::Take, self.asked)
    }

    /// Whether nothing changed since the question was put that could make its answer wrong.
    pub(super) fn is_current(&self) -> bool {
        matches!(self.stage, Stage::Ask { epoch, .. } if epoch == self.limiter.0.refusals.epoch())
    }

    /// The operations that decide, to be sent alone or in a batch with others and answered by [`complete`](Self::complete). `None` when
    /// there is nothing to ask: then [`known`](Self::known) has the answer.
    #[must_use]
    pub fn prepare(&self) -> Option<Questions<'_>> {
        match &self.stage {
            Stage::Known(_) => None,
            Stage::Ask { enforced, shadow, .. } => Some((enforced.as_ref(), shadow.iter().collect())),
        }
    }

    /// The decision when there is nothing to ask.
    ///
    /// # Errors
    ///
    /// [`LimitError::Store`] when there was something to ask and a limit's policy is [`FailurePolicy::Closed`]: not asking counts as
    /// a failure of the store.
    pub fn known(self) -> Result<Decision, LimitError> {
        let Stage::Known(known) = &self.stage else {
            return self.complete(Err(StoreErrorKind::Unavailable.into()));
        };
        let standings = known.iter().copied().chain(std::iter::repeat(None));
        let source = |standing: &Option<Standing>| {
            if standing.is_some() { Source::Remembered } else { Source::Nobody }
        };
        let limits = self
            .asked
            .iter()
            .zip(standings)
            .map(|(asked, standing)| asked.status(&self.limiter.0, source(&standing), standing));
        Ok(self.told(Decision { limits: limits.collect() }))
    }

    /// Takes the answer to what [`prepare`](Self::prepare) asked. When it is a failure, each limit goes by its policy.
    ///
    /// # Errors
    ///
    /// [`LimitError::Store`] when the store failed and a limit's policy is [`FailurePolicy::Closed`].
    pub fn complete(self, answers: Result<Answers, StoreError>) -> Result<Decision, LimitError> {
        let (enforced, shadow) = match answers {
            Ok((Some(Err(error)), _)) | Err(error) => return self.failed(&error),
            Ok((Some(Ok(decided)), shadow)) => {
                if decided.standings.len() != self.enforced().count() {
                    return self.failed(&StoreErrorKind::Desync.into());
                }
                self.limiter.0.store.observe(decided.now_us / 1000);
                self.remember(&decided);
                (decided.standings, shadow)
            }
            Ok((None, shadow)) => (Vec::new(), shadow),
        };
        Ok(self.decided(Source::Store, enforced, shadow))
    }

    /// The decision that these standings make, one for each limit that refuses.
    pub(super) fn decided(
        &self,
        source: Source,
        enforced: Vec<Standing>,
        shadow: Vec<Result<Decided, StoreError>>,
    ) -> Decision {
        let engine = &self.limiter.0;
        let mut enforced = enforced.into_iter();
        // Nobody waits for a limit that only watches: where it failed, it says nothing.
        let mut shadow = shadow.into_iter().map(|answer| answer.ok()?.standings.into_iter().next());
        let status = |asked: &Asked| {
            let standing = if asked.is_shadow(engine) { shadow.next().flatten() } else { enforced.next() };
            asked.status(engine, if standing.is_some() { source } else { Source::Nobody }, standing)
        };
        self.told(Decision { limits: self.asked.iter().map(status).collect() })
    }

    fn enforced(&self) -> impl Iterator<Item = &Asked> {
        self.asked.iter().filter(|asked| !asked.is_shadow(&self.limiter.0))
    }

    pub(super) fn remember(&self, decided: &Decided) {
        let Stage::Ask { epoch, .. } = self.stage else { return };
        let engine = &self.limiter.0;
        if decided.verdict == Verdict::Admitted || !engine.remembers() {
            return;
        }
        let states = decided.states.iter().zip(&decided.standings);
        for (asked, (state, standing)) in self.enforced().zip(states) {
            if let Some(refusal) = Refusal::new(asked.usage.rule, *state, decided.now_us, *standing) {
                engine.refusals.remember(&asked.usage.key, refusal, epoch);
            }
        }
    }

    /// The store could not be asked: each limit goes by its policy, and those that this process decides are decided together.
    fn failed(&self, error: &StoreError) -> Result<Decision, LimitError> {
        let engine = &self.limiter.0;
        let policy = |asked: &Asked| engine.limits[asked.index].limit.failure;
        for asked in self.enforced() {
            engine.fail(&engine.limits[asked.index].limit, error.kind());
        }
        if self.enforced().any(|asked| policy(asked) == FailurePolicy::Closed) {
            return Err(error.clone().into());
        }
        let is_local = |asked: &Asked| policy(asked) == FailurePolicy::Local && !asked.is_shadow(engine);
        let uses =
            self.asked.iter().filter(|asked| is_local(asked)).map(|asked| asked.usage.clone()).collect();
        let verb = match &self.stage {
            Stage::Ask { verb, .. } => *verb,
            Stage::Known(_) => LimitVerb::Take,
        };
        // A local memory that is full admits: a failure is never a refusal.
        let decided = DecideLimits::new(verb, uses)
            .and_then(|operation| engine.local.run_in_process(&operation))
            .and_then(Result::ok);
        let mut standings = decided.into_iter().flat_map(|decided| decided.standings);
        let limits =
            self.asked.iter().map(|asked| match is_local(asked).then(|| standings.next()).flatten() {
                Some(standing) => asked.status(engine, Source::Local, Some(standing)),
                None => asked.status(engine, Source::Nobody, None),
            });
        let decision = Decision { limits: limits.collect() };
        Ok(self.told(decision))
    }

    fn told(&self, decision: Decision) -> Decision {
        let mut outcome = "admitted";
        for status in decision.refused() {
            outcome = if status.source == Source::Remembered { "remembered" } else { "refused" };
            let (limit, source) = (status.name.clone(), status.source);
            self.limiter.0.tell(&LimitEvent::Refused { limit, source });
        }
        crate::metric::count("tower_keep_limit_decisions_total", outcome);
        for status in decision.limits.iter().filter(|status| status.mode == LimitMode::Shadow) {
            let outcome = if status.would_refuse() { "refused" } else { "admitted" };
            crate::metric::count("tower_keep_limit_shadow_total", outcome);
            if status.would_refuse() {
                self.limiter.0.tell(&LimitEvent::WouldRefuse { limit: status.name.clone() });
            }
        }
        decision
    }
}
