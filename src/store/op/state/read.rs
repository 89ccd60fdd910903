//! Reading values.

use bytes::Bytes;

use crate::store::error::StoreError;
use crate::store::key::{Key, KeyPrefix};
use crate::store::memory::{Db, Value};
use crate::store::operation::{Operation, sealed::Sealed};
use crate::store::wire::{Command, Reply, desync};

fn value(reply: Reply<'_>) -> Result<Option<Bytes>, StoreError> {
    match reply {
        Reply::Nil => Ok(None),
        reply => Ok(Some(reply.bytes()?.into_bytes())),
    }
}

/// What lies under a key: one `GET`. A value of another type is an error.
#[derive(Clone, Debug)]
pub struct GetValue(pub Key);

impl Sealed for GetValue {}

impl Operation for GetValue {
    type Output = Option<Bytes>;

    fn command(&self, _: &KeyPrefix) -> Command {
        Command::read("GET", self.0.clone())
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        Ok(db.text(&self.0)?.map_or(Reply::Nil, |text| text.clone().into()))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<Self::Output, StoreError> {
        value(reply)
    }
}

/// What lies under several keys: one `MGET`. `None` where there is nothing, or a value of another type.
#[derive(Clone, Debug)]
pub struct GetValues {
    first: Key,
    more: Vec<Key>,
}

impl GetValues {
    /// `None` when there are no keys.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Option<Self> {
        let mut keys = keys.into_iter();
        Some(Self { first: keys.next()?, more: keys.collect() })
    }
}

impl Sealed for GetValues {}

impl Operation for GetValues {
    type Output = Vec<Option<Bytes>>;

    fn command(&self, _: &KeyPrefix) -> Command {
        Command::read("MGET", self.first.clone()).with_keys(self.more.iter().cloned())
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let text = |key| match db.value(key) {
            Some(Value::Text(text)) => text.clone().into(),
            _ => Reply::Nil,
        };
        Ok(Reply::Array(std::iter::once(&self.first).chain(&self.more).map(text).collect()))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<Self::Output, StoreError> {
        let items = reply.array()?;
        if items.len() != 1 + self.more.len() {
            return Err(desync());
        }
        items.into_iter().map(value).collect()
    }
}

/// For how long what lies under a key lives on: one `PTTL`.
#[derive(Clone, Debug)]
pub struct Remaining(pub Key);

/// The answer to [`Remaining`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remains {
    /// There is nothing.
    Nothing,
    /// So many milliseconds.
    Millis(u64),
    /// Until it is removed.
    Forever,
}

impl Sealed for Remaining {}

impl Operation for Remaining {
    type Output = Remains;

    fn command(&self, _: &KeyPrefix) -> Command {
        Command::read("PTTL", self.0.clone())
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        Ok(Reply::Int(db.remaining_ms(&self.0)))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<Remains, StoreError> {
        match reply.int()? {
            -2 => Ok(Remains::Nothing),
            -1 => Ok(Remains::Forever),
            ms => u64::try_from(ms).map(Remains::Millis).map_err(|_| desync()),
        }
    }
}
