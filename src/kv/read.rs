//! Reading.

use std::time::Duration;

use super::engine::{KvReader, Versioned};
use super::error::KvError;
use super::write::MOST;
use crate::store::op::state::{GetValue, GetValues, Remaining, Remains, Scan};

/// For how long a value lives on. The answer to [`KvReader::remaining`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remainder {
    /// For this time.
    For(Duration),
    /// Until it is removed.
    Forever,
}

/// The keys that begin alike, page by page. Made by [`KvReader::scan`].
#[derive(Debug)]
#[must_use]
pub struct Pages<'a, T> {
    state: &'a KvReader<T>,
    scan: Option<Scan>,
}

impl<T: 'static> KvReader<T> {
    /// The value under a key. One `GET`.
    ///
    /// # Errors
    ///
    /// [`KvError::Key`], [`KvError::Store`], [`KvError::Decode`] when the stored value cannot be read, [`KvError::Invalid`].
    pub async fn get(&self, key: &str) -> Result<Option<T>, KvError> {
        Ok(self.get_versioned(key).await?.map(|versioned| versioned.value))
    }

    /// The same with the revision, by which a later write can tell whether the value changed meanwhile. One `GET`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn get_versioned(&self, key: &str) -> Result<Option<Versioned<T>>, KvError> {
        let key = self.state().key(key)?;
        let stored = self.state().store.run(GetValue(key.clone())).await?;
        stored.map(|stored| self.state().read(&key, &stored)).transpose()
    }

    /// The values under several keys, up to 1,000, in their order: a result for each. One `MGET`. Where something else than a value
    /// lies under a key there is `None`, as `MGET` has it.
    ///
    /// # Errors
    ///
    /// [`KvError::Key`], [`KvError::TooMany`] and [`KvError::Store`] for all of them; as [`get`](Self::get) for one.
    pub async fn get_many<K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<Result<Option<Versioned<T>>, KvError>>, KvError> {
        let keys: Vec<_> = keys
            .into_iter()
            .take(MOST + 1)
            .map(|key| self.state().key(key.as_ref()))
            .collect::<Result<_, _>>()?;
        if keys.len() > MOST {
            return Err(KvError::TooMany);
        }
        let Some(get) = GetValues::new(keys.iter().cloned()) else { return Ok(Vec::new()) };
        let stored = self.state().store.run(get).await?.into_iter();
        let read =
            |(key, stored): (_, Option<bytes::Bytes>)| stored.map(|stored| self.state().read(key, &stored));
        Ok(keys.iter().zip(stored).map(|pair| read(pair).transpose()).collect())
    }

    /// For how long a value lives on; `None` when there is none. One `PTTL`.
    ///
    /// # Errors
    ///
    /// [`KvError::Key`], [`KvError::Store`].
    pub async fn remaining(&self, key: &str) -> Result<Option<Remainder>, KvError> {
        Ok(match self.state().store.run(Remaining(self.state().key(key)?)).await? {
            Remains::Nothing => None,
            Remains::Millis(ms) => Some(Remainder::For(Duration::from_millis(ms))),
            Remains::Forever => Some(Remainder::Forever),
        })
    }

    /// The keys that begin with `start`, all of them if it is empty, page by page; those of groups are apart. It looks through the
    /// whole of the Redis database by `SCAN`, without blocking it: for housekeeping, not for requests.
    ///
    /// # Errors
    ///
    /// [`KvError::Key`] when `start` is longer than a key can be.
    pub fn scan(&self, start: &str) -> Result<Pages<'_, T>, KvError> {
        let pattern = self.state().values.starting_with(start).ok_or(KvError::Key)?;
        Ok(Pages { state: self, scan: Some(Scan { pattern, cursor: 0, count: 500 }) })
    }
}

impl<T: 'static> Pages<'_, T> {
    /// Some of the keys; `None` when there are no more. A page can be empty, and a key that is written meanwhile can come twice or not
    /// at all. One `SCAN`, on the embedded store all keys at once.
    ///
    /// # Errors
    ///
    /// [`KvError::Store`]; the same page can be asked for again.
    pub async fn next(&mut self) -> Result<Option<Vec<String>>, KvError> {
        let Some(scan) = &mut self.scan else { return Ok(None) };
        let page = self.state.state().store.run(&*scan).await?;
        scan.cursor = page.next;
        if page.next == 0 {
            self.scan = None;
        }
        let space = &self.state.state().values;
        Ok(Some(page.keys.iter().filter_map(|key| space.part(key.as_str())).collect()))
    }
}
