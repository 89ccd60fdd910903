//! Leases: a limited number of places, each held for a time unless it is renewed.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::store::error::StoreError;
use crate::store::key::{Key, KeyPrefix};
use crate::store::memory::{Db, Value};
use crate::store::operation::{Operation, sealed::Sealed};
use crate::store::wire::{Command, Reply, ScriptId, desync};

/// Takes, renews or gives back a lease. One script.
#[derive(Clone, Debug)]
pub struct Lease {
    /// What to do.
    pub verb: LeaseVerb,
    /// Where the leases of one subject lie.
    pub key: Key,
    /// Who holds it: a random word, so that nobody gives back what another holds.
    pub token: Arc<str>,
    /// How many may be held at once.
    pub most: u64,
    /// For how long a lease is held unless it is renewed, microseconds.
    pub ttl_us: u64,
}

/// What to do with a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseVerb {
    /// Take one if fewer than the limit are held. Who has it already, renews it.
    Take,
    /// Prolong one that is still held.
    Renew,
    /// Give it back.
    Release,
}

/// The answer to a [`Lease`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseAnswer {
    /// The verdict.
    pub outcome: LeaseOutcome,
    /// How many are held now.
    pub held: u64,
    /// When the first of them ends unless it is renewed, microseconds from now; 0: none is held.
    pub next_us: u64,
}

/// The verdict on a [`Lease`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaseOutcome {
    /// It was taken, renewed or given back.
    Done,
    /// All are taken; or, when renewing or giving back: it is not held any more.
    Refused,
}

impl LeaseVerb {
    const fn word(self) -> &'static str {
        match self {
            Self::Take => "take",
            Self::Renew => "renew",
            Self::Release => "release",
        }
    }
}

impl Sealed for Lease {}

impl Operation for Lease {
    type Output = LeaseAnswer;

    fn command(&self, _: &KeyPrefix) -> Command {
        Command::script(ScriptId::Lease, self.key.clone())
            .word(self.verb.word())
            .arg(&*self.token)
            .int(self.most)
            .int(self.ttl_us)
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let now_us = db.now_us();
        let ends = now_us.saturating_add(self.ttl_us);
        let mut leases: BTreeMap<String, u64> = db.sorted(&self.key)?;
        leases.retain(|_, end| *end > now_us);
        leases.values_mut().for_each(|end| *end = ends.min(*end));
        let mut done = leases.contains_key(&*self.token);
        if self.verb == LeaseVerb::Release {
            leases.remove(&*self.token);
        } else if done || (self.verb == LeaseVerb::Take && (leases.len() as u64) < self.most) {
            done = true;
            leases.insert(self.token.to_string(), ends);
        }
        let (held, first) = (leases.len() as i64, leases.values().min().copied().unwrap_or(0));
        let last = leases.values().max().map_or(0, |end| end.div_ceil(1000));
        db.put(&self.key, Value::Sorted(leases), last)?;
        let int = |us: u64| Reply::Int(i64::try_from(us).unwrap_or(i64::MAX));
        let numbers = [int(now_us), Reply::Int(done.into()), Reply::Int(held), int(first)];
        Ok(Reply::Array(std::iter::once(self.key.as_str().into()).chain(numbers).collect()))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<LeaseAnswer, StoreError> {
        let mut items = reply.echoed(&self.key)?;
        let mut next = || u64::try_from(items.next().ok_or_else(desync)?.int()?).map_err(|_| desync());
        let (now_us, done, held, first_us) = (next()?, next()?, next()?, next()?);
        let outcome = if done == 1 { LeaseOutcome::Done } else { LeaseOutcome::Refused };
        Ok(LeaseAnswer { outcome, held, next_us: first_us.saturating_sub(now_us) })
    }
}
