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
    /// Somebody subscribes to what stands here.
    served: bool,
}

struct Entry {
    mailboxes: Vec<Arc<Mailbox>>,
    standing: watch::Sender<Standing>,
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
        let entry = state.topics.entry(topic.clone()).or_insert_with(|| Entry {
            mailboxes: Vec::new(),
            standing: watch::Sender::new(Standing::Asked),
        });
        if matches!(*entry.standing.borrow(), Standing::Confirmed) {
            mailbox.confirmed();
        }
        entry.standing.send_if_modified(|standing| {
            let refused = matches!(standing, Standing::Refused(_));
            if refused {
                *standing = Standing::Asked;
            }
            refused
        });
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
    pub(super) fn wanted(&self) -> Vec<Topic> {
        let state = self.state();
        let wanted = |entry: &Entry| !matches!(*entry.standing.borrow(), Standing::Refused(_));
        state.topics.iter().filter(|(_, entry)| wanted(entry)).map(|(topic, _)| topic.clone()).collect()
    }

    /// Waits until [`wanted`](Self::wanted) may have changed since the last time.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.0.changed.notified()
    }

    /// The server delivers from now on. Who listened before is told that it did not for a while.
    pub(super) fn confirm(&self, topic: &Topic) {
        if let Some(entry) = self.state().topics.get(topic) {
            entry.mailboxes.iter().for_each(|mailbox| mailbox.confirmed());
            entry.standing.send_replace(Standing::Confirmed);
        }
    }

    /// The server does not let a topic be subscribed to.
    pub(super) fn refuse(&self, topic: &Topic, error: &StoreError) {
        if let Some(entry) = self.state().topics.get(topic) {
            entry.standing.send_replace(Standing::Refused(error.clone()));
        }
    }

    /// The connection ended. Who listens already waits for the next one; who has yet to hear whether it does, hears that it does not.
    pub(super) fn interrupted(&self, error: &StoreError) {
        for entry in self.state().topics.values() {
            let listens = entry.mailboxes.iter().any(|mailbox| mailbox.is_confirmed());
            entry.standing.send_replace(if listens {
                Standing::Asked
            } else {
                Standing::Refused(error.clone())
            });
        }
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

fn give(mailboxes: &[Arc<Mailbox>], channel: &str, message: &Bytes) -> usize {
    let channel: Arc<str> = channel.into();
    for mailbox in mailboxes {
        mailbox.put(Heard::Message { channel: Arc::clone(&channel), message: message.clone() });
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
