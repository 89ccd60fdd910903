//! Values by their type, and how long they live.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;

use super::db::{Db, Value};
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::key::Key;
use crate::store::op::state::Lifetime;

type Typed<T> = Result<T, StoreError>;

const fn wrong_type<T>() -> Typed<T> {
    Err(StoreError::new(StoreErrorKind::WrongType))
}

impl Db {
    /// The text under a key.
    pub fn text(&self, key: &Key) -> Typed<Option<&Bytes>> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => wrong_type(),
        }
    }

    /// The set under a key, empty when there is none.
    pub fn members(&self, key: &Key) -> Typed<BTreeSet<Bytes>> {
        match self.value(key) {
            None => Ok(BTreeSet::new()),
            Some(Value::Members(members)) => Ok(members.clone()),
            Some(_) => wrong_type(),
        }
    }

    /// The list under a key, empty when there is none.
    pub fn list(&self, key: &Key) -> Typed<VecDeque<Bytes>> {
        match self.value(key) {
            None => Ok(VecDeque::new()),
            Some(Value::List(items)) => Ok(items.clone()),
            Some(_) => wrong_type(),
        }
    }

    /// When a key ends that is written now with this lifetime, in milliseconds since the Unix epoch; `None` when there is nothing
    /// whose end could be kept.
    pub fn ends_ms(&self, key: &Key, lifetime: Lifetime) -> Option<u64> {
        match lifetime {
            Lifetime::Millis(ms) => Some(self.now_ms().saturating_add(ms)),
            Lifetime::Never => Some(u64::MAX),
            Lifetime::Keep => self.expires_ms(key),
        }
    }

    /// For how long a key lives on, in milliseconds; -1 for ever, -2 when it is not there: as `PTTL` has it.
    pub fn remaining_ms(&self, key: &Key) -> i64 {
        match self.expires_ms(key) {
            None => -2,
            Some(u64::MAX) => -1,
            Some(end) => i64::try_from(end.saturating_sub(self.now_ms())).unwrap_or(i64::MAX),
        }
    }
}
