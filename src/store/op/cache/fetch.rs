//! Plain reads and writes of values.

use bytes::Bytes;

use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::key::{Key, KeyPrefix};
use crate::store::memory::Db;
use crate::store::operation::{Operation, sealed::Sealed};
use crate::store::wire::{Command, Reply, desync};

/// What lies under several keys: one `MGET`. `None` where there is nothing, or a value of another type.
#[derive(Clone, Debug)]
pub struct Fetch {
    first: Key,
    more: Vec<Key>,
}

impl Fetch {
    /// `None` when there are no keys.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Option<Self> {
        let mut keys = keys.into_iter();
        Some(Self { first: keys.next()?, more: keys.collect() })
    }

    /// The keys, in order.
    pub fn into_keys(self) -> impl Iterator<Item = Key> {
        std::iter::once(self.first).chain(self.more)
    }
}

impl Sealed for Fetch {}

impl Operation for Fetch {
    type Output = Vec<Option<Bytes>>;

    fn command(&self, _: &KeyPrefix) -> Command {
        Command::read("MGET", self.first.clone()).with_keys(self.more.iter().cloned())
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let keys = std::iter::once(&self.first).chain(&self.more);
        Ok(Reply::Array(
            keys.map(|key| db.blob(key).map_or(Reply::Nil, |value| value.clone().into())).collect(),
        ))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<Self::Output, StoreError> {
        let items = reply.array()?;
        if items.len() != 1 + self.more.len() {
            return Err(desync());
        }
        let value = |item| match item {
            Reply::Nil => Ok(None),
            item => Ok(Some(item.bytes()?.into_bytes())),
        };
        items.into_iter().map(value).collect()
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

/// Tells other processes that something happened to a URL: one `PUBLISH`. On the embedded store there are none.
#[derive(Clone, Debug)]
pub struct Wake {
    /// The channel.
    pub channel: Key,
    /// Which URL.
    pub message: Bytes,
}

impl Sealed for Wake {}

impl Operation for Wake {
    type Output = ();

    fn command(&self, _: &KeyPrefix) -> Command {
        Command::write("PUBLISH", self.channel.clone()).shared(self.message.clone())
    }

    fn apply(&self, _: &KeyPrefix, _: &mut Db) -> Result<Reply<'static>, StoreError> {
        Ok(Reply::Int(0))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<(), StoreError> {
        if reply.int()? < 0 { Err(StoreErrorKind::Desync.into()) } else { Ok(()) }
    }
}
