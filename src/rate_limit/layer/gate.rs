//! What becomes of a request: passed, asked about, admitted or answered. Knows neither services nor bodies, so that adapters of
//! frameworks whose services are not Tower's go through it, too.

use std::fmt;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;

use super::answers::{Answers, RefusalCause};
use super::builder::{ShapeFn, SkipFn, WithoutKey};
use super::limits::RateLimits;
use super::settle::Settle;
use super::wait::Wait;
use crate::rate_limit::Network;
use crate::rate_limit::ask::Ask;
use crate::rate_limit::by::{By, ByClient, Found, NoKey};
use crate::rate_limit::check::Check;
use crate::rate_limit::decision::Decision;
use crate::rate_limit::engine::RateLimiter;
use crate::rate_limit::error::LimitError;
use crate::rate_limit::fields::ResponseFields;
use crate::rate_limit::key::{KeyPart, LimitKey};
use crate::rate_limit::warnings::Warnings;
use crate::store::key::Key;
use crate::store::op::PerLimit;
use crate::view::{HeaderSection, RequestView};

pub type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A layer that lived so long could have been hit.
const QUIET: Duration = Duration::from_secs(60);

/// A layer's limiter and settings.
pub struct Gate {
    pub(super) limiter: RateLimiter,
    pub(super) by: By,
    pub(super) without_key: WithoutKey,
    pub(super) skip: Option<SkipFn>,
    pub(super) allowed: Option<(ByClient, Box<[Network]>)>,
    pub(super) shape: Option<ShapeFn>,
    pub(super) settle: Option<Settle>,
    pub(super) wait: Option<Wait>,
    pub(super) answers: Answers,
    pub(super) built: Instant,
    pub(super) hit: AtomicBool,
}

/// What to do next with a request.
pub enum Step {
    /// It does not concern this layer.
    Pass,
    /// It is admitted.
    Admit(RateLimits),
    /// It is answered here.
    Answer(Response<Bytes>),
    /// It must wait for something.
    Later(Boxed<Outcome>),
}

/// What was waited for.
#[derive(Debug)]
pub enum Outcome {
    /// A key.
    Key(Result<LimitKey, NoKey>),
    /// A decision, and under which keys the request is counted.
    Decision(Result<Decision, LimitError>, PerLimit<Key>, Asked),
}

/// What goes along with a question.
#[derive(Debug)]
pub struct Asked {
    /// The question, where it may be asked again or settled.
    pub(super) ask: Option<Box<Ask>>,
    /// What layers outside decided.
    pub(super) outer: Option<RateLimits>,
    /// It has waited for its turn.
    pub(super) waited: bool,
}

impl Gate {
    pub(super) fn new(limiter: RateLimiter, by: By) -> Self {
        Self {
            answers: Answers::new(&limiter, ResponseFields::new(), None),
            limiter,
            by,
            without_key: WithoutKey::default(),
            skip: None,
            allowed: None,
            shape: None,
            settle: None,
            wait: None,
            built: Instant::now(),
            hit: AtomicBool::new(false),
        }
    }

    /// A request comes.
    pub fn start(self: &Arc<Self>, request: &dyn RequestView) -> Step {
        if !self.hit.load(Ordering::Relaxed) {
            self.hit.store(true, Ordering::Relaxed);
        }
        if self.skips(request) {
            return Step::Pass;
        }
        match self.by.find(request, self.warnings(), self.limiter.deadline()) {
            Found::Now(key) => self.ask(key, request),
            Found::Later(key) => Step::Later(Box::pin(async { Outcome::Key(key.await) })),
        }
    }

    /// Something that was waited for is there.
    pub fn go_on(self: &Arc<Self>, outcome: Outcome, request: &dyn RequestView) -> Step {
        match outcome {
            Outcome::Key(key) => self.ask(key, request),
            Outcome::Decision(decision, keys, asked) => self.judge(decision, || keys, asked, request),
        }
    }

    /// Tells a client what is left, in the fields of its response.
    pub fn tell(&self, limits: &RateLimits, fields: &mut dyn HeaderSection) {
        self.answers.tell(limits.decision(), fields);
    }

    pub(super) fn warnings(&self) -> &Warnings {
        self.limiter.warnings()
    }

    fn skips(&self, request: &dyn RequestView) -> bool {
        if self.skip.as_ref().is_some_and(|skip| skip(request)) {
            return true;
        }
        let Some((client, networks)) = &self.allowed else { return false };
        let address = client.find(request, self.warnings());
        address.is_ok_and(|address| networks.iter().any(|network| network.contains(address.ip())))
    }

    fn ask(self: &Arc<Self>, key: Result<LimitKey, NoKey>, request: &dyn RequestView) -> Step {
        let key = match key {
            Ok(key) => key,
            Err(reason) => match self.without_key(&reason, request) {
                ControlFlow::Continue(key) => key,
                ControlFlow::Break(step) => return step,
            },
        };
        let ask = match &self.shape {
            None => Ask::new(key),
            Some(shape) => match shape(request, Ask::new(key)) {
                Some(ask) => ask,
                None => return Step::Pass,
            },
        };
        let outer = request.extensions().and_then(|extensions| extensions.get::<RateLimits>()).cloned();
        let asked = self.limiter.begin_unless(&ask, |key| is_counted(outer.as_ref(), &self.limiter, key));
        let mut check = match asked {
            Ok(check) => check,
            Err(error) => return self.failed(&error, request),
        };
        if check.is_empty() {
            return Step::Pass; // outer layers counted it already, or no limit concerns it
        }
        let kept = (self.settle.is_some() || self.wait.is_some()).then(|| Box::new(ask));
        let asked = Asked { ask: kept, outer, waited: false };
        match check.decide_now() {
            Some(decision) => self.judge(decision, || check.into_keys(), asked, request),
            None => Step::Later(decide(check, asked)),
        }
    }

    /// The key of a request without one, or what becomes of it.
    fn without_key(&self, reason: &NoKey, request: &dyn RequestView) -> ControlFlow<Step, LimitKey> {
        if let NoKey::Store(error) = reason {
            let decided = self.limiter.without_store(error);
            return ControlFlow::Break(match decided {
                Ok(()) => Step::Pass,
                Err(error) => self.failed(&error, request),
            });
        }
        if matches!(reason, NoKey::NoSessionLayer) {
            self.warnings().no_session_layer();
        }
        crate::metric::count("tower_keep_limit_without_key_total", reason.as_str());
        match self.without_key {
            WithoutKey::Pass => ControlFlow::Break(Step::Pass),
            WithoutKey::Shared => ControlFlow::Continue(LimitKey::from(KeyPart::missing())),
            WithoutKey::Refuse => {
                let answer = self.answers.undecided(RefusalCause::NoKey(reason), request);
                ControlFlow::Break(Step::Answer(answer))
            }
        }
    }

    fn judge(
        self: &Arc<Self>,
        decision: Result<Decision, LimitError>,
        keys: impl FnOnce() -> PerLimit<Key>,
        asked: Asked,
        request: &dyn RequestView,
    ) -> Step {
        let decision = match decision {
            Ok(decision) => decision,
            Err(error) => return self.failed(&error, request),
        };
        if decision.is_admitted() {
            let Asked { ask, outer, .. } = asked;
            return Step::Admit(RateLimits::new(self.limiter.clone(), decision, keys(), ask, outer));
        }
        if let Some(wait) = &self.wait {
            return match wait.begin(self.limiter.clone(), decision, asked) {
                Ok(waiting) => Step::Later(waiting),
                Err(decision) => Step::Answer(self.answers.over(&decision, request)),
            };
        }
        Step::Answer(self.answers.over(&decision, request))
    }

    /// No decision. A failed store is a 503 and never a refusal; all else is a fault of the app's own, which the log tells once.
    fn failed(&self, error: &LimitError, request: &dyn RequestView) -> Step {
        if !matches!(error, LimitError::Store(_)) {
            self.warnings().wrong_question(error);
        }
        Step::Answer(self.answers.undecided(RefusalCause::Failed(error), request))
    }
}

/// Whether layers of this limiter outside counted the request under this key.
pub(super) fn is_counted(outer: Option<&RateLimits>, limiter: &RateLimiter, key: &Key) -> bool {
    outer.is_some_and(|outer| outer.has_counted(limiter, key))
}

/// Asks the store. The question has an allocation of its own, and the block keeps nothing twice as an `async fn` would: allocations of
/// more than a thousand bytes take eight times as long.
fn decide(check: Check, asked: Asked) -> Boxed<Outcome> {
    let mut check = Box::new(check);
    Box::pin(async move {
        let decision = check.decide().await;
        Outcome::Decision(decision, check.into_keys(), asked)
    })
}

impl Drop for Gate {
    fn drop(&mut self) {
        if !*self.hit.get_mut() && self.built.elapsed() >= QUIET {
            Warnings::never_hit();
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("limiter", &self.limiter)
            .field("by", &self.by)
            .field("without_key", &self.without_key)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "Pass",
            Self::Admit(_) => "Admit",
            Self::Answer(_) => "Answer",
            Self::Later(_) => "Later",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limit::{Limit, Quota};
    use crate::store::Store;
    use keep_testing::Log;

    fn gate() -> Gate {
        let limit = Limit::new("only", Quota::per_second(1));
        let limiter = RateLimiter::builder(Store::in_memory()).limit(limit).build().unwrap();
        Gate::new(limiter, By::everybody())
    }

    #[test]
    fn a_layer_that_could_have_been_hit_and_was_not_is_spoken_of() {
        let long_ago = Instant::now().checked_sub(QUIET).unwrap();
        let log = Log::start();
        drop(gate());
        let mut old = gate();
        old.built = long_ago;
        let old = Arc::new(old);
        assert!(matches!(old.start(&http::Request::new(())), Step::Admit(_)));
        drop(old);
        assert_eq!(log.warnings(), Vec::<String>::new(), "one is young, the other was hit");
        let mut unused = gate();
        unused.built = long_ago;
        drop(unused);
        assert_eq!(log.warnings().len(), 1);
    }
}
