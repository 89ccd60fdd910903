//! From a handler's response to what is stored: the body is copied as it passes, and published when it is complete.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::engine::random_word;
use super::entry::{BodyRef, SEGMENT, seal};
use super::fill::Fill;
use super::flight::Landing;
use super::publish::{Head, admit, publish};
use crate::store::StoreError;
use crate::store::op::cache::{Admission, Forget, Published, PutBlob};

/// How much longer segments live than the head that names them, so that who reads the head can read the rest.
pub(super) const LINGER_MS: u64 = 300_000;

/// Copies a body on its way to the client. Never holds it back: where there is no room, it stops copying.
#[derive(Debug)]
pub(super) struct Recorder {
    pieces: mpsc::UnboundedSender<Piece>,
    room: Arc<tokio::sync::Semaphore>,
    current: BytesMut,
    length: u64,
    most: u64,
    expected: Option<u64>,
}

#[derive(Debug)]
enum Piece {
    /// A full segment, and the room that it takes.
    Segment(Bytes, OwnedSemaphorePermit),
    /// The last one, and the length of all.
    End(Bytes, u64, OwnedSemaphorePermit),
}

impl Recorder {
    /// Begins to record. `expected` is the length that the response names; a body of another length is not stored. `None` without a
    /// runtime or random bytes.
    pub(super) fn start(fill: Box<Fill>, head: Head, most: u64, expected: Option<u64>) -> Option<Self> {
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        let id: Arc<str> = random_word().ok()?.into();
        let (pieces, received) = mpsc::unbounded_channel();
        let room = Arc::clone(&fill.engine.room);
        runtime.spawn(Writer { fill, head, id, written: 0 }.run(received));
        Some(Self { pieces, room, current: BytesMut::new(), length: 0, most, expected })
    }

    /// Takes a part of the body. `false`: there is no use in going on.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> bool {
        self.length += bytes.len() as u64;
        if self.length > self.most || self.expected.is_some_and(|expected| self.length > expected) {
            return false;
        }
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(SEGMENT - self.current.len()));
            self.current.extend_from_slice(now);
            bytes = later;
            if self.current.len() == SEGMENT && !self.send(Piece::Segment) {
                return false;
            }
        }
        true
    }

    /// The body is complete.
    pub(super) fn end(mut self) {
        if self.expected.is_none_or(|expected| self.length == expected) {
            let length = self.length;
            self.send(|bytes, permit| Piece::End(bytes, length, permit));
        }
    }

    fn send(&mut self, piece: impl FnOnce(Bytes, OwnedSemaphorePermit) -> Piece) -> bool {
        let kib = u32::try_from(self.current.len().div_ceil(1024)).unwrap_or(u32::MAX);
        let Ok(permit) = Arc::clone(&self.room).try_acquire_many_owned(kib) else {
            crate::metric::count("tower_keep_cache_not_stored_total", "no-room");
            return false;
        };
        self.pieces.send(piece(self.current.split().freeze(), permit)).is_ok()
    }
}

/// Writes segments as they come, and publishes the head when all are there.
struct Writer {
    fill: Box<Fill>,
    head: Head,
    id: Arc<str>,
    written: u32,
}

impl Writer {
    async fn run(mut self, mut pieces: mpsc::UnboundedReceiver<Piece>) {
        let every = self.fill.renew_every();
        let outcome = loop {
            match tokio::time::timeout(every, pieces.recv()).await {
                Err(_) => self.fill.renew().await,
                Ok(Some(Piece::Segment(bytes, _room))) => {
                    if let Err(error) = self.put(&bytes).await {
                        break Err(error);
                    }
                }
                Ok(Some(Piece::End(bytes, length, _room))) => break self.publish(bytes, length).await,
                // The client went away, or the body failed: nobody knows what it would have been.
                Ok(None) => break Ok(None),
            }
        };
        self.finish(outcome).await;
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

    async fn publish(&mut self, last: Bytes, length: u64) -> Result<Option<Published>, StoreError> {
        let last = (!last.is_empty()).then(|| self.segment(&last));
        let Some(admit) = admit(&self.fill, &self.head.tags) else { return Ok(None) };
        let (put, admission) = self.fill.engine.run((last, admit)).await;
        put.transpose()?;
        let Admission::Admitted(epoch) = admission? else { return Ok(Some(Published::Lost)) };
        let body = BodyRef { id: Arc::clone(&self.id), length };
        publish(&mut self.fill, &self.head, &epoch, body).await.map(Some)
    }

    async fn finish(mut self, outcome: Result<Option<Published>, StoreError>) {
        let landing = match &outcome {
            Ok(Some(Published::Stored)) => Landing::Stored,
            Ok(Some(_)) | Err(_) => Landing::NotForOthers,
            Ok(None) => Landing::Lost,
        };
        self.fill.land(landing);
        if landing == Landing::Stored {
            return crate::metric::count("tower_keep_cache_stored_total", "");
        }
        let reason = match outcome {
            Ok(None) => "aborted",
            Ok(Some(_)) => "purged",
            Err(_) => "store",
        };
        crate::metric::count("tower_keep_cache_not_stored_total", reason);
        let keys = (0..self.written).map(|number| self.fill.place.key.cached_segment(&self.id, number));
        if let Some(remove) = Forget::new(keys) {
            // They end by themselves, too.
            drop(self.fill.engine.run(remove).await);
        }
    }
}
