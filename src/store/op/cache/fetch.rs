//! Plain reads and writes of values.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::store::error::StoreError;
use crate::store::key::{Key, KeyPrefix};
use crate::store::memory::Db;
use crate::store::operation::{Operation, sealed::Sealed};
use crate::store::wire::{Command, Reply, desync};

/// A value that is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Where.
    pub key: Key,
    /// What was there before. If it still is, the answer shares these bytes.
    pub seen: Option<Bytes>,
}

impl From<Key> for Wanted {
    fn from(key: Key) -> Self {
        Self { key, seen: None }
    }
}

/// What lies under several keys, in order. `None` where there is nothing, or a value of another type.
pub type Values = SmallVec<[Option<Bytes>; 4]>;

/// Asks for the values of several keys: one `MGET`.
#[derive(Clone, Copy, Debug)]
pub struct Fetch<'a> {
    first: &'a Wanted,
    more: &'a [Wanted],
}

impl<'a> Fetch<'a> {
    /// `None` when nothing is wanted.
    #[must_use]
    pub fn new(wanted: &'a [Wanted]) -> Option<Self> {
        let (first, more) = wanted.split_first()?;
        Some(Self { first, more })
    }

    fn wanted(&self) -> impl Iterator<Item = &'a Wanted> {
        std::iter::once(self.first).chain(self.more)
    }

    /// The same on the embedded store.
    pub fn values(&self, db: &mut Db) -> Values {
        self.wanted().map(|wanted| db.blob(&wanted.key).cloned()).collect()
    }
}

impl Sealed for Fetch<'_> {}

impl Operation for Fetch<'_> {
    type Output = Values;

    fn command(&self, _: &KeyPrefix) -> Command {
        let more = self.more.iter().map(|wanted| wanted.key.clone());
        Command::read("MGET", self.first.key.clone()).with_keys(more)
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let reply = |value: Option<Bytes>| value.map_or(Reply::Nil, Into::into);
        Ok(Reply::Array(self.values(db).into_iter().map(reply).collect()))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<Self::Output, StoreError> {
        let items = reply.array()?;
        if items.len() != 1 + self.more.len() {
            return Err(desync());
        }
        let value = |(item, wanted): (Reply<'_>, &Wanted)| match item {
            Reply::Nil => Ok(None),
            item => Ok(Some(item.bytes()?.into_bytes_like(wanted.seen.as_ref()))),
        };
        items.into_iter().zip(self.wanted()).map(value).collect()
    }
}

/// Puts a value under a key for a time: one `SET` with `PX`.
#[derive(Clone, Debug)]
pub struct PutBlob {
    /// Where.
    pub key: Key,
    /// What.
    pub value: Bytes,
    /// For how long, in milliseconds; at least 1.
    pub ttl_ms: u64,
}

impl Sealed for PutBlob {}

impl Operation for PutBlob {
    type Output = ();

    fn command(&self, _: &KeyPrefix) -> Command {
        Command::write("SET", self.key.clone()).shared(self.value.clone()).word("PX").int(self.ttl_ms.max(1))
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let expires_ms = db.now_ms().saturating_add(self.ttl_ms.max(1));
        db.put_blob(&self.key, self.value.clone(), expires_ms)?;
        Ok("OK".into())
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<(), StoreError> {
        if *reply.bytes()? == *b"OK" { Ok(()) } else { Err(desync()) }
    }
}

/// Gives a value a new time to live: one `PEXPIRE`. The answer tells whether it was there.
#[derive(Clone, Debug)]
pub struct Prolong {
    /// Where.
    pub key: Key,
    /// For how long from now, in milliseconds; at least 1.
    pub ttl_ms: u64,
}

impl Sealed for Prolong {}

impl Operation for Prolong {
    type Output = bool;

    fn command(&self, _: &KeyPrefix) -> Command {
        Command::write("PEXPIRE", self.key.clone()).int(self.ttl_ms.max(1))
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let Some(value) = db.blob(&self.key).cloned() else { return Ok(Reply::Int(0)) };
        let expires_ms = db.now_ms().saturating_add(self.ttl_ms.max(1));
        db.put_blob(&self.key, value, expires_ms)?;
        Ok(Reply::Int(1))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<bool, StoreError> {
        Ok(reply.int()? == 1)
    }
}
