//! Messages on channels.

use std::fmt;

use bytes::Bytes;

use crate::store::error::StoreError;
use crate::store::key::{Key, KeyPrefix};
use crate::store::memory::Db;
use crate::store::operation::{Operation, sealed::Sealed};
use crate::store::wire::{Command, Reply, desync};

/// Sends a message to all who listen: one `PUBLISH`. The answer is how many heard it: on Redis connections, in the embedded store
/// subscriptions.
#[derive(Clone)]
pub struct Signal {
    /// The channel.
    pub channel: Key,
    /// The message.
    pub message: Bytes,
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").finish_non_exhaustive()
    }
}

impl Sealed for Signal {}

impl Operation for Signal {
    type Output = u64;

    fn command(&self, _: &KeyPrefix) -> Command {
        Command::write("PUBLISH", self.channel.clone()).shared(self.message.clone())
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let heard = db.channels().publish(self.channel.as_str(), &self.message);
        Ok(Reply::Int(i64::try_from(heard).unwrap_or(i64::MAX)))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<u64, StoreError> {
        u64::try_from(reply.int()?).map_err(|_| desync())
    }
}
