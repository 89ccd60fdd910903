//! Forgetting what limits have counted.

use crate::store::error::StoreError;
use crate::store::key::{Key, KeyPrefix};
use crate::store::memory::Db;
use crate::store::operation::{Operation, sealed::Sealed};
use crate::store::wire::{Command, Reply, desync};

/// Forgets what limits have counted, bans included: one `DEL` of all keys. The answer is how many there were.
#[derive(Clone, Debug)]
pub struct ResetLimits {
    first: Key,
    more: Vec<Key>,
}

impl ResetLimits {
    /// `None` when there are no keys.
    #[must_use]
    pub fn new(keys: Vec<Key>) -> Option<Self> {
        let mut keys = keys.into_iter();
        Some(Self { first: keys.next()?, more: keys.collect() })
    }
}

impl Sealed for ResetLimits {}

impl Operation for ResetLimits {
    type Output = u64;

    fn command(&self, _: &KeyPrefix) -> Command {
        Command::write("DEL", self.first.clone()).with_keys(self.more.iter().cloned())
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let keys = std::iter::once(&self.first).chain(&self.more);
        Ok(Reply::Int(keys.map(|key| i64::from(db.remove(key))).sum()))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<u64, StoreError> {
        u64::try_from(reply.int()?).map_err(|_| desync())
    }
}
