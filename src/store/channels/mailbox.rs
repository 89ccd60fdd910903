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
    /// The connection was lost and is back; nobody knows what was published in between.
    Interrupted,
}

#[derive(Debug)]
pub(super) struct Mailbox {
    inbox: Mutex<Inbox>,
    capacity: usize,
}

#[derive(Default)]
struct Inbox {
    heard: VecDeque<Heard>,
    lost: u64,
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

    pub(super) fn put(&self, heard: Heard) {
        let mut inbox = self.inbox();
        if inbox.heard.len() >= self.capacity {
            inbox.heard.pop_front();
            inbox.lost = inbox.lost.saturating_add(1);
        }
        inbox.heard.push_back(heard);
        let waker = inbox.waker.take();
        drop(inbox);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The server delivers; if it did before, there is a gap.
    pub(super) fn confirmed(&self) {
        if std::mem::replace(&mut self.inbox().confirmed, true) {
            self.put(Heard::Interrupted);
        }
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.inbox().confirmed
    }

    pub(super) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Heard> {
        let mut inbox = self.inbox();
        if inbox.lost > 0 {
            return Poll::Ready(Heard::Lagged(std::mem::take(&mut inbox.lost)));
        }
        if let Some(heard) = inbox.heard.pop_front() {
            return Poll::Ready(heard);
        }
        inbox.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Shows no message.
impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox")
            .field("heard", &self.heard.len())
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

    fn message(n: u8) -> Heard {
        Heard::Message { channel: "c".into(), message: vec![n].into() }
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
        (1..=5).for_each(|n| mailbox.put(message(n)));
        assert_eq!(take(&mailbox), Some(Heard::Lagged(3)));
        assert_eq!([take(&mailbox), take(&mailbox)], [Some(message(4)), Some(message(5))]);
        assert_eq!(take(&mailbox), None);
    }

    #[test]
    fn only_a_second_confirmation_is_a_gap() {
        let mailbox = Mailbox::new(2);
        mailbox.confirmed();
        assert_eq!(take(&mailbox), None);
        mailbox.confirmed();
        assert_eq!(take(&mailbox), Some(Heard::Interrupted));
    }
}
