//! For the fuzz targets: bytes where only a server, or another program on the same server, could put them.

use super::error::StoreError;
use super::key::KeyPrefix;
use super::memory::{Db, Value};
use super::op::{Fields, LoadSession, Loaded, SessionAt};
use super::operation::{Operation, sealed::Sealed};
use super::wire::{Command, Reply};

/// Reads the names and values of a hash as the answer to a load.
///
/// # Errors
///
/// As [`LoadSession`] itself.
pub fn read_session(load: &LoadSession, fields: &[(&[u8], &[u8])]) -> Result<Loaded, StoreError> {
    let items = fields.iter().flat_map(|(name, value)| [name, value]);
    let reply = Reply::Array(items.map(|bytes| Reply::from(bytes.to_vec())).collect());
    load.output(&KeyPrefix::default(), reply)
}

/// Reads bytes as a stream of Redis replies that comes in pieces of `step` bytes. Gives how many replies were found, if all of it
/// could be replies.
#[must_use]
pub fn read_replies(stream: &[u8], step: usize) -> Option<usize> {
    super::redis::read_replies(stream, step)
}

/// Puts a hash under a session's key, whatever it holds. One `HSET`.
#[derive(Clone, Debug)]
pub struct PlantSession(pub SessionAt, pub Fields);

impl Sealed for PlantSession {}

impl Operation for PlantSession {
    type Output = ();

    fn command(&self, prefix: &KeyPrefix) -> Command {
        let command = Command::write("HSET", self.0.key(prefix));
        self.1.iter().fold(command, |command, (name, value)| command.arg(name.as_str()).arg(value.clone()))
    }

    fn apply(&self, prefix: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        db.put(&self.0.key(prefix), Value::Hash(self.1.clone()), u64::MAX)?;
        Ok(Reply::Int(0))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<(), StoreError> {
        reply.int().map(drop)
    }
}
