//! Bounded sets.

use bytes::Bytes;

use super::{Lifetime, all_bytes, number, put_back};
use crate::store::error::StoreError;
use crate::store::key::{Key, KeyPrefix};
use crate::store::memory::{Db, Value};
use crate::store::operation::{Operation, sealed::Sealed};
use crate::store::wire::{Command, Reply, ScriptId, desync};

/// Adds a member to a set. One script.
#[derive(Clone)]
pub struct AddMember {
    /// Where.
    pub key: Key,
    /// Whom.
    pub member: Bytes,
    /// How many members there may be.
    pub most: u64,
    /// How long the set lives from now on.
    pub lifetime: Lifetime,
}

/// The answer to [`AddMember`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Added {
    /// It is a member now.
    New,
    /// It was one before.
    Already,
    /// There are as many as there may be.
    Full,
    /// There is no set whose lifetime could be kept.
    Missing,
}

impl Added {
    const ALL: [(Self, &'static str); 4] =
        [(Self::New, "new"), (Self::Already, "already"), (Self::Full, "full"), (Self::Missing, "missing")];
}

impl std::fmt::Debug for AddMember {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AddMember").field("most", &self.most).finish_non_exhaustive()
    }
}

impl Sealed for AddMember {}

impl Operation for AddMember {
    type Output = Added;

    fn command(&self, _: &KeyPrefix) -> Command {
        Command::script(ScriptId::StateMembers, self.key.clone())
            .shared(self.member.clone())
            .int(self.most)
            .arg(self.lifetime.word())
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let mut members = db.members(&self.key)?;
        let word = match db.ends_ms(&self.key, self.lifetime) {
            _ if members.len() as u64 >= self.most && !members.contains(&self.member) => "full",
            None => "missing",
            Some(ends_ms) => {
                let new = members.insert(self.member.clone());
                db.put(&self.key, Value::Members(members), ends_ms)?;
                if new { "new" } else { "already" }
            }
        };
        Ok(Reply::Array(vec![self.key.as_str().into(), word.into()]))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<Added, StoreError> {
        let word = reply.echoed(&self.key)?.next().ok_or_else(desync)?.text()?;
        Added::ALL.into_iter().find(|(_, each)| *each == word).map(|(added, _)| added).ok_or_else(desync)
    }
}

/// What [`AboutMember`] asks or does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberVerb {
    /// Whether it is a member: one `SISMEMBER`.
    Has,
    /// Take it out: one `SREM`. The answer tells whether it was a member.
    Remove,
}

/// Asks about a member of a set, or takes it out. One command.
#[derive(Clone)]
pub struct AboutMember {
    /// What to do.
    pub verb: MemberVerb,
    /// Where.
    pub key: Key,
    /// Whom.
    pub member: Bytes,
}

impl std::fmt::Debug for AboutMember {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AboutMember").field("verb", &self.verb).finish_non_exhaustive()
    }
}

impl Sealed for AboutMember {}

impl Operation for AboutMember {
    type Output = bool;

    fn command(&self, _: &KeyPrefix) -> Command {
        let command = match self.verb {
            MemberVerb::Has => Command::read("SISMEMBER", self.key.clone()),
            MemberVerb::Remove => Command::write("SREM", self.key.clone()),
        };
        command.shared(self.member.clone())
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let mut members = db.members(&self.key)?;
        let is_member = match self.verb {
            MemberVerb::Has => members.contains(&self.member),
            MemberVerb::Remove => members.remove(&self.member),
        };
        if is_member && self.verb == MemberVerb::Remove {
            put_back(db, &self.key, Value::Members(members))?;
        }
        Ok(Reply::Int(is_member.into()))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<bool, StoreError> {
        Ok(reply.int()? == 1)
    }
}

/// All members of a set, in no order: one `SMEMBERS`.
#[derive(Clone, Debug)]
pub struct AllMembers(pub Key);

impl Sealed for AllMembers {}

impl Operation for AllMembers {
    type Output = Vec<Bytes>;

    fn command(&self, _: &KeyPrefix) -> Command {
        Command::read("SMEMBERS", self.0.clone())
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        Ok(Reply::Array(db.members(&self.0)?.into_iter().map(Reply::from).collect()))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<Self::Output, StoreError> {
        all_bytes(reply)
    }
}

/// How many members a set has: one `SCARD`.
#[derive(Clone, Debug)]
pub struct CountMembers(pub Key);

impl Sealed for CountMembers {}

impl Operation for CountMembers {
    type Output = u64;

    fn command(&self, _: &KeyPrefix) -> Command {
        Command::read("SCARD", self.0.clone())
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        Ok(number(db.members(&self.0)?.len()))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<u64, StoreError> {
        u64::try_from(reply.int()?).map_err(|_| desync())
    }
}
