//! A question to a limiter between being asked and being answered.

use std::time::Instant;

use super::decision::{Decision, LimitStatus, Source};
use super::engine::{Engine, RateLimiter, uses};
use super::error::LimitError;
use super::event::LimitEvent;
use super::limit::FailurePolicy;
use super::quota::Quota;
use super::refusals::{Epoch, Refusal};
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
        let name = engine.limits[self.index].limit.name.clone();
        LimitStatus { name, quota: self.quota, source, standing }
    }
}

/// A question that was put to a limiter and is not answered yet: the seam by which one batch serves several engines.
///
/// ```
/// # use tower_keep::rate_limit::{Limit, Quota, RateLimiter};
/// # use tower_keep::store::Store;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limiter = RateLimiter::builder(Store::in_memory()).limit(Limit::new("api", Quota::per_second(5))).build()?;
/// let check = limiter.begin("alice")?;
/// let decision = match check.prepare() {
///     Some(operation) => {
///         let answer = limiter.store().batch_within(operation, limiter.deadline()).await;
///         check.complete(answer.and_then(|answer| answer))?
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
    Ask(DecideLimits, Epoch),
}

impl Check {
    pub(super) fn new(limiter: RateLimiter, verb: LimitVerb, asked: Vec<Asked>) -> Self {
        let engine = &limiter.0;
        let remembers = engine.remembers() && verb == LimitVerb::Take;
        let mut known = Vec::new();
        if remembers {
            let now = Instant::now();
            let recall = |asked: &Asked| engine.refusals.recall(&asked.usage.key, asked.usage.cost, now);
            known = asked.iter().map(recall).collect();
        }
        let stage = if known.iter().any(Option::is_some) {
            Stage::Known(known)
        } else {
            match DecideLimits::new(verb, uses(&asked)) {
                Some(operation) => Stage::Ask(operation, engine.refusals.epoch()),
                None => Stage::Known(Vec::new()),
            }
        };
        Self { limiter, asked, stage }
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
        matches!(self.stage, Stage::Ask(_, epoch) if epoch == self.limiter.0.refusals.epoch())
    }

    /// The operation that decides, to be sent alone or in a batch with others and answered by [`complete`](Self::complete). `None` when
    /// there is nothing to ask: then [`known`](Self::known) has the answer.
    #[must_use]
    pub const fn prepare(&self) -> Option<&DecideLimits> {
        match &self.stage {
            Stage::Known(_) => None,
            Stage::Ask(operation, _) => Some(operation),
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
    pub fn complete(self, answer: Result<Decided, StoreError>) -> Result<Decision, LimitError> {
        let decided = match answer {
            Ok(decided) if decided.standings.len() == self.asked.len() => decided,
            Ok(_) => return self.failed(&StoreErrorKind::Desync.into()),
            Err(error) => return self.failed(&error),
        };
        self.limiter.0.store.observe(decided.now_us / 1000);
        self.remember(&decided);
        Ok(self.decided(Source::Store, decided.standings))
    }

    /// The decision that these standings make, one for each limit.
    pub(super) fn decided(&self, source: Source, standings: Vec<Standing>) -> Decision {
        let status = |(asked, standing): (&Asked, _)| asked.status(&self.limiter.0, source, Some(standing));
        self.told(Decision { limits: self.asked.iter().zip(standings).map(status).collect() })
    }

    pub(super) fn remember(&self, decided: &Decided) {
        let Stage::Ask(_, epoch) = self.stage else { return };
        let engine = &self.limiter.0;
        if decided.verdict == Verdict::Admitted || !engine.remembers() {
            return;
        }
        let states = decided.states.iter().zip(&decided.standings);
        for (asked, (state, standing)) in self.asked.iter().zip(states) {
            if let Some(refusal) = Refusal::new(asked.usage.rule, *state, decided.now_us, *standing) {
                engine.refusals.remember(&asked.usage.key, refusal, epoch);
            }
        }
    }

    /// The store could not be asked: each limit goes by its policy, and those that this process decides are decided together.
    fn failed(&self, error: &StoreError) -> Result<Decision, LimitError> {
        let engine = &self.limiter.0;
        let policy = |asked: &Asked| engine.limits[asked.index].limit.failure;
        for asked in &self.asked {
            let (limit, policy) = (engine.limits[asked.index].limit.name.clone(), policy(asked));
            crate::metric::count("tower_keep_limit_failures_total", policy.as_str());
            engine.tell(&LimitEvent::Failed { limit, policy, kind: error.kind() });
        }
        if self.asked.iter().any(|asked| policy(asked) == FailurePolicy::Closed) {
            return Err(error.clone().into());
        }
        let is_local = |asked: &&Asked| policy(asked) == FailurePolicy::Local;
        let uses = self.asked.iter().filter(is_local).map(|asked| asked.usage.clone()).collect();
        let verb = match &self.stage {
            Stage::Ask(operation, _) => operation.verb(),
            Stage::Known(_) => LimitVerb::Take,
        };
        // A local memory that is full admits: a failure is never a refusal.
        let decided = DecideLimits::new(verb, uses)
            .and_then(|operation| engine.local.run_in_process(&operation))
            .and_then(Result::ok);
        let mut standings = decided.into_iter().flat_map(|decided| decided.standings);
        let limits = self.asked.iter().map(|asked| {
            match (policy(asked) == FailurePolicy::Local).then(|| standings.next()).flatten() {
                Some(standing) => asked.status(engine, Source::Local, Some(standing)),
                None => asked.status(engine, Source::Nobody, None),
            }
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
        decision
    }
}
