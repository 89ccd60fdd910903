//! The index of a principal's sessions.

use std::collections::BTreeMap;

use super::PrincipalAt;
use crate::store::error::StoreError;
use crate::store::key::{Key, KeyPrefix};
use crate::store::memory::{Db, Value};
use crate::store::operation::{Operation, sealed::Sealed};
use crate::store::wire::{Command, Reply, ScriptId, desync};

/// The member that remembers the last revocation. A handle never begins with `@`.
const REVOKED: &str = "@revoked";
/// How long a revocation is remembered: the longest time between a call of `login` and its commit, 1 hour.
const RETENTION_MS: u64 = 3_600_000;

/// Enters a session into its principal's index, or moves its expiry there. One script.
#[derive(Clone, Debug)]
pub struct AddMember {
    /// Whose index.
    pub at: PrincipalAt,
    /// The session's handle.
    pub handle: std::sync::Arc<str>,
    /// How long the session lives unless it is used, ms.
    pub ttl_ms: u64,
    /// `Some`: a login, with the microseconds since it was asked for. `None`: only if it is a member.
    pub login_age_us: Option<u64>,
    /// The largest number of parallel sessions.
    pub most: usize,
}

/// The answer to [`AddMember`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The verdict.
    pub outcome: AddOutcome,
    /// The server's time, microseconds since the Unix epoch.
    pub now_us: u64,
    /// Until when the session stands in the index, by the same clock.
    pub ends_us: u64,
    /// When all sessions of the principal were last revoked, by the same clock; 0 when no revocation is remembered.
    pub revoked_us: u64,
    /// Handles of sessions that are to give way to this one: remove the sessions, then the members.
    pub give_way: Vec<String>,
}

/// The verdict on an [`AddMember`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddOutcome {
    /// It is in the index.
    Done,
    /// All sessions were revoked after this login was asked for.
    Revoked,
    /// Not a member, so nothing was moved.
    Absent,
}

impl Sealed for AddMember {}

impl Operation for AddMember {
    type Output = Added;

    fn command(&self, prefix: &KeyPrefix) -> Command {
        Command::script(ScriptId::PrincipalAdd, self.at.key(prefix))
            .word(if self.login_age_us.is_some() { "login" } else { "refresh" })
            .arg(&*self.handle)
            .int(self.ttl_ms)
            .int(self.login_age_us.unwrap_or(0))
            .int(self.most as u64)
            .int(RETENTION_MS)
    }

    fn apply(&self, prefix: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let key = self.at.key(prefix);
        let mut members = trimmed(db, &key)?;
        let (status, give_way) = self.admit(&members, db.now_us());
        let revoked_us = members.get(REVOKED).map_or(0, |mark| mark.saturating_sub(RETENTION_MS * 1000));
        if status == "ok" {
            members.insert(self.handle.to_string(), self.ends_us(db.now_us()));
            write(db, &key, members)?;
        }
        let mut items = vec![key.as_str().into(), status.into(), time(db.now_us()), time(revoked_us)];
        items.extend(give_way.iter().map(|handle| Reply::from(handle.as_str())));
        Ok(Reply::Array(items))
    }

    fn output(&self, prefix: &KeyPrefix, reply: Reply<'_>) -> Result<Added, StoreError> {
        let mut items = reply.echoed(&self.at.key(prefix))?;
        let outcome = match items.next().ok_or_else(desync)?.text()?.as_str() {
            "ok" => AddOutcome::Done,
            "revoked" => AddOutcome::Revoked,
            "absent" => AddOutcome::Absent,
            _ => return Err(desync()),
        };
        let mut time = || u64::try_from(items.next().ok_or_else(desync)?.int()?).map_err(|_| desync());
        let (now_us, revoked_us) = (time()?, time()?);
        let give_way = items.map(Reply::text).collect::<Result<_, _>>()?;
        Ok(Added { outcome, now_us, ends_us: self.ends_us(now_us), revoked_us, give_way })
    }
}

impl AddMember {
    const fn ends_us(&self, now_us: u64) -> u64 {
        now_us.saturating_add(self.ttl_ms.saturating_mul(1000))
    }

    fn admit(&self, members: &BTreeMap<String, u64>, now_us: u64) -> (&'static str, Vec<String>) {
        let is_member = members.contains_key(&*self.handle);
        let Some(age_us) = self.login_age_us else {
            return (if is_member { "ok" } else { "absent" }, Vec::new());
        };
        let revoked_us = members.get(REVOKED).map(|mark| mark.saturating_sub(RETENTION_MS * 1000));
        if revoked_us.is_some_and(|revoked_us| now_us.saturating_sub(age_us) < revoked_us) {
            return ("revoked", Vec::new());
        }
        let mut others: Vec<_> = members
            .iter()
            .filter(|(name, _)| *name != REVOKED && **name != *self.handle)
            .map(|(name, ends)| (*ends, name.clone()))
            .collect();
        others.sort();
        let surplus = (others.len() + 1).saturating_sub(self.most);
        ("ok", others.into_iter().take(surplus).map(|(_, name)| name).collect())
    }
}

/// Marks a revocation of all sessions and lists them. One script. The members stay until [`RemoveMember`].
#[derive(Clone, Debug)]
pub struct MarkRevoked(pub PrincipalAt);

/// The answer to [`MarkRevoked`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    /// When the revocation was marked, microseconds since the Unix epoch by the server's clock.
    pub at_us: u64,
    /// The handles to be removed.
    pub handles: Vec<String>,
    /// False where replicas were to confirm the mark and too few did in time.
    pub is_replicated: bool,
}

impl Sealed for MarkRevoked {}

impl Operation for MarkRevoked {
    type Output = Marked;

    fn command(&self, prefix: &KeyPrefix) -> Command {
        Command::script(ScriptId::PrincipalMark, self.0.key(prefix)).int(RETENTION_MS)
    }

    fn apply(&self, prefix: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let key = self.0.key(prefix);
        let mut members = trimmed(db, &key)?;
        let mut items = vec![key.as_str().into(), time(db.now_us())];
        items.extend(members.keys().filter(|name| *name != REVOKED).map(|name| name.as_str().into()));
        members.insert(REVOKED.to_owned(), db.now_us().saturating_add(RETENTION_MS * 1000));
        write(db, &key, members)?;
        Ok(Reply::Array(items))
    }

    fn lasts(&self) -> bool {
        true
    }

    /// Who revokes must know all the same what to remove.
    fn unreplicated(&self, marked: Marked) -> Result<Marked, StoreError> {
        Ok(Marked { is_replicated: false, ..marked })
    }

    fn output(&self, prefix: &KeyPrefix, reply: Reply<'_>) -> Result<Marked, StoreError> {
        let mut items = reply.echoed(&self.0.key(prefix))?;
        let at_us = u64::try_from(items.next().ok_or_else(desync)?.int()?).map_err(|_| desync())?;
        let handles = items.map(Reply::text).collect::<Result<_, _>>()?;
        Ok(Marked { at_us, handles, is_replicated: true })
    }
}

/// Lists the handles in an index, also of sessions that have ended since: one `ZRANGE`.
#[derive(Clone, Debug)]
pub struct ListMembers(pub PrincipalAt);

impl Sealed for ListMembers {}

impl Operation for ListMembers {
    type Output = Vec<String>;

    fn command(&self, prefix: &KeyPrefix) -> Command {
        Command::read("ZRANGE", self.0.key(prefix)).word("0").word("-1")
    }

    fn apply(&self, prefix: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let mut members: Vec<_> =
            db.sorted(&self.0.key(prefix))?.into_iter().map(|(name, ends)| (ends, name)).collect();
        members.sort();
        Ok(Reply::Array(members.iter().map(|(_, name)| name.as_str().into()).collect()))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<Vec<String>, StoreError> {
        let mut handles = reply.array()?.into_iter().map(Reply::text).collect::<Result<Vec<_>, _>>()?;
        handles.retain(|handle| handle != REVOKED);
        Ok(handles)
    }
}

/// Takes a handle out of an index unless it was entered anew since `ends_us`, the expiry with which it was entered. One script. The
/// answer tells whether it went.
#[derive(Clone, Debug)]
pub struct LeaveIndex {
    /// Whose index.
    pub at: PrincipalAt,
    /// The session's handle.
    pub handle: std::sync::Arc<str>,
    /// As [`Added::ends_us`] gave it.
    pub ends_us: u64,
}

impl Sealed for LeaveIndex {}

impl Operation for LeaveIndex {
    type Output = bool;

    fn command(&self, prefix: &KeyPrefix) -> Command {
        Command::script(ScriptId::PrincipalLeave, self.at.key(prefix)).arg(&*self.handle).int(self.ends_us)
    }

    fn apply(&self, prefix: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let key = self.at.key(prefix);
        let mut members = db.sorted(&key)?;
        let goes = members.get(&*self.handle) == Some(&self.ends_us);
        if goes {
            members.remove(&*self.handle);
            write(db, &key, members)?;
        }
        Ok(Reply::Array(vec![key.as_str().into(), Reply::Int(goes.into())]))
    }

    fn output(&self, prefix: &KeyPrefix, reply: Reply<'_>) -> Result<bool, StoreError> {
        let mut items = reply.echoed(&self.at.key(prefix))?;
        Ok(items.next().ok_or_else(desync)?.int()? > 0)
    }
}

/// Whether a handle stands in an index: one `ZSCORE`.
#[derive(Clone, Debug)]
pub struct HasMember(pub PrincipalAt, pub std::sync::Arc<str>);

impl Sealed for HasMember {}

impl Operation for HasMember {
    type Output = bool;

    fn command(&self, prefix: &KeyPrefix) -> Command {
        Command::read("ZSCORE", self.0.key(prefix)).arg(&*self.1)
    }

    fn apply(&self, prefix: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let members = db.sorted(&self.0.key(prefix))?;
        Ok(members.get(&*self.1).map_or(Reply::Nil, |ends| ends.to_string().as_str().into()))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<bool, StoreError> {
        match reply {
            Reply::Nil => Ok(false),
            Reply::Bytes(_) => Ok(true),
            _ => Err(desync()),
        }
    }
}

/// Takes handles out of an index: one `ZREM`. The answer is how many were there.
#[derive(Clone, Debug)]
pub struct RemoveMember(pub PrincipalAt, pub Vec<String>);

impl Sealed for RemoveMember {}

impl Operation for RemoveMember {
    type Output = u64;

    fn command(&self, prefix: &KeyPrefix) -> Command {
        let command = Command::write("ZREM", self.0.key(prefix));
        // ZREM wants a member, and no handle is empty.
        let command = if self.1.is_empty() { command.word("") } else { command };
        self.1.iter().fold(command, |command, handle| command.arg(handle.as_str()))
    }

    fn apply(&self, prefix: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let key = self.0.key(prefix);
        let mut members = db.sorted(&key)?;
        let removed = self.1.iter().filter(|handle| members.remove(*handle).is_some()).count();
        write(db, &key, members)?;
        Ok(Reply::Int(removed as i64))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<u64, StoreError> {
        u64::try_from(reply.int()?).map_err(|_| desync())
    }
}

fn trimmed(db: &Db, key: &Key) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut members = db.sorted(key)?;
    members.retain(|_, ends| *ends > db.now_us());
    Ok(members)
}

fn write(db: &mut Db, key: &Key, members: BTreeMap<String, u64>) -> Result<(), StoreError> {
    let expires_ms = members.values().max().map_or(0, |ends| ends.div_ceil(1000));
    db.put(key, Value::Sorted(members), expires_ms)
}

fn time(us: u64) -> Reply<'static> {
    Reply::Int(i64::try_from(us).unwrap_or(i64::MAX))
}
