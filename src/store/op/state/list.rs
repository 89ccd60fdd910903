//! Bounded lists.

use bytes::Bytes;

use super::{Lifetime, all_bytes, number, put_back};
use crate::store::error::StoreError;
use crate::store::key::{Key, KeyPrefix};
use crate::store::memory::{Db, Value};
use crate::store::operation::{Operation, sealed::Sealed};
use crate::store::wire::{Command, Reply, ScriptId, desync};

/// Appends an item to a list. One script. The answer is the number of items; `None` when there is no list whose lifetime could be
/// kept.
#[derive(Clone)]
pub struct PushItem {
    /// Where.
    pub key: Key,
    /// What.
    pub item: Bytes,
    /// How many items there may be; the oldest make room.
    pub most: u64,
    /// How long the list lives from now on.
    pub lifetime: Lifetime,
}

impl std::fmt::Debug for PushItem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PushItem").field("most", &self.most).finish_non_exhaustive()
    }
}

impl Sealed for PushItem {}

impl Operation for PushItem {
    type Output = Option<u64>;

    fn command(&self, _: &KeyPrefix) -> Command {
        Command::script(ScriptId::StateList, self.key.clone())
            .shared(self.item.clone())
            .int(self.most)
            .arg(self.lifetime.word())
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let mut list = db.list(&self.key)?;
        let mut length = 0;
        if let Some(ends_ms) = db.ends_ms(&self.key, self.lifetime) {
            list.push_back(self.item.clone());
            while list.len() as u64 > self.most {
                list.pop_front();
            }
            length = list.len();
            db.put(&self.key, Value::List(list), ends_ms)?;
        }
        Ok(Reply::Array(vec![self.key.as_str().into(), number(length)]))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<Option<u64>, StoreError> {
        let length = reply.echoed(&self.key)?.next().ok_or_else(desync)?.int()?;
        Ok(u64::try_from(length).ok().filter(|length| *length > 0))
    }
}

/// Takes the oldest item out of a list: one `LPOP`.
#[derive(Clone, Debug)]
pub struct PopItem(pub Key);

impl Sealed for PopItem {}

impl Operation for PopItem {
    type Output = Option<Bytes>;

    fn command(&self, _: &KeyPrefix) -> Command {
        Command::write("LPOP", self.0.clone())
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let mut list = db.list(&self.0)?;
        let Some(item) = list.pop_front() else { return Ok(Reply::Nil) };
        put_back(db, &self.0, Value::List(list))?;
        Ok(item.into())
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<Self::Output, StoreError> {
        match reply {
            Reply::Nil => Ok(None),
            reply => Ok(Some(reply.bytes()?.into_bytes())),
        }
    }
}

/// All items of a list, oldest first: one `LRANGE`.
#[derive(Clone, Debug)]
pub struct AllItems(pub Key);

impl Sealed for AllItems {}

impl Operation for AllItems {
    type Output = Vec<Bytes>;

    fn command(&self, _: &KeyPrefix) -> Command {
        Command::read("LRANGE", self.0.clone()).word("0").word("-1")
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        Ok(Reply::Array(db.list(&self.0)?.into_iter().map(Reply::from).collect()))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<Self::Output, StoreError> {
        all_bytes(reply)
    }
}
