//! What one listener has not taken yet: bounded, and it counts what it had to let go.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

/// What a listener hears.
#[derive(Clone, PartialEq, Eq)]
pub enum Heard {
    /// A message.
    Message {
        /// The channel, as the store names it.
        channel: Arc<str>,
        /// What was published.
        message: Bytes,
    },
    /// So many messages were let go, oldest first, because nobody took them in time.
    Lagged(u64),
    /// The connection was lost and is back; nobody knows what was published in between. Said ahead of messages that wait.
    Interrupted,
}

/// How many bytes of channels and messages wait at most in one mailbox. The newest message is kept, however long it is.
const MAX_BYTES: usize = 16 << 20;

#[derive(Debug)]
pub(super) struct Mailbox {
    inbox: Mutex<Inbox>,
    capacity: usize,
}

#[derive(Default)]
struct Inbox {
    /// Channels and messages.
    waiting: VecDeque<(Arc<str>, Bytes)>,
    bytes: usize,
    lost: u64,
    /// Not among what waits, so that it is never let go.
    interrupted: bool,
    confirmed: bool,
    waker: Option<Waker>,
}

impl Mailbox {
    pub(super) fn new(capacity: usize) -> Self {
        Self { inbox: Mutex::default(), capacity: capacity.max(1) }
    }

    /// Nothing panics while the lock is held.
    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, channel: Arc<str>, message: Bytes) {
        let mut inbox = self.inbox();
        let bytes = channel.len() + message.len();
        while inbox.waiting.len() >= self.capacity || inbox.bytes.saturating_add(bytes) > MAX_BYTES {
            if inbox.pop().is_none() {
                break;
            }
            inbox.lost = inbox.lost.saturating_add(1);
        }
        inbox.bytes = inbox.bytes.saturating_add(bytes);
        inbox.waiting.push_back((channel, message));
        wake(inbox);
    }

    /// The server delivers; if it did before, there is a gap.
    pub(super) fn confirmed(&self) {
        let mut inbox = self.inbox();
        if std::mem::replace(&mut inbox.confirmed, true) {
            inbox.interrupted = true;
            wake(inbox);
        }
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.inbox().confirmed
    }

    /// What was missed comes first: whoever hears of several gaps at once has them all behind it.
    pub(super) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Heard> {
        let mut inbox = self.inbox();
        if inbox.lost > 0 {
            return Poll::Ready(Heard::Lagged(std::mem::take(&mut inbox.lost)));
        }
        if std::mem::take(&mut inbox.interrupted) {
            return Poll::Ready(Heard::Interrupted);
        }
        if let Some((channel, message)) = inbox.pop() {
            return Poll::Ready(Heard::Message { channel, message });
        }
        inbox.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Inbox {
    fn pop(&mut self) -> Option<(Arc<str>, Bytes)> {
        let (channel, message) = self.waiting.pop_front()?;
        self.bytes = self.bytes.saturating_sub(channel.len() + message.len());
        Some((channel, message))
    }
}

/// Wakes who waits, outside of the lock.
fn wake(mut inbox: MutexGuard<'_, Inbox>) {
    let waker = inbox.waker.take();
    drop(inbox);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Shows no message.
impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox")
            .field("waiting", &self.waiting.len())
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Message { .. } => f.write_str("Message(..)"),
            Self::Lagged(n) => f.debug_tuple("Lagged").field(n).finish(),
            Self::Interrupted => f.write_str("Interrupted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(mailbox: &Mailbox, message: impl Into<Bytes>) {
        mailbox.put("c".into(), message.into());
    }

    fn message(n: u8) -> Option<Heard> {
        Some(Heard::Message { channel: "c".into(), message: vec![n].into() })
    }

    fn take(mailbox: &Mailbox) -> Option<Heard> {
        match mailbox.poll_take(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(heard) => Some(heard),
            Poll::Pending => None,
        }
    }

    #[test]
    fn who_is_slow_loses_the_oldest_and_is_told_how_many() {
        let mailbox = Mailbox::new(2);
        (1..=5).for_each(|n| put(&mailbox, vec![n]));
        assert_eq!(take(&mailbox), Some(Heard::Lagged(3)));
        assert_eq!([take(&mailbox), take(&mailbox)], [message(4), message(5)]);
        assert_eq!(take(&mailbox), None);
    }

    #[test]
    fn long_messages_are_let_go_by_their_bytes() {
        let (mailbox, third) = (Mailbox::new(100), Bytes::from(vec![0; MAX_BYTES / 3]));
        (0..5).for_each(|_| put(&mailbox, third.clone()));
        assert_eq!(take(&mailbox), Some(Heard::Lagged(3)), "with its channel a third one is too much");
        put(&mailbox, vec![1; MAX_BYTES + 1]);
        put(&mailbox, vec![2]);
        assert_eq!([take(&mailbox), take(&mailbox)], [Some(Heard::Lagged(3)), message(2)]);
        assert_eq!(take(&mailbox), None);
        let longest = Bytes::from(vec![1; MAX_BYTES + 1]);
        put(&mailbox, longest.clone());
        assert_eq!(take(&mailbox), Some(Heard::Message { channel: "c".into(), message: longest }));
    }

    #[test]
    fn what_is_taken_makes_room() {
        let (mailbox, half) = (Mailbox::new(100), Bytes::from(vec![0; MAX_BYTES / 2 - 1]));
        for _ in 0..5 {
            put(&mailbox, half.clone());
            put(&mailbox, half.clone());
            for _ in 0..2 {
                assert!(matches!(take(&mailbox), Some(Heard::Message { .. })));
            }
        }
    }

    #[test]
    fn only_a_second_confirmation_is_a_gap() {
        let mailbox = Mailbox::new(2);
        mailbox.confirmed();
        assert_eq!(take(&mailbox), None);
        mailbox.confirmed();
        assert_eq!(take(&mailbox), Some(Heard::Interrupted));
        assert_eq!(take(&mailbox), None);
    }

    #[test]
    fn a_gap_is_told_however_many_messages_are_let_go() {
        let mailbox = Mailbox::new(2);
        mailbox.confirmed();
        mailbox.confirmed();
        (1..=5).for_each(|n| put(&mailbox, vec![n]));
        let heard = [(); 4].map(|()| take(&mailbox));
        assert_eq!(heard, [Some(Heard::Lagged(3)), Some(Heard::Interrupted), message(4), message(5)]);
    }
}
