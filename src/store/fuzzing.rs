//! For the fuzz targets: bytes where only a server, or another program on the same server, could put them.

use super::error::StoreError;
use super::key::KeyPrefix;
use super::memory::{Db, Value};
use super::op::{DecideLimits, Decided, Fields, LoadSession, Loaded, SessionAt};
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

/// Reads a text as what a node of a Cluster says about the others, and as a redirection: how many masters there are, and the first and
/// last slots that they have.
#[must_use]
pub fn read_cluster_nodes(text: &str) -> Option<(usize, Vec<u16>)> {
    super::redis::read_cluster_nodes(text)
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

/// Reads a time and states as the answer to a decision of limits.
///
/// # Errors
///
/// As [`DecideLimits`] itself.
pub fn read_limits(decide: &DecideLimits, now_us: i64, states: &[&str]) -> Result<Decided, StoreError> {
    let key = decide.limits().next().map_or("", |limit| limit.key.as_str());
    let items = [Reply::from(key), Reply::Int(now_us)];
    let states = states.iter().map(|state| Reply::from(*state));
    decide.output(&KeyPrefix::default(), Reply::Array(items.into_iter().chain(states).collect()))
}

/// The rate limit script, so that a test can turn its clock.
#[must_use]
pub const fn rate_limit_script() -> &'static str {
    super::redis::source(super::wire::ScriptId::RateLimit)
}

/// The keys and arguments with which an operation calls its script or command.
pub fn words(operation: &impl Operation) -> (Vec<String>, Vec<Vec<u8>>) {
    let command = operation.command(&KeyPrefix::default());
    let keys = command.keys().map(|key| key.as_str().to_owned()).collect();
    (keys, command.args.iter().map(|arg| arg.to_vec()).collect())
}
