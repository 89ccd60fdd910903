//! The data of the embedded store: keys with typed values that expire.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use bytes::Bytes;

use super::MemoryLimits;
use super::blobs::Blobs;
use crate::store::channels::Channels;
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::fields::Fields;
use crate::store::key::Key;
use crate::store::op::State;

/// A value, in the same types as Redis holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Fields of a session.
    Hash(Fields),
    /// Members with a score, here always a time in microseconds.
    Sorted(BTreeMap<String, u64>),
    /// What a limit has counted.
    Limit(State),
    /// A value, a counter or a lock.
    Text(Bytes),
    /// Members without an order.
    Members(BTreeSet<Bytes>),
    /// Items, oldest first.
    List(VecDeque<Bytes>),
}

impl Value {
    fn bytes(&self) -> usize {
        match self {
            Self::Hash(fields) => fields.iter().map(|(name, value)| name.len() + value.len()).sum(),
            Self::Sorted(members) => members.keys().map(|name| name.len() + size_of::<u64>()).sum(),
            Self::Limit(_) => size_of::<State>(),
            Self::Text(text) => text.len(),
            Self::Members(members) => members.iter().map(Bytes::len).sum(),
            Self::List(items) => items.iter().map(Bytes::len).sum(),
        }
    }
}

#[derive(Debug)]
struct Slot {
    value: Value,
    expires_ms: u64,
    bytes: usize,
}

/// The map behind the embedded store. Every call first drops what has expired.
#[derive(Debug)]
pub struct Db {
    slots: HashMap<Key, Slot>,
    expiries: BTreeSet<(u64, Key)>,
    bytes: usize,
    limits: MemoryLimits,
    now_us: u64,
    blobs: Blobs,
    channels: Channels,
}

impl Db {
    pub(super) fn new(limits: MemoryLimits) -> Self {
        let blobs = Blobs::new(limits.cache_bytes);
        let channels = Channels::default();
        Self {
            slots: HashMap::new(),
            expiries: BTreeSet::new(),
            bytes: 0,
            limits,
            now_us: 0,
            blobs,
            channels,
        }
    }

    /// Moves the time on and drops what has expired; each entry is dropped once, so the cost is the writers'.
    pub(super) fn set_time(&mut self, now_us: u64) {
        self.now_us = now_us;
        let now_ms = self.now_ms();
        while let Some((expires_ms, _)) = self.expiries.first()
            && *expires_ms <= now_ms
            && let Some((_, key)) = self.expiries.pop_first()
            && let Some(slot) = self.slots.remove(&key)
        {
            self.bytes -= slot.bytes;
        }
    }

    pub(super) fn usage(&self) -> (usize, usize) {
        let (entries, bytes) = self.blobs.usage();
        (self.slots.len() + entries, self.bytes + bytes)
    }

    /// Who listens to messages.
    pub(in crate::store) const fn channels(&self) -> &Channels {
        &self.channels
    }

    /// A value of the response cache.
    pub fn blob(&mut self, key: &Key) -> Option<&Bytes> {
        let now_ms = self.now_ms();
        self.blobs.get(key, now_ms)
    }

    /// When a value of the response cache ends, in milliseconds since the Unix epoch.
    pub fn blob_expires_ms(&self, key: &Key) -> Option<u64> {
        self.blobs.expires_ms(key, self.now_ms())
    }

    /// Puts a value of the response cache under a key until `expires_ms`. Others make room for it.
    pub fn put_blob(&mut self, key: &Key, value: Bytes, expires_ms: u64) -> Result<(), StoreError> {
        let now_ms = self.now_ms();
        self.blobs.put(key, value, expires_ms, now_ms)
    }

    /// Removes a value of the response cache; tells whether it was there.
    pub fn remove_blob(&mut self, key: &Key) -> bool {
        self.blobs.remove(key)
    }

    /// The time of this call, in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        self.now_us / 1000
    }

    /// The time of this call, in microseconds since the Unix epoch.
    pub fn now_us(&self) -> u64 {
        self.now_us
    }

    pub fn contains(&self, key: &Key) -> bool {
        self.slots.contains_key(key)
    }

    /// The value under a key, of whatever type.
    pub fn value(&self, key: &Key) -> Option<&Value> {
        self.slots.get(key).map(|slot| &slot.value)
    }

    /// All keys, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.slots.keys()
    }

    /// The hash under a key.
    pub fn hash(&self, key: &Key) -> Result<Option<&Fields>, StoreError> {
        match self.slots.get(key).map(|slot| &slot.value) {
            None => Ok(None),
            Some(Value::Hash(fields)) => Ok(Some(fields)),
            Some(_) => Err(StoreErrorKind::WrongType.into()),
        }
    }

    /// The sorted set under a key, empty when there is none.
    pub fn sorted(&self, key: &Key) -> Result<BTreeMap<String, u64>, StoreError> {
        match self.slots.get(key).map(|slot| &slot.value) {
            None => Ok(BTreeMap::new()),
            Some(Value::Sorted(members)) => Ok(members.clone()),
            Some(_) => Err(StoreErrorKind::WrongType.into()),
        }
    }

    /// What a limit has counted under a key; a value of another type is none, and is overwritten by the next.
    pub fn limit(&self, key: &Key) -> Option<State> {
        match self.slots.get(key).map(|slot| &slot.value) {
            Some(Value::Limit(state)) => Some(*state),
            _ => None,
        }
    }

    /// Puts a value under a key until `expires_ms`. An empty value or a time in the past removes the key.
    pub fn put(&mut self, key: &Key, value: Value, expires_ms: u64) -> Result<(), StoreError> {
        let empty = match &value {
            Value::Hash(fields) => fields.is_empty(),
            Value::Sorted(members) => members.is_empty(),
            Value::Members(members) => members.is_empty(),
            Value::List(items) => items.is_empty(),
            Value::Limit(_) | Value::Text(_) => false,
        };
        if empty || expires_ms <= self.now_ms() {
            self.remove(key);
            return Ok(());
        }
        let bytes = key.as_str().len() + value.bytes();
        let (entries, slot) = (self.slots.len(), self.slots.get_mut(key));
        let entries = entries + usize::from(slot.is_none());
        let total = self.bytes - slot.as_ref().map_or(0, |slot| slot.bytes) + bytes;
        if entries > self.limits.entries || total > self.limits.bytes {
            return Err(StoreErrorKind::Full.into());
        }
        self.bytes = total;
        let old_ms = slot.as_ref().map(|slot| slot.expires_ms);
        if old_ms != Some(expires_ms) {
            let mut expiry = (old_ms.unwrap_or(expires_ms), key.clone());
            if old_ms.is_some() {
                self.expiries.remove(&expiry);
                expiry.0 = expires_ms;
            }
            self.expiries.insert(expiry);
        }
        match slot {
            Some(slot) => *slot = Slot { value, expires_ms, bytes },
            None => {
                self.slots.insert(key.clone(), Slot { value, expires_ms, bytes });
            }
        }
        Ok(())
    }

    /// When a key ends, in milliseconds since the Unix epoch.
    pub fn expires_ms(&self, key: &Key) -> Option<u64> {
        self.slots.get(key).map(|slot| slot.expires_ms)
    }

    /// Removes a key; tells whether it was there.
    pub fn remove(&mut self, key: &Key) -> bool {
        let Some(slot) = self.slots.remove(key) else { return false };
        self.bytes -= slot.bytes;
        self.expiries.remove(&(slot.expires_ms, key.clone()));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::key::KeyPrefix;

    fn key(part: &str) -> Key {
        Key::new(&KeyPrefix::default(), "t", part)
    }

    fn hash(text: &str) -> Value {
        Value::Hash(Fields::from([("f".to_owned(), text.as_bytes().to_vec())]))
    }

    #[test]
    fn entries_expire_and_give_their_room_back() {
        let mut db = Db::new(MemoryLimits::new(2, 1000));
        db.set_time(10_000);
        db.put(&key("a"), hash("1"), 20).unwrap();
        db.put(&key("b"), hash("2"), 30).unwrap();
        assert_eq!(db.put(&key("c"), hash("3"), 30).unwrap_err().kind(), StoreErrorKind::Full);
        db.set_time(20_000);
        assert!(!db.contains(&key("a")) && db.contains(&key("b")));
        db.put(&key("c"), hash("3"), 30).unwrap();
        db.set_time(31_000);
        assert_eq!(db.usage(), (0, 0));
        assert!(db.expiries.is_empty());
    }

    #[test]
    fn bytes_are_bounded_and_counted_once() {
        let mut db = Db::new(MemoryLimits::new(10, 50));
        db.put(&key("a"), hash(&"x".repeat(30)), 10).unwrap();
        let usage = db.usage();
        db.put(&key("a"), hash(&"y".repeat(30)), 10).unwrap();
        assert_eq!(db.usage(), usage);
        assert_eq!(db.put(&key("a"), hash(&"z".repeat(60)), 10).unwrap_err().kind(), StoreErrorKind::Full);
        assert_eq!(db.hash(&key("a")).unwrap().unwrap()["f"], "y".repeat(30).into_bytes());
        assert!(db.remove(&key("a")) && !db.remove(&key("a")));
        assert_eq!(db.usage(), (0, 0));
    }

    #[test]
    fn types_are_kept_apart() {
        let mut db = Db::new(MemoryLimits::default());
        db.put(&key("a"), hash("1"), 10).unwrap();
        assert_eq!(db.sorted(&key("a")).unwrap_err().kind(), StoreErrorKind::WrongType);
    }
}
