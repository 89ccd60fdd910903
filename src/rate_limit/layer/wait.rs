//! Waiting instead of being refused, within bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::gate::{Asked, Boxed, Outcome, is_counted};
use crate::rate_limit::decision::Decision;
use crate::rate_limit::engine::RateLimiter;
use crate::store::key::Key;
use crate::store::op::PerLimit;

/// How long, and how many at once.
pub(super) struct Wait {
    pub(super) longest: Duration,
    pub(super) waiters: usize,
    waiting: Arc<AtomicUsize>,
}

/// A place among those who wait.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Wait {
    pub(super) fn new(longest: Duration, waiters: usize) -> Self {
        Self { longest, waiters, waiting: Arc::default() }
    }

    /// Waits for a decision that admits; gives the refusal back when it is not worth waiting or there is no place. The outcome is
    /// final: it does not wait again.
    pub(super) fn begin(
        &self,
        limiter: RateLimiter,
        refusal: Decision,
        asked: Asked,
    ) -> Result<Boxed<Outcome>, Decision> {
        let until = Instant::now() + self.longest;
        if asked.waited || turn(&refusal, until).is_none() {
            return Err(refusal);
        }
        let place = Place(Arc::clone(&self.waiting));
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.waiters {
            return Err(refusal);
        }
        Ok(Box::pin(wait(limiter, refusal, Asked { waited: true, ..asked }, until, place)))
    }
}

/// When the request may pass, if that is soon enough.
fn turn(refusal: &Decision, until: Instant) -> Option<Instant> {
    let turn = Instant::now().checked_add(refusal.retry_after()?)?;
    (turn <= until).then_some(turn)
}

async fn wait(
    limiter: RateLimiter,
    mut refusal: Decision,
    asked: Asked,
    until: Instant,
    _place: Place,
) -> Outcome {
    while let (Some(turn), Some(ask)) = (turn(&refusal, until), &asked.ask) {
        sleep(turn.saturating_duration_since(Instant::now())).await;
        // What outer layers counted is counted; here only what this question was about is asked again.
        let counted = |key: &Key| is_counted(asked.outer.as_ref(), &limiter, key);
        let mut check = match limiter.begin_unless(ask, counted) {
            Ok(check) => check,
            Err(error) => return Outcome::Decision(Err(error), PerLimit::new(), asked),
        };
        match check.decide().await {
            Ok(decision) if !decision.is_admitted() => refusal = decision,
            decided => return Outcome::Decision(decided, check.into_keys(), asked),
        }
    }
    Outcome::Decision(Ok(refusal), PerLimit::new(), asked)
}
