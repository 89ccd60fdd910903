//! Sending, and listening.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{PubSubConfigError, PubSubError};
use super::subscription::Subscription;
use crate::store::key::{Key, KeySpace};
use crate::store::op::signal::Signal;
use crate::store::{Part, Store, Topic};

const MAX_CAPACITY: usize = 1 << 20;
const MAX_MESSAGE: usize = 64 << 20;

/// What the store must have for it.
const PART: Part = Part {
    name: "messages",
    is_kept: false,
    commands: &["PUBLISH", "SUBSCRIBE", "PSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "PING"],
};

/// Typed messages to whoever listens at the moment. Cheap to clone. See the [module](super).
#[derive(Clone, Debug)]
pub struct PubSub {
    store: Store,
    space: Arc<KeySpace>,
    capacity: usize,
    max_bytes: usize,
}

/// Builds a [`PubSub`]; [`build`](Self::build) checks everything.
#[derive(Clone, Debug)]
#[must_use]
pub struct PubSubBuilder {
    store: Store,
    capacity: usize,
    max_bytes: usize,
}

impl PubSubBuilder {
    /// How many messages wait in one subscription before the oldest is let go, 1 to 2^20. Default 1,024. With their channels they take
    /// 16 MiB at most, whatever their number; a longer one waits alone.
    pub const fn capacity(mut self, messages: usize) -> Self {
        self.capacity = messages;
        self
    }

    /// The longest message that is sent, as JSON, 1 byte to 64 MiB. Default 1 MiB. What others send is not bounded by it.
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// The handle.
    ///
    /// # Errors
    ///
    /// The [`PubSubConfigError`] that says which setting cannot work.
    pub fn build(self) -> Result<PubSub, PubSubConfigError> {
        if !(1..=MAX_CAPACITY).contains(&self.capacity) {
            return Err(PubSubConfigError::OutOfRange("capacity"));
        }
        if !(1..=MAX_MESSAGE).contains(&self.max_bytes) {
            return Err(PubSubConfigError::OutOfRange("max_bytes"));
        }
        let Self { store, capacity, max_bytes } = self;
        let space = Arc::new(KeySpace::plain(store.prefix(), &["channel"]));
        Ok(PubSub::over(store, space, capacity, max_bytes))
    }
}

impl PubSub {
    /// With default settings.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let space = Arc::new(KeySpace::plain(store.prefix(), &["channel"]));
        let PubSubBuilder { store, capacity, max_bytes } = Self::builder(store);
        Self::over(store, space, capacity, max_bytes)
    }

    fn over(store: Store, space: Arc<KeySpace>, capacity: usize, max_bytes: usize) -> Self {
        store.serves(&PART);
        Self { store, space, capacity, max_bytes }
    }

    /// Settings.
    pub const fn builder(store: Store) -> PubSubBuilder {
        PubSubBuilder { store, capacity: 1024, max_bytes: 1 << 20 }
    }

    /// Sends a message as JSON to all who listen now; who does not, never gets it. Gives how many did: on Redis connections of
    /// processes, in the embedded store subscriptions. One `PUBLISH`, from the pool.
    ///
    /// # Errors
    ///
    /// [`PubSubError::Channel`], [`PubSubError::Encode`], [`PubSubError::TooLarge`]; [`PubSubError::Store`], and after a time-out it may
    /// have been sent.
    pub async fn publish<T: Serialize + ?Sized>(
        &self,
        channel: &str,
        message: &T,
    ) -> Result<u64, PubSubError> {
        let channel = self.space.of(channel).ok_or(PubSubError::Channel)?;
        let message = serde_json::to_vec(message).map_err(|error| PubSubError::Encode(Arc::new(error)))?;
        if message.len() > self.max_bytes {
            return Err(PubSubError::TooLarge);
        }
        Ok(self.store.run(Signal { channel, message: message.into() }).await?)
    }

    /// Listens to one channel, from the moment on in which this returns. All subscriptions of a store share one connection outside of the
    /// pool, which is opened for the first and closed after the last.
    ///
    /// # Errors
    ///
    /// [`PubSubError::Channel`]; [`PubSubError::Store`] when the server cannot be reached, or does not allow it.
    pub async fn subscribe<T: DeserializeOwned>(
        &self,
        channel: &str,
    ) -> Result<Subscription<T>, PubSubError> {
        let channel = self.space.of(channel).ok_or(PubSubError::Channel)?;
        self.listen(Topic::Channel(text(&channel))).await
    }

    /// Listens to all channels that a pattern fits: `*` stands for anything, everything else for itself. A message on a channel to which
    /// somebody listens by name as well comes to both.
    ///
    /// A Redis user who is bound to channels must be allowed the pattern itself, letter by letter; see `docs/pubsub.md`.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub async fn subscribe_pattern<T: DeserializeOwned>(
        &self,
        pattern: &str,
    ) -> Result<Subscription<T>, PubSubError> {
        if pattern.is_empty() {
            return Err(PubSubError::Channel);
        }
        let pattern = self.space.pattern(pattern.split('*')).ok_or(PubSubError::Channel)?;
        self.listen(Topic::Pattern(text(&pattern))).await
    }

    async fn listen<T: DeserializeOwned>(&self, topic: Topic) -> Result<Subscription<T>, PubSubError> {
        let listener = self.store.listen(topic, self.capacity).await?;
        Ok(Subscription::new(listener, Arc::clone(&self.space)))
    }
}

fn text(key: &Key) -> String {
    key.as_str().to_owned()
}
