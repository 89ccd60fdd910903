//! The right to fill, and what is done with it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::engine::{Engine, HttpCache};
use super::flight::{Flight, Landing};
use super::lookup::{Found, LookUp, Place, Request, WithBody};
use super::publish::Head;
use super::reputation::Reputation;
use super::url::target_of;
use super::wake::{self, Waiting};
use crate::random;
use crate::store::StoreError;
use crate::store::key::Key;
use crate::store::op::signal::Signal;
use crate::store::op::{Lease, LeaseAnswer, LeaseOutcome, LeaseVerb};

/// The right to fill, held by this process and this request. Dropped, it is given back.
#[derive(Debug)]
pub(super) struct Fill {
    pub(super) engine: Arc<Engine>,
    pub(super) place: Place,
    /// Where it is written that this request fills.
    pub(super) key: Key,
    /// Host, path and query.
    pub(super) target: Arc<str>,
    pub(super) token: Arc<str>,
    pub(super) began: Instant,
    flight: Option<Flight>,
    kept: bool,
}

/// What became of the wish to fill.
#[derive(Debug)]
pub(super) enum Claim {
    Granted(Box<Fill>),
    /// Another process filled it meanwhile, or what it stored is worth a look.
    LookAgain,
    /// Somebody else takes too long: the handler is called, and nothing is stored.
    Late,
    /// The store failed: the same.
    Failed,
}

impl HttpCache {
    /// Asks for the right to fill, or waits, at most `until`, until somebody else has used theirs.
    pub(super) async fn claim(
        &self,
        request: Request<'_>,
        place: Place,
        flight: Flight,
        until: Instant,
    ) -> Claim {
        let Some(mut fill) = self.refill(request, place, flight) else { return Claim::Failed };
        let (shortest, longest) = self.engine.config.pauses;
        // The first look comes at once: it may have been stored before this request listened.
        let (mut pause, mut waiting) = (Duration::ZERO, None);
        loop {
            let Ok(answer) = fill.take().await else { return Claim::Failed };
            if fill.kept {
                return Claim::Granted(fill);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // Who comes next need not find out again.
                self.engine.remember(&fill.key, Reputation::NeverWait);
                return Claim::Late;
            }
            let ends = Duration::from_micros(answer.next_us).max(wake::SHORTEST);
            let waiting = waiting.get_or_insert_with(|| Waiting::for_fill(&self.engine, &fill.place.key));
            // Who is not woken looks by itself.
            drop(tokio::time::timeout(pause.min(ends).min(left), waiting.woken()).await);
            pause = (pause * 2).clamp(shortest, longest);
            match self.look_up(request, &fill.place.key, WithBody::No).await {
                Ok(LookUp::Found(found)) if self.is_fresh(&found) => {
                    fill.land(Landing::Stored);
                    return Claim::LookAgain;
                }
                Ok(_) => {}
                Err(_) => return Claim::Failed,
            }
        }
    }

    /// The wish to fill a place; it is granted by [`ensure_leased`](Fill::ensure_leased).
    pub(super) fn refill(&self, request: Request<'_>, place: Place, flight: Flight) -> Option<Box<Fill>> {
        Some(Box::new(Fill {
            engine: Arc::clone(&self.engine),
            key: place.fill(),
            target: target_of(request, &self.policy.key).into(),
            place,
            token: random::token().ok()?,
            began: Instant::now(),
            flight: Some(flight),
            kept: false,
        }))
    }

    fn is_fresh(&self, found: &Found) -> bool {
        !found.softly && found.entry.stored.ttl_at(self.now_ms()) > 0
    }
}

impl Fill {
    /// Takes the right if nobody else has it.
    pub(super) async fn ensure_leased(&mut self) -> bool {
        drop(self.take().await);
        self.kept
    }

    /// Counts as kept from the moment of asking: who is cancelled while the answer is on its way gives back what it may have got.
    async fn take(&mut self) -> Result<LeaseAnswer, StoreError> {
        self.kept = true;
        let answer = self.engine.run(self.lease_op(LeaseVerb::Take)).await?;
        (self.kept, self.began) = (answer.outcome == LeaseOutcome::Done, Instant::now());
        Ok(answer)
    }

    fn lease_op(&self, verb: LeaseVerb) -> Lease {
        let ttl_us = u64::try_from(self.engine.config.lease.as_micros()).unwrap_or(u64::MAX);
        Lease { verb, key: self.key.clone(), token: Arc::clone(&self.token), most: 1, ttl_us }
    }

    /// How often it must be renewed.
    pub(super) fn renew_every(&self) -> Duration {
        self.engine.config.lease / 3
    }

    /// Says that this process is still at it. Whether it still holds the right shows when it is used.
    pub(super) fn renew(&self) -> impl Future<Output = ()> + Send + 'static {
        let (engine, lease) = (Arc::clone(&self.engine), self.lease_op(LeaseVerb::Renew));
        async move {
            drop(engine.run(lease).await);
        }
    }

    pub(super) fn wake(&self) -> Signal {
        Signal {
            channel: self.engine.log.clone(),
            message: self.place.key.hash_tag().as_bytes().to_vec().into(),
        }
    }

    /// Tells those who wait in this process how it ended.
    pub(super) fn land(&mut self, landing: Landing) {
        if let Some(flight) = self.flight.take() {
            flight.land(landing);
        }
    }

    /// The right was used up.
    pub(super) fn used(&mut self) {
        self.kept = false;
    }

    /// There is a response to be stored: what it promises decides whether others wait for it.
    pub(super) fn will_store(&self, head: &Head) {
        if head.must_be_validated() {
            self.engine.remember(&self.key, Reputation::NeverWait);
        } else {
            self.engine.restore(&self.key);
        }
    }

    /// The handler's answer is not for others: those who wait go to the handler, too.
    pub(super) fn not_for_others(&mut self, reputation: Option<Reputation>) {
        if let Some(reputation) = reputation {
            self.engine.remember(&self.key, reputation);
        }
        self.land(Landing::NotForOthers);
    }
}

/// In the background: a request that is dropped cannot wait. Without a runtime the right ends by itself.
impl Drop for Fill {
    fn drop(&mut self) {
        if !self.kept {
            return;
        }
        let (engine, release) = (Arc::clone(&self.engine), self.lease_op(LeaseVerb::Release));
        if let Some(outputs) = engine.store.run_in_process(&release) {
            drop(outputs);
        } else if let Some(runtime) = engine.store.background() {
            runtime.spawn(async move { drop(engine.run(release).await) });
        }
    }
}
