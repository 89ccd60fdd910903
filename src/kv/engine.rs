//! The handles: what may be read, what may be written, and everything.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::builder::Check;
use super::codec::Codec;
use super::error::{KvConfigError, KvError};
use super::flight::Flights;
use super::record::{self, Revision};
use crate::store::Store;
use crate::store::key::{Key, KeySpace};

pub(super) struct Inner<T> {
    pub(super) store: Store,
    pub(super) name: Arc<str>,
    pub(super) values: KeySpace,
    pub(super) fetches: KeySpace,
    pub(super) codec: Arc<dyn Codec<T>>,
    pub(super) validate: Option<Arc<Check<T>>>,
    pub(super) max_bytes: usize,
    pub(super) lease: Duration,
    pub(super) wait: Duration,
    /// Who this process is, where it says that it fetches.
    pub(super) holder: Arc<str>,
    pub(super) flights: Arc<Flights>,
}

/// A value and its revision.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// Which write it comes from.
    pub revision: Revision,
}

/// State that can be read. Made by [`KvWriter::reader`].
pub struct KvReader<T>(Arc<Inner<T>>);

/// State that can be read and written, but neither removed nor changed as a whole. Made by [`KeyValue::writer`].
pub struct KvWriter<T>(KvReader<T>);

/// Typed values under keys. Cheap to clone; clones share everything. See the [module](super).
///
/// It can do all that its [writer](KvWriter) and its [reader](KvReader) can. Hand those out to code that shall not be able to do more.
pub struct KeyValue<T>(KvWriter<T>);

/// The values of one group. They lie in one Cluster slot, so [`commit`](Self::commit) can write several of them, all or none. It
/// can do all that a [`KeyValue`] can, on keys of its own. Made by [`KeyValue::group`].
pub struct Group<T>(KeyValue<T>);

impl<T> KeyValue<T> {
    pub(super) fn over(inner: Inner<T>) -> Self {
        Self(KvWriter(KvReader(Arc::new(inner))))
    }

    /// A handle that reads and writes, and cannot remove.
    #[must_use]
    pub fn writer(&self) -> KvWriter<T> {
        self.0.clone()
    }

    /// The state of one group, such as of one tenant or one order: keys of its own, which can be written together.
    ///
    /// # Errors
    ///
    /// [`KvConfigError::Group`] when the name is empty or too long.
    pub fn group(&self, group: &str) -> Result<Group<T>, KvConfigError> {
        let inner = self.state();
        let space = |kind| KeySpace::group(inner.store.prefix(), &[kind, &inner.name], group);
        let (Some(values), Some(fetches)) = (space("state"), space("state-fetch")) else {
            return Err(KvConfigError::Group);
        };
        Ok(Group(Self::over(Inner {
            store: inner.store.clone(),
            name: Arc::clone(&inner.name),
            values,
            fetches,
            codec: Arc::clone(&inner.codec),
            validate: inner.validate.clone(),
            holder: Arc::clone(&inner.holder),
            flights: Arc::clone(&inner.flights),
            ..*inner
        })))
    }
}

impl<T> KvWriter<T> {
    /// A handle that only reads.
    #[must_use]
    pub fn reader(&self) -> KvReader<T> {
        self.0.clone()
    }
}

impl<T> KvReader<T> {
    pub(super) fn state(&self) -> &Inner<T> {
        &self.0
    }
}

impl<T: 'static> Inner<T> {
    pub(super) fn key(&self, key: &str) -> Result<Key, KvError> {
        self.values.of(key).ok_or(KvError::Key)
    }

    fn checked(&self, value: &T) -> Result<(), KvError> {
        match &self.validate {
            None => Ok(()),
            Some(check) => check(value).map_err(|text| KvError::Invalid(text.into())),
        }
    }

    pub(super) fn encode(&self, value: &T) -> Result<Vec<u8>, KvError> {
        self.checked(value)?;
        let bytes = self.codec.encode(value).map_err(|error| KvError::Encode(error.into()))?;
        if bytes.len() > self.max_bytes { Err(KvError::TooLarge) } else { Ok(bytes) }
    }

    pub(super) fn decode(&self, bytes: &[u8]) -> Result<T, KvError> {
        let value = self.codec.decode(bytes).map_err(|error| KvError::Decode(Some(error.into())))?;
        self.checked(&value)?;
        Ok(value)
    }

    /// What is stored under a key, with a new revision.
    pub(super) fn stored(&self, key: &Key, value: &[u8]) -> Result<(Bytes, Revision), KvError> {
        let revision = Revision::new()?;
        Ok((record::write(revision, self.unprefixed(key), value), revision))
    }

    pub(super) fn read(&self, key: &Key, stored: &[u8]) -> Result<Versioned<T>, KvError> {
        let (revision, value) = record::read(stored, self.unprefixed(key)).ok_or(KvError::Decode(None))?;
        Ok(Versioned { value: self.decode(value)?, revision })
    }

    pub(super) fn unprefixed<'k>(&self, key: &'k Key) -> &'k str {
        let key = key.as_str();
        key.strip_prefix(self.store.prefix().as_str()).unwrap_or(key)
    }
}

impl<T> Deref for KvWriter<T> {
    type Target = KvReader<T>;

    fn deref(&self) -> &KvReader<T> {
        &self.0
    }
}

impl<T> Deref for KeyValue<T> {
    type Target = KvWriter<T>;

    fn deref(&self) -> &KvWriter<T> {
        &self.0
    }
}

impl<T> Deref for Group<T> {
    type Target = KeyValue<T>;

    fn deref(&self) -> &KeyValue<T> {
        &self.0
    }
}

impl<T> Clone for KvReader<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Clone for KvWriter<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Clone for KeyValue<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Clone for Group<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

macro_rules! named_debug {
    ($($handle:ident),+) => {$(
        impl<T> fmt::Debug for $handle<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let inner: &KvReader<T> = self;
                f.debug_struct(stringify!($handle)).field("name", &inner.0.name).finish_non_exhaustive()
            }
        }
    )+};
}

named_debug!(KvReader, KvWriter, KeyValue, Group);
