//! Writing values: one, or several all or none.

use bytes::Bytes;

use super::{HEAD, Lifetime};
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::key::{Key, KeyPrefix};
use crate::store::memory::{Db, Value};
use crate::store::operation::{Operation, sealed::Sealed};
use crate::store::wire::{Command, Reply, ScriptId, desync};

/// Puts a value under a key, whatever value is there: one `SET`. The answer tells whether it was written.
///
/// `GET` has Redis refuse to write over another type. [`Lifetime::Keep`] writes only over a value that is there.
#[derive(Clone)]
pub struct SetValue {
    /// Where.
    pub key: Key,
    /// What; it begins with its revision.
    pub value: Bytes,
    /// For how long.
    pub lifetime: Lifetime,
}

impl std::fmt::Debug for SetValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SetValue").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

impl Sealed for SetValue {}

impl Operation for SetValue {
    type Output = bool;

    fn command(&self, _: &KeyPrefix) -> Command {
        let command = Command::write("SET", self.key.clone()).shared(self.value.clone());
        match self.lifetime {
            Lifetime::Millis(ms) => command.word("PX").int(ms).word("GET"),
            Lifetime::Keep => command.word("XX").word("KEEPTTL").word("GET"),
            Lifetime::Never => command.word("GET"),
        }
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let before = db.text(&self.key)?.map_or(Reply::Nil, |before| before.clone().into());
        if let Some(ends_ms) = db.ends_ms(&self.key, self.lifetime) {
            db.put(&self.key, Value::Text(self.value.clone()), ends_ms)?;
        }
        Ok(before)
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<bool, StoreError> {
        match reply {
            Reply::Nil => Ok(self.lifetime != Lifetime::Keep),
            reply => reply.bytes().map(|_| true),
        }
    }
}

/// Removes what lies under a key, of whatever type: one `DEL`. The answer tells whether there was something.
#[derive(Clone, Debug)]
pub struct RemoveValue(pub Key);

impl Sealed for RemoveValue {}

impl Operation for RemoveValue {
    type Output = bool;

    fn command(&self, _: &KeyPrefix) -> Command {
        Command::write("DEL", self.0.clone())
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        Ok(Reply::Int(db.remove(&self.0).into()))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<bool, StoreError> {
        Ok(reply.int()? > 0)
    }
}

/// When a [`Write`] may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// Always.
    Any,
    /// Only where there is nothing.
    Absent,
    /// Only over the value with this revision.
    Revision([u8; HEAD - 1]),
}

/// What a [`Write`] does.
#[derive(Clone)]
#[non_exhaustive]
pub enum Effect {
    /// Puts a value, which begins with its revision.
    Put(Bytes, Lifetime),
    /// Removes it; that nothing is there is no error.
    Remove,
}

impl std::fmt::Debug for Effect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Remove) { "Remove" } else { "Put(..)" })
    }
}

/// One write of [`WriteValues`].
#[derive(Clone)]
pub struct Write {
    /// Where.
    pub key: Key,
    /// When.
    pub condition: Condition,
    /// What.
    pub effect: Effect,
}

impl std::fmt::Debug for Write {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Write").field("condition", &self.condition).finish_non_exhaustive()
    }
}

/// Carries out writes of one Cluster slot, all or none. One script.
#[derive(Clone, Debug)]
pub struct WriteValues {
    first: Write,
    more: Vec<Write>,
}

/// The answer to [`WriteValues`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteOutcome {
    /// Everything was written.
    Done,
    /// Nothing was written.
    Refused {
        /// Which write was refused, counted from 0.
        index: usize,
        /// Why.
        why: Why,
    },
}

/// Why a write was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// Something is there.
    Exists,
    /// The revision is not the current one, or there is nothing any more.
    Changed,
    /// There is nothing whose lifetime could be kept.
    Missing,
}

impl Why {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Exists, "exists"), (Self::Changed, "changed"), (Self::Missing, "missing")];
}

impl WriteValues {
    /// `None` when there are no writes. Conditions speak of what was there before the first of them.
    #[must_use]
    pub fn new(writes: impl IntoIterator<Item = Write>) -> Option<Self> {
        let mut writes = writes.into_iter();
        Some(Self { first: writes.next()?, more: writes.collect() })
    }

    fn writes(&self) -> impl Iterator<Item = &Write> {
        std::iter::once(&self.first).chain(&self.more)
    }
}

impl From<Write> for WriteValues {
    fn from(first: Write) -> Self {
        Self { first, more: Vec::new() }
    }
}

impl Sealed for WriteValues {}

impl Operation for WriteValues {
    type Output = WriteOutcome;

    fn command(&self, _: &KeyPrefix) -> Command {
        let more = self.more.iter().map(|write| write.key.clone());
        let command = Command::script(ScriptId::StateWrite, self.first.key.clone()).with_keys(more);
        self.writes().fold(command, |command, write| {
            let command = match write.condition {
                Condition::Any => command.word("*"),
                Condition::Absent => command.word("-"),
                Condition::Revision(revision) => command.arg([b"=", &revision[..]].concat()),
            };
            match &write.effect {
                Effect::Put(value, lifetime) => command.arg(lifetime.word()).shared(value.clone()),
                Effect::Remove => command.word("remove").word(""),
            }
        })
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let first = || Reply::from(self.first.key.as_str());
        for (i, write) in self.writes().enumerate() {
            if let Some(why) = refusal(write, db)? {
                let word = Why::ALL.iter().find(|(each, _)| *each == why).map_or("", |(_, word)| *word);
                let number = i64::try_from(i + 1).unwrap_or(i64::MAX);
                return Ok(Reply::Array(vec![first(), Reply::Int(number), word.into()]));
            }
        }
        let before: Vec<_> = self.writes().map(|write| (&write.key, was(db, &write.key))).collect();
        if let Some(full) = self.writes().find_map(|write| put(db, write).err()) {
            before.iter().for_each(|(key, _)| _ = db.remove(key));
            for (key, was) in before {
                if let Some((value, ends_ms)) = was {
                    db.put(key, value, ends_ms)?; // it found room before
                }
            }
            return Err(full);
        }
        Ok(Reply::Array(vec![first(), Reply::Int(0)]))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<WriteOutcome, StoreError> {
        let mut items = reply.echoed(&self.first.key)?;
        let number = items.next().ok_or_else(desync)?.int()?;
        let Some(index) = usize::try_from(number).map_err(|_| desync())?.checked_sub(1) else {
            return Ok(WriteOutcome::Done);
        };
        let word = items.next().ok_or_else(desync)?.text()?;
        let (why, _) = Why::ALL.into_iter().find(|(_, each)| *each == word).ok_or_else(desync)?;
        if index > self.more.len() {
            return Err(StoreErrorKind::Desync.into());
        }
        Ok(WriteOutcome::Refused { index, why })
    }
}

fn refusal(write: &Write, db: &Db) -> Result<Option<Why>, StoreError> {
    if write.condition == Condition::Any && matches!(write.effect, Effect::Remove) {
        return Ok(None);
    }
    let held = db.text(&write.key)?;
    let keeps = matches!(write.effect, Effect::Put(_, Lifetime::Keep));
    Ok(match (write.condition, held) {
        (Condition::Absent, Some(_)) => Some(Why::Exists),
        (Condition::Revision(_), None) => Some(Why::Changed),
        (Condition::Revision(revision), Some(held)) if !begins_with(held, &revision) => Some(Why::Changed),
        (Condition::Any | Condition::Absent, None) if keeps => Some(Why::Missing),
        _ => None,
    })
}

fn begins_with(held: &Bytes, revision: &[u8]) -> bool {
    held.strip_prefix(b"1").is_some_and(|rest| rest.starts_with(revision))
}

fn was(db: &Db, key: &Key) -> Option<(Value, u64)> {
    Some((db.value(key)?.clone(), db.expires_ms(key)?))
}

fn put(db: &mut Db, write: &Write) -> Result<(), StoreError> {
    match &write.effect {
        Effect::Remove => _ = db.remove(&write.key),
        Effect::Put(value, lifetime) => {
            // A key that an earlier write of the same transaction removed has no end to keep: as in Redis it has none.
            let ends_ms = db.ends_ms(&write.key, *lifetime).unwrap_or(u64::MAX);
            db.put(&write.key, Value::Text(value.clone()), ends_ms)?;
        }
    }
    Ok(())
}
