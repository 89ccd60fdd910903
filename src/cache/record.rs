//! From a handler's response to what is stored: the body is copied as it passes, and handed over piece by piece.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::entry::SEGMENT;
use super::fill::Fill;
use super::pace::Pace;
use super::publish::Head;
use super::reputation::Reputation;
use super::write::Writer;
use crate::session::SessionWatch;

/// Copies a body on its way to the client. Never holds it back: where there is no room, it stops copying.
#[derive(Debug)]
pub(super) struct Recorder {
    pieces: mpsc::UnboundedSender<Piece>,
    room: Arc<Semaphore>,
    pace: Arc<Pace>,
    current: BytesMut,
    length: u64,
    wanted: Wanted,
    is_over: bool,
}

/// Which bodies are stored.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The longest.
    pub(super) most: u64,
    /// The length that the response names: a body of another one is not stored.
    pub(super) expected: Option<u64>,
    /// The visitor's session, if a handler that uses it makes the response the visitor's own.
    pub(super) session: Option<SessionWatch>,
}

#[derive(Debug)]
pub(super) enum Piece {
    /// A full segment, and the room that it takes.
    Segment(Bytes, OwnedSemaphorePermit),
    /// The last one, and the length of all.
    End(Bytes, u64, OwnedSemaphorePermit),
    /// It is not for others.
    Refused(Refusal),
}

/// Why a body is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    TooLarge,
    /// It is not as long as the response says.
    Length,
    /// The handler used the session while it made the body.
    Session,
    /// It failed.
    Failed,
    /// Too many bytes are on their way to the store already.
    NoRoom,
}

impl Refusal {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::Length => "length",
            Self::Session => "session",
            Self::Failed => "failed",
            Self::NoRoom => "no-room",
        }
    }

    /// What is to be expected of the next response.
    pub(super) const fn reputation(self) -> Option<Reputation> {
        match self {
            Self::TooLarge | Self::Length | Self::Session => Some(Reputation::NotForOthers),
            Self::Failed => Some(Reputation::NeverWait),
            Self::NoRoom => None,
        }
    }
}

impl Recorder {
    /// Begins to record. `None` without a runtime or random bytes.
    pub(super) fn start(fill: Box<Fill>, head: Head, wanted: Wanted) -> Option<Self> {
        let runtime = fill.engine.store.background()?;
        let id = crate::random::token().ok()?;
        fill.will_store(&head);
        let (pieces, received) = mpsc::unbounded_channel();
        let (room, pace) = (Arc::clone(&fill.engine.room), Arc::new(Pace::default()));
        runtime.spawn(Writer::new(fill, head, id, Arc::clone(&pace)).run(received));
        Some(Self { pieces, room, pace, current: BytesMut::new(), length: 0, wanted, is_over: false })
    }

    /// The client asks for more.
    pub(super) fn asked(&self) {
        self.pace.asked();
    }

    /// Takes a part of the body. `false`: there is no use in going on.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> bool {
        self.pace.given();
        self.length += bytes.len() as u64;
        if self.length > self.wanted.most {
            return self.refuse(Refusal::TooLarge);
        }
        if self.wanted.expected.is_some_and(|expected| self.length > expected) {
            return self.refuse(Refusal::Length);
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
        self.complete();
    }

    /// The body failed: nobody knows what it would have been.
    pub(super) fn fail(mut self) {
        self.refuse(Refusal::Failed);
    }

    fn complete(&mut self) {
        if self.wanted.expected.is_some_and(|expected| self.length != expected) {
            self.refuse(Refusal::Length);
        } else if self.wanted.session.as_ref().is_some_and(SessionWatch::is_touched) {
            self.refuse(Refusal::Session);
        } else {
            let length = self.length;
            self.send(|bytes, permit| Piece::End(bytes, length, permit));
            self.is_over = true;
        }
    }

    fn refuse(&mut self, refusal: Refusal) -> bool {
        self.is_over = true;
        drop(self.pieces.send(Piece::Refused(refusal))); // a writer that is gone needs no word
        false
    }

    fn send(&mut self, piece: impl FnOnce(Bytes, OwnedSemaphorePermit) -> Piece) -> bool {
        let kib = u32::try_from(self.current.len().div_ceil(1024)).unwrap_or(u32::MAX);
        let Ok(permit) = Arc::clone(&self.room).try_acquire_many_owned(kib) else {
            return self.refuse(Refusal::NoRoom);
        };
        let is_sent = self.pieces.send(piece(self.current.split().freeze(), permit)).is_ok();
        self.is_over |= !is_sent;
        is_sent
    }
}

/// A server that has sent as many bytes as `Content-Length` says does not ask for the end (RFC 9112 §6.3): all of it was there.
impl Drop for Recorder {
    fn drop(&mut self) {
        if !self.is_over && self.wanted.expected == Some(self.length) {
            self.complete();
        }
    }
}
