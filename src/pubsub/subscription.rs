//! A stream of messages.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use serde::de::DeserializeOwned;

use super::error::Missed;
use crate::store::key::KeySpace;
use crate::store::{Heard, Listener};

/// A message and where it was sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message<T> {
    /// The channel, as its sender named it.
    pub channel: String,
    /// What was sent.
    pub value: T,
}

/// Messages as they come, and what was missed of them. It never ends by itself; dropped, it hears nothing more.
///
/// It is a [`Stream`]; [`next`](Self::next) does without one. What an error says was missed; the next item is the next message.
#[must_use = "a subscription that is dropped hears nothing"]
pub struct Subscription<T> {
    listener: Listener,
    space: Arc<KeySpace>,
    messages: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Subscription<T> {
    pub(super) const fn new(listener: Listener, space: Arc<KeySpace>) -> Self {
        Self { listener, space, messages: PhantomData }
    }

    /// Waits for the next message.
    ///
    /// # Errors
    ///
    /// What was [`Missed`]; it can be called again.
    ///
    /// # Cancel safety
    ///
    /// No message is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Message<T>, Missed> {
        poll_fn(|cx| self.poll_message(cx)).await
    }

    fn poll_message(&self, cx: &mut Context<'_>) -> Poll<Result<Message<T>, Missed>> {
        self.listener.poll_heard(cx).map(|heard| match heard {
            Heard::Message { channel, message } => {
                let channel = self.space.part(&channel).ok_or(Missed::Undecodable)?;
                let value = serde_json::from_slice(&message).map_err(|_| Missed::Undecodable)?;
                Ok(Message { channel, value })
            }
            Heard::Lagged(n) => Err(Missed::Lagged(n)),
            Heard::Interrupted => Err(Missed::Interrupted),
        })
    }
}

impl<T: DeserializeOwned> Stream for Subscription<T> {
    type Item = Result<Message<T>, Missed>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_message(cx).map(Some)
    }
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}
