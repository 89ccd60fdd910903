//! Locks with fencing numbers.

use std::fmt;
use std::sync::Arc;

use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::key::{Key, KeyPrefix};
use crate::store::memory::{Db, Value};
use crate::store::operation::{Operation, sealed::Sealed};
use crate::store::wire::{Command, Reply, ScriptId, desync};

/// For how long the last fencing number of a lock is remembered, in milliseconds: one day. Longer ago it can only be undercut by a
/// clock that stepped back by more than that.
const MEMORY_MS: u64 = 86_400_000;

/// Takes, extends, gives back or breaks a lock. One script.
#[derive(Clone)]
pub struct AskLock {
    /// What to do.
    pub verb: LockVerb,
    /// Where the lock lies.
    pub key: Key,
    /// Who asks: a random word.
    pub token: Arc<str>,
    /// For how long it is held from now on unless it is extended, in milliseconds.
    pub ttl_ms: u64,
    /// By the server's time in milliseconds: later it is not taken, since nobody waits for the answer any more.
    pub not_after_ms: Option<u64>,
}

/// What to do with a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockVerb {
    /// Take it if nobody holds it, the one who asks included.
    Take,
    /// Hold it for the whole time again.
    Extend,
    /// Give it back.
    Release,
    /// Take it away from whoever holds it.
    Break,
}

/// The answer to [`AskLock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockAnswer {
    /// The verdict.
    pub outcome: LockOutcome,
    /// The fencing number of who holds it, or held it until now; 0: nobody.
    pub fence: u64,
    /// For how long it is still held unless it is extended, in milliseconds; 0: it is free.
    pub held_ms: u64,
}

/// The verdict on [`AskLock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockOutcome {
    /// It was taken, extended, given back or broken.
    Done,
    /// Somebody else holds it; or, when it is not to be taken: who asks does not.
    Refused,
}

impl LockVerb {
    const fn word(self) -> &'static str {
        match self {
            Self::Take => "take",
            Self::Extend => "extend",
            Self::Release => "release",
            Self::Break => "break",
        }
    }
}

impl fmt::Debug for AskLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AskLock").field("verb", &self.verb).finish_non_exhaustive()
    }
}

/// What is written down of who holds a lock.
fn holder(text: &[u8]) -> Option<(&str, u64)> {
    let (token, fence) = std::str::from_utf8(text).ok()?.split_once(' ')?;
    Some((token, fence.parse().ok()?))
}

impl AskLock {
    /// The number after the last one, and never below the clock in microseconds: also the first after a loss is larger.
    fn next_fence(&self, db: &Db) -> u64 {
        let last = match db.value(&self.key.lock_fence()) {
            Some(Value::Text(text)) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
            _ => None,
        };
        db.now_us().max(last.map_or(0, |last: u64| last.saturating_add(1)))
    }

    fn take(&self, db: &mut Db) -> Result<u64, StoreError> {
        let fence = self.next_fence(db);
        let now_ms = db.now_ms();
        let last = Value::Text(fence.to_string().into());
        db.put(&self.key.lock_fence(), last, now_ms.saturating_add(MEMORY_MS))?;
        let held = Value::Text(format!("{} {fence}", self.token).into());
        db.put(&self.key, held, now_ms.saturating_add(self.ttl_ms))?;
        Ok(fence)
    }
}

impl Sealed for AskLock {}

impl Operation for AskLock {
    type Output = LockAnswer;

    fn command(&self, _: &KeyPrefix) -> Command {
        Command::script(ScriptId::Lock, self.key.clone())
            .with_keys([self.key.lock_fence()])
            .word(self.verb.word())
            .arg(&*self.token)
            .int(self.ttl_ms)
            .int(MEMORY_MS)
            .arg(self.not_after_ms.map(|ms| ms.to_string()).unwrap_or_default())
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let held = db.text(&self.key)?.cloned();
        let (owner, mut fence) = held.as_deref().and_then(holder).unwrap_or(("", 0));
        let mine = *owner == *self.token;
        let mut done = true;
        match self.verb {
            LockVerb::Take if self.not_after_ms.is_some_and(|ms| db.now_ms() > ms) => done = false,
            LockVerb::Take if held.is_none() => fence = self.take(db)?,
            LockVerb::Extend if mine => {
                let held = Value::Text(held.clone().unwrap_or_default());
                db.put(&self.key, held, db.now_ms().saturating_add(self.ttl_ms))?;
            }
            LockVerb::Release if mine => _ = db.remove(&self.key),
            LockVerb::Break if held.is_some() => _ = db.remove(&self.key),
            _ => done = false,
        }
        let held_ms = Reply::Int(db.remaining_ms(&self.key).max(0));
        let fence = Reply::Int(i64::try_from(fence).unwrap_or(i64::MAX));
        Ok(Reply::Array(vec![self.key.as_str().into(), Reply::Int(done.into()), fence, held_ms]))
    }

    fn lasts(&self) -> bool {
        matches!(self.verb, LockVerb::Take | LockVerb::Break)
    }

    /// One that somebody else holds was not written.
    fn unreplicated(&self, answer: LockAnswer) -> Result<LockAnswer, StoreError> {
        match (self.verb, answer.outcome) {
            (LockVerb::Take, LockOutcome::Refused) => Ok(answer),
            _ => Err(StoreErrorKind::Unreplicated.into()),
        }
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<LockAnswer, StoreError> {
        let mut items = reply.echoed(&self.key)?;
        let mut next = || u64::try_from(items.next().ok_or_else(desync)?.int()?).map_err(|_| desync());
        let (done, fence, held_ms) = (next()?, next()?, next()?);
        let outcome = if done == 1 { LockOutcome::Done } else { LockOutcome::Refused };
        Ok(LockAnswer { outcome, fence, held_ms })
    }
}
