//! Ending a session, and asking whether it lives.

use super::SessionAt;
use crate::store::error::StoreError;
use crate::store::key::KeyPrefix;
use crate::store::memory::Db;
use crate::store::operation::{Operation, sealed::Sealed};
use crate::store::wire::{Command, Reply};

/// Ends a session at once: one `DEL`. The answer tells whether it lived.
#[derive(Clone, Debug)]
pub struct RemoveSession(pub SessionAt);

impl Sealed for RemoveSession {}

impl Operation for RemoveSession {
    type Output = bool;

    fn command(&self, prefix: &KeyPrefix) -> Command {
        Command::write("DEL", self.0.key(prefix))
    }

    fn apply(&self, prefix: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        Ok(Reply::Int(db.remove(&self.0.key(prefix)).into()))
    }

    fn lasts(&self) -> bool {
        true
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<bool, StoreError> {
        Ok(reply.int()? > 0)
    }
}

/// Whether a session lives: one `EXISTS`.
#[derive(Clone, Debug)]
pub struct SessionExists(pub SessionAt);

impl Sealed for SessionExists {}

impl Operation for SessionExists {
    type Output = bool;

    fn command(&self, prefix: &KeyPrefix) -> Command {
        Command::read("EXISTS", self.0.key(prefix))
    }

    fn apply(&self, prefix: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        Ok(Reply::Int(db.contains(&self.0.key(prefix)).into()))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<bool, StoreError> {
        Ok(reply.int()? > 0)
    }
}
