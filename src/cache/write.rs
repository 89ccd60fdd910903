//! Writes a body's segments as they come, and publishes the head when all are there.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::entry::{BodyRef, seal};
use super::fill::Fill;
use super::flight::Landing;
use super::pace::{Pace, Patience};
use super::publish::{Head, admit, publish};
use super::record::{Piece, Refusal};
use crate::store::StoreError;
use crate::store::op::cache::{Admission, Forget, Prolong, Published, PutBlob};

/// How much longer segments live than the head that names them, so that who reads the head can read the rest.
pub(super) const LINGER_MS: u64 = 300_000;

pub(super) struct Writer {
    fill: Box<Fill>,
    head: Head,
    id: Arc<str>,
    written: u32,
    pace: Arc<Pace>,
}

/// What became of a body.
enum Outcome {
    /// All of it came.
    Whole(Published),
    Refused(Refusal),
    /// The client went away, or takes nothing: nobody knows what it would have been.
    Aborted,
    /// The store failed.
    Failed,
}

impl From<StoreError> for Outcome {
    fn from(_: StoreError) -> Self {
        Self::Failed // counted where it happened
    }
}

impl Writer {
    pub(super) const fn new(fill: Box<Fill>, head: Head, id: Arc<str>, pace: Arc<Pace>) -> Self {
        Self { fill, head, id, written: 0, pace }
    }

    pub(super) async fn run(mut self, mut pieces: mpsc::UnboundedReceiver<Piece>) {
        let outcome = match self.receive(&mut pieces).await {
            Ok(outcome) | Err(outcome) => outcome,
        };
        self.finish(outcome).await;
    }

    async fn receive(&mut self, pieces: &mut mpsc::UnboundedReceiver<Piece>) -> Result<Outcome, Outcome> {
        let every = self.fill.renew_every();
        let mut renewed = Instant::now();
        let mut patience = Patience::new(self.fill.engine.config.wait);
        loop {
            let piece = tokio::time::timeout_at(renewed + every, pieces.recv()).await;
            if renewed.elapsed() >= every {
                if patience.is_over(&self.pace) {
                    return Ok(Outcome::Aborted);
                }
                self.fill.renew().await;
                renewed = Instant::now();
            }
            match piece {
                Err(_) => {}
                Ok(Some(Piece::Segment(bytes, _room))) => self.put(&bytes).await?,
                Ok(Some(Piece::End(bytes, length, _room))) => return self.publish(&bytes, length).await,
                Ok(Some(Piece::Refused(refusal))) => return Ok(Outcome::Refused(refusal)),
                Ok(None) => return Ok(Outcome::Aborted),
            }
        }
    }

    fn segment(&mut self, bytes: &[u8]) -> PutBlob {
        let key = self.fill.place.key.cached_segment(&self.id, self.written);
        let value = seal(&self.id, self.written, bytes);
        self.written += 1;
        PutBlob { key, value, ttl_ms: self.head.ttl_ms(&self.fill.engine) + LINGER_MS }
    }

    async fn put(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let put = self.segment(bytes);
        self.fill.engine.run(put).await
    }

    async fn publish(&mut self, last: &[u8], length: u64) -> Result<Outcome, Outcome> {
        let last = (!last.is_empty()).then(|| self.segment(last));
        let admit = admit(&self.fill, &self.head.tags).ok_or(Outcome::Aborted)?;
        let (put, admission) = self.fill.engine.run((last, admit)).await;
        put.transpose()?;
        let Admission::Admitted(epoch) = admission? else { return Ok(Outcome::Whole(Published::Lost)) };
        let body = BodyRef { id: Arc::clone(&self.id), length };
        Ok(Outcome::Whole(publish(&mut self.fill, &self.head, &epoch, body).await?))
    }

    async fn finish(mut self, outcome: Outcome) {
        let reason = match outcome {
            Outcome::Whole(Published::Stored) => {
                self.fill.land(Landing::Stored);
                crate::metric::count("tower_keep_cache_stored_total", "");
                return self.replace().await;
            }
            // What is purged, or has other variants by now, is filled anew by one of those who wait.
            Outcome::Whole(_) => {
                self.fill.land(Landing::Lost);
                "purged"
            }
            Outcome::Refused(refusal) => {
                self.fill.not_for_others(refusal.reputation());
                refusal.as_str()
            }
            Outcome::Aborted => {
                self.fill.land(Landing::Lost);
                "aborted"
            }
            Outcome::Failed => {
                self.fill.not_for_others(None);
                "store"
            }
        };
        crate::metric::count("tower_keep_cache_not_stored_total", reason);
        let keys = (0..self.written).map(|number| self.fill.place.key.cached_segment(&self.id, number));
        if let Some(remove) = Forget::new(keys) {
            // They end by themselves, too.
            drop(self.fill.engine.run(remove).await);
        }
    }

    /// A body whose head is replaced lives no longer than those need who read it now; else each refresh would leave one behind.
    async fn replace(&self) {
        let place = &self.fill.place;
        let Some((at, old)) = &place.old else { return };
        let is_other_variant = *at != place.key && self.head.variant_key(place).is_some_and(|new| new != *at);
        if is_other_variant {
            return;
        }
        let keys = old.keys(&place.key);
        let shorten: Vec<Prolong> = keys.map(|key| Prolong { key, ttl_ms: LINGER_MS }).collect();
        drop(self.fill.engine.run(shorten).await); // it ends by itself, too
    }
}
