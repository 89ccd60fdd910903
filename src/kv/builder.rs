//! Settings of typed state.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec::{Codec, Json};
use super::engine::{Inner, KeyValue};
use super::error::KvConfigError;
use super::flight::Flights;
use crate::random;
use crate::store::key::KeySpace;
use crate::store::{Part, Store};

/// Says what is wrong with a value.
pub(super) type Check<T> = dyn Fn(&T) -> Result<(), String> + Send + Sync;

const MAX_VALUE: usize = 64 << 20;
const MAX_WAIT: Duration = Duration::from_secs(600);

/// What the store must have for it.
const PART: Part = Part {
    name: "values",
    is_kept: true,
    commands: &["GET", "MGET", "SET", "GETRANGE", "EXISTS", "PTTL", "SCAN", "UNLINK"],
};

/// Builds a [`KeyValue`]; [`build`](Self::build) checks everything.
#[must_use]
pub struct KeyValueBuilder<T> {
    store: Store,
    name: String,
    codec: Arc<dyn Codec<T>>,
    validate: Option<Arc<Check<T>>>,
    max_bytes: usize,
    lease: Duration,
    wait: Duration,
    values: PhantomData<fn() -> T>,
}

impl<T: 'static> KeyValue<T> {
    /// State called `name` (1 to 32 of `a-z 0-9 _ -`), with default settings. State with the same name shares its keys.
    ///
    /// # Errors
    ///
    /// The [`KvConfigError`] that says which setting cannot work.
    pub fn new(store: Store, name: &str) -> Result<Self, KvConfigError>
    where
        T: Serialize + DeserializeOwned,
    {
        Self::builder(store, name).build()
    }

    /// Settings of state whose values are JSON.
    pub fn builder(store: Store, name: &str) -> KeyValueBuilder<T>
    where
        T: Serialize + DeserializeOwned,
    {
        Self::builder_with(store, name, Json)
    }

    /// Settings of state whose values are written by a codec of yours. A codec that changes makes what is stored unreadable: use
    /// another name.
    pub fn builder_with(store: Store, name: &str, codec: impl Codec<T>) -> KeyValueBuilder<T> {
        KeyValueBuilder {
            store,
            name: name.to_owned(),
            codec: Arc::new(codec),
            validate: None,
            max_bytes: 1 << 20,
            lease: Duration::from_secs(2),
            wait: Duration::from_secs(5),
            values: PhantomData,
        }
    }
}

impl<T: 'static> KeyValueBuilder<T> {
    /// What values must be like, checked before each write and after each read; the text says what is wrong and must not repeat
    /// the value. Default: anything.
    pub fn validate(mut self, check: impl Fn(&T) -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.validate = Some(Arc::new(check));
        self
    }

    /// The longest encoded value, 1 byte to 64 MiB. Default 1 MiB.
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// For how long one process alone may fetch a value unless it renews that right, which it does while it fetches: how long others
    /// wait if it dies. 100 ms to 60 s. Default 2 s.
    pub const fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// For how long [`get_or_fetch`](KeyValue::get_or_fetch) waits for somebody else's fetch before it fetches by itself. Up to
    /// 10 minutes. Default 5 s.
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// The state.
    ///
    /// # Errors
    ///
    /// The [`KvConfigError`] that says which setting cannot work.
    pub fn build(self) -> Result<KeyValue<T>, KvConfigError> {
        check_name(&self.name)?;
        if !(1..=MAX_VALUE).contains(&self.max_bytes) {
            return Err(KvConfigError::OutOfRange("max_bytes"));
        }
        if self.lease < Duration::from_millis(100) || self.lease > Duration::from_secs(60) {
            return Err(KvConfigError::OutOfRange("lease"));
        }
        if self.wait.is_zero() || self.wait > MAX_WAIT {
            return Err(KvConfigError::OutOfRange("wait"));
        }
        self.store.serves(&PART);
        let (state, fetch) = (["state", &*self.name], ["state-fetch", &*self.name]);
        Ok(KeyValue::over(Inner {
            values: KeySpace::tagged(self.store.prefix(), &state),
            fetches: KeySpace::tagged(self.store.prefix(), &fetch),
            store: self.store,
            name: self.name.into(),
            codec: self.codec,
            validate: self.validate,
            max_bytes: self.max_bytes,
            lease: self.lease,
            wait: self.wait,
            holder: random::token()?,
            flights: Flights::new(),
        }))
    }
}

pub(super) fn check_name(name: &str) -> Result<(), KvConfigError> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    if (1..=32).contains(&name.len()) && name.bytes().all(allowed) {
        Ok(())
    } else {
        Err(KvConfigError::Name)
    }
}

impl<T> fmt::Debug for KeyValueBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyValueBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}
