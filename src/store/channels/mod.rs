//! Who listens to what in this process. Both stores deliver through it: the embedded one itself, Redis' by the connection that
//! subscribes to whatever stands here.

mod mailbox;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, watch};

pub use mailbox::Heard;
use mailbox::Mailbox;

use super::error::StoreError;
use super::op::state::glob;

/// What a listener asked for. Patterns come first in order, so that they can be gone through without the channels.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    Pattern(String),
    Channel(String),
}

/// Where a topic stands with the server.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    Asked,
    Confirmed,
    Refused(StoreError),
}

/// Which entry of a topic is meant: one that comes after the last listener has left is another, even before anybody has noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Generation(u64);

/// All listeners of one store in this process. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Channels(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    topics: BTreeMap<Topic, Entry>,
    /// How many entries there have been.
    entries: u64,
    /// Somebody subscribes to what stands here.
    served: bool,
}

struct Entry {
    generation: Generation,
    mailboxes: Vec<Arc<Mailbox>>,
    standing: watch::Sender<Standing>,
}

impl Entry {
    /// Somebody was told that messages come, so they must come again after each loss and refusal.
    fn listens(&self) -> bool {
        self.mailboxes.iter().any(|mailbox| mailbox.is_confirmed())
    }

    fn is_refused(&self) -> bool {
        matches!(*self.standing.borrow(), Standing::Refused(_))
    }
}

/// One listener. Dropped, it hears nothing more.
pub(crate) struct Listener {
    topic: Topic,
    mailbox: Arc<Mailbox>,
    channels: Channels,
}

impl Channels {
    /// Nothing panics while the lock is held.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a listener that holds up to `capacity` messages. Its topic is asked for unless it stands already.
    pub(super) fn enter(&self, topic: Topic, capacity: usize) -> (Listener, watch::Receiver<Standing>) {
        let mailbox = Arc::new(Mailbox::new(capacity));
        let mut state = self.state();
        let State { topics, entries, .. } = &mut *state;
        let entry = topics.entry(topic.clone()).or_insert_with(|| {
            *entries += 1;
            Entry {
                generation: Generation(*entries),
                mailboxes: Vec::new(),
                standing: watch::Sender::new(Standing::Asked),
            }
        });
        if matches!(*entry.standing.borrow(), Standing::Confirmed) {
            mailbox.confirmed();
        }
        if entry.is_refused() {
            entry.standing.send_replace(Standing::Asked);
        }
        entry.mailboxes.push(Arc::clone(&mailbox));
        let standing = entry.standing.subscribe();
        drop(state);
        self.0.changed.notify_one();
        (Listener { topic, mailbox, channels: self.clone() }, standing)
    }

    /// Delivers a message to all topics that it fits, as the embedded store does. Tells to how many listeners.
    pub(super) fn publish(&self, channel: &str, message: &Bytes) -> usize {
        let mut mailboxes = Vec::new();
        let state = self.state();
        for (topic, entry) in &state.topics {
            let Topic::Pattern(pattern) = topic else { break };
            if glob(pattern, channel) {
                mailboxes.extend(entry.mailboxes.iter().cloned());
            }
        }
        if let Some(entry) = state.topics.get(&Topic::Channel(channel.to_owned())) {
            mailboxes.extend(entry.mailboxes.iter().cloned());
        }
        drop(state);
        give(&mailboxes, channel, message)
    }

    /// Delivers a message that came for one topic.
    pub(super) fn deliver(&self, topic: &Topic, channel: &str, message: &Bytes) {
        let mailboxes = self.state().topics.get(topic).map(|entry| entry.mailboxes.clone());
        give(&mailboxes.unwrap_or_default(), channel, message);
    }

    /// The topics that are to be subscribed to.
    pub(super) fn wanted(&self) -> BTreeMap<Topic, Generation> {
        let state = self.state();
        let wanted = state.topics.iter().filter(|(_, entry)| !entry.is_refused());
        wanted.map(|(topic, entry)| (topic.clone(), entry.generation)).collect()
    }

    /// Waits until [`wanted`](Self::wanted) may have changed since the last time.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.0.changed.notified()
    }

    /// The server delivers from now on. Who listened before is told that it did not for a while.
    pub(super) fn confirm(&self, topic: &Topic, generation: Generation) {
        if let Some(entry) = self.state().meant(topic, generation) {
            entry.mailboxes.iter().for_each(|mailbox| mailbox.confirmed());
            entry.standing.send_replace(Standing::Confirmed);
        }
    }

    /// The server does not let a topic be subscribed to. Tells whether somebody listened before, so that it must be asked again.
    pub(super) fn refuse(&self, topic: &Topic, generation: Generation, error: &StoreError) -> bool {
        let state = self.state();
        let Some(entry) = state.meant(topic, generation) else { return false };
        entry.standing.send_replace(Standing::Refused(error.clone()));
        entry.listens()
    }

    /// What was refused is wanted again where somebody listened to it before.
    pub(super) fn ask_again(&self) {
        for entry in self.state().topics.values().filter(|entry| entry.is_refused() && entry.listens()) {
            entry.standing.send_replace(Standing::Asked);
        }
    }

    /// The connection ended: who has yet to hear whether it listens, hears that it does not. Who listens already waits for the next
    /// connection, which must [`ask_again`](Self::ask_again).
    pub(super) fn interrupted(&self, error: &StoreError) {
        for entry in self.state().topics.values() {
            entry.standing.send_replace(Standing::Refused(error.clone()));
        }
    }

    /// Whether nobody is left, not even one who has yet to hear that it was refused.
    pub(super) fn is_empty(&self) -> bool {
        self.state().topics.is_empty()
    }

    /// Whether the caller is the one who must serve the topics.
    pub(super) fn begin(&self) -> bool {
        !std::mem::replace(&mut self.state().served, true)
    }

    /// Whether there is nothing to serve any more; then the next listener begins anew.
    pub(super) fn is_done(&self) -> bool {
        let mut state = self.state();
        let done = state.topics.is_empty();
        state.served &= !done;
        done
    }
}

impl State {
    fn meant(&self, topic: &Topic, generation: Generation) -> Option<&Entry> {
        self.topics.get(topic).filter(|entry| entry.generation == generation)
    }
}

fn give(mailboxes: &[Arc<Mailbox>], channel: &str, message: &Bytes) -> usize {
    let channel: Arc<str> = channel.into();
    for mailbox in mailboxes {
        mailbox.put(Arc::clone(&channel), message.clone());
    }
    mailboxes.len()
}

impl Listener {
    pub(crate) fn poll_heard(&self, cx: &mut Context<'_>) -> Poll<Heard> {
        self.mailbox.poll_take(cx)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut state = self.channels.state();
        if let Some(entry) = state.topics.get_mut(&self.topic) {
            entry.mailboxes.retain(|mailbox| !Arc::ptr_eq(mailbox, &self.mailbox));
            if entry.mailboxes.is_empty() {
                state.topics.remove(&self.topic);
            }
        }
        drop(state);
        self.channels.0.changed.notify_one();
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

impl fmt::Debug for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channels").field("topics", &self.state().topics.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
