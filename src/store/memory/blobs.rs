//! What may be lost: values of the response cache, under a bound of their own.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::key::Key;

/// Values that make room for newer ones. What was read since its last turn gets another one (the clock algorithm), so that what
/// is in use stays.
#[derive(Debug)]
pub(super) struct Blobs {
    held: HashMap<Key, Held>,
    /// The order of turns. Holds words about values that are gone, which are dropped when they come up.
    turns: VecDeque<(Key, u64)>,
    next_turn: u64,
    bytes: usize,
    limit: usize,
}

#[derive(Debug)]
struct Held {
    value: Bytes,
    expires_ms: u64,
    turn: u64,
    used: bool,
}

impl Blobs {
    pub(super) fn new(limit: usize) -> Self {
        Self { held: HashMap::new(), turns: VecDeque::new(), next_turn: 0, bytes: 0, limit }
    }

    pub(super) fn usage(&self) -> (usize, usize) {
        (self.held.len(), self.bytes)
    }

    pub(super) fn get(&mut self, key: &Key, now_ms: u64) -> Option<&Bytes> {
        let held = self.held.get_mut(key).filter(|held| held.expires_ms > now_ms)?;
        held.used = true;
        Some(&held.value)
    }

    pub(super) fn expires_ms(&self, key: &Key, now_ms: u64) -> Option<u64> {
        self.held.get(key).map(|held| held.expires_ms).filter(|expires_ms| *expires_ms > now_ms)
    }

    pub(super) fn put(
        &mut self,
        key: &Key,
        value: Bytes,
        expires_ms: u64,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        self.remove(key);
        if expires_ms <= now_ms {
            return Ok(());
        }
        let bytes = cost(key, &value);
        if bytes > self.limit {
            return Err(StoreErrorKind::Full.into());
        }
        while self.bytes + bytes > self.limit {
            self.make_room(now_ms);
        }
        self.next_turn += 1;
        self.bytes += bytes;
        self.held.insert(key.clone(), Held { value, expires_ms, turn: self.next_turn, used: false });
        self.turns.push_back((key.clone(), self.next_turn));
        if self.turns.len() > 2 * self.held.len() + 64 {
            let held = &self.held;
            self.turns.retain(|(key, turn)| held.get(key).is_some_and(|held| held.turn == *turn));
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, key: &Key) -> bool {
        let Some(held) = self.held.remove(key) else { return false };
        self.bytes -= cost(key, &held.value);
        true
    }

    /// Each value that lives has one valid turn, so as long as there are bytes, turns come to an end with room made.
    fn make_room(&mut self, now_ms: u64) {
        let Some((key, turn)) = self.turns.pop_front() else { return };
        match self.held.get_mut(&key) {
            Some(held) if held.turn == turn => {
                if held.used && held.expires_ms > now_ms {
                    held.used = false;
                    self.turns.push_back((key, turn));
                } else {
                    self.remove(&key);
                }
            }
            _ => {}
        }
    }
}

fn cost(key: &Key, value: &Bytes) -> usize {
    key.as_str().len() + value.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::key::KeyPrefix;

    fn key(part: &str) -> Key {
        Key::new(&KeyPrefix::default(), "t", part)
    }

    #[test]
    fn what_is_in_use_outlives_what_is_not() {
        let mut blobs = Blobs::new(100);
        let value = Bytes::from_static(&[0; 30]);
        blobs.put(&key("a"), value.clone(), 10, 0).unwrap();
        blobs.put(&key("b"), value.clone(), 10, 0).unwrap();
        assert!(blobs.get(&key("a"), 0).is_some());
        blobs.put(&key("c"), value.clone(), 10, 0).unwrap();
        assert!(blobs.get(&key("a"), 0).is_some() && blobs.get(&key("b"), 0).is_none());
        assert!(blobs.get(&key("c"), 9).is_some() && blobs.get(&key("c"), 10).is_none());
    }

    #[test]
    fn no_more_is_held_than_the_bound() {
        let mut blobs = Blobs::new(1000);
        for i in 0..500usize {
            blobs.put(&key(&i.to_string()), vec![0; i % 90].into(), 10, 0).unwrap();
            blobs.put(&key("again"), vec![0; i % 50].into(), 10, 0).unwrap();
            assert!(blobs.usage().1 <= 1000 && blobs.turns.len() <= 2 * blobs.held.len() + 65);
        }
        assert!(blobs.put(&key("large"), vec![0; 1000].into(), 10, 0).is_err());
        let keys: Vec<Key> = blobs.held.keys().cloned().collect();
        assert!(!keys.is_empty() && keys.iter().all(|key| blobs.remove(key)));
        assert_eq!(blobs.usage(), (0, 0));
    }
}
