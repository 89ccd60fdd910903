//! Typed messages to whoever listens at the moment: over Redis to all processes, in the embedded store within this one.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use tower_keep::pubsub::PubSub;
//! use tower_keep::store::Store;
//!
//! #[derive(Serialize, Deserialize, Debug, PartialEq)]
//! struct OrderUpdate {
//!     id: u64,
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let events = PubSub::new(Store::in_memory()); // or Store::connect("redis://127.0.0.1")?
//! let mut updates = events.subscribe_pattern::<OrderUpdate>("order:*").await?;
//! events.publish("order:7", &OrderUpdate { id: 7 }).await?;
//! let message = updates.next().await?;
//! assert_eq!((&*message.channel, message.value.id), ("order:7", 7));
//! # Ok(()) }
//! ```
//!
//! # What it promises
//!
//! - **Messages are sent from the pool and heard on a connection of their own**, one for each store, which subscribes again by itself after
//!   a loss: after 50 ms at first, then up to every second, with a quarter more by chance.
//! - **What was missed is said**: [`Missed::Interrupted`] after a loss, [`Missed::Lagged`] with the number when nobody took messages in
//!   time, both ahead of messages that still wait. Who is slow loses the oldest, holds up nobody, and takes no more room than its
//!   [`capacity`](PubSubBuilder::capacity).
//! - **What Redis refuses for a while** (`NOPERM`, `BUSY`) to a subscription that was heard before is asked for again about every second.
//! - **A message that cannot be read** is an item, and the subscription goes on.
//!
//! # What it does not
//!
//! It keeps nothing: who does not listen misses the message, and after a loss nobody knows what was sent. Where that matters, write
//! down what is so ([`kv`](crate::kv)) and send only that it changed.
//!
//! # Redis
//!
//! Channels are `{prefix}:channel:{name}`, messages JSON. Commands: `PUBLISH` from the pool; `SUBSCRIBE PSUBSCRIBE UNSUBSCRIBE
//! PUNSUBSCRIBE` and, after 10 s of silence, `PING` on the other connection.

mod engine;
mod error;
mod subscription;

pub use engine::{PubSub, PubSubBuilder};
pub use error::{Missed, PubSubConfigError, PubSubError};
pub use subscription::{Message, Subscription};
