//! Writing: with a condition or without, one, several, or several all or none.

use super::engine::{Group, Inner, KeyValue, KvWriter};
use super::error::KvError;
use super::record::Revision;
use super::ttl::Ttl;
use crate::store::op::state::{
    Condition, Effect, Lifetime, RemoveValue, SetValue, Unlink, Why, Write as StoredWrite, WriteOutcome,
    WriteValues,
};

/// The most keys of one call.
pub(super) const MOST: usize = 1000;

/// One write of several: [`KeyValue::write_all`], [`Group::commit`].
#[must_use]
pub struct Write<'a, T> {
    key: &'a str,
    condition: Condition,
    value: Option<(&'a T, Ttl)>,
}

impl<'a, T: 'static> Write<'a, T> {
    /// Writes a value.
    pub const fn set(key: &'a str, value: &'a T, ttl: Ttl) -> Self {
        Self { key, condition: Condition::Any, value: Some((value, ttl)) }
    }

    /// Removes a value; that there is none is no error.
    pub const fn remove(key: &'a str) -> Self {
        Self { key, condition: Condition::Any, value: None }
    }

    /// Only where there is nothing.
    pub const fn if_absent(mut self) -> Self {
        self.condition = Condition::Absent;
        self
    }

    /// Only over the value with this revision.
    pub const fn if_match(mut self, revision: Revision) -> Self {
        self.condition = Condition::Revision(revision.bytes());
        self
    }

    fn prepared(&self, state: &Inner<T>) -> Result<(StoredWrite, Option<Revision>), KvError> {
        let key = state.key(self.key)?;
        let (effect, revision) = match self.value {
            None => (Effect::Remove, None),
            Some((value, ttl)) => {
                let lifetime = ttl.checked()?;
                let (stored, revision) = state.stored(&key, &state.encode(value)?)?;
                (Effect::Put(stored, lifetime), Some(revision))
            }
        };
        Ok((StoredWrite { key, condition: self.condition, effect }, revision))
    }
}

fn refused(why: Why) -> KvError {
    match why {
        Why::Exists => KvError::Exists,
        Why::Changed => KvError::Mismatch,
        Why::Missing => KvError::Missing,
    }
}

impl<T: 'static> Inner<T> {
    pub(super) async fn write(&self, write: Write<'_, T>) -> Result<Option<Revision>, KvError> {
        let (stored, revision) = write.prepared(self)?;
        match self.store.run(WriteValues::from(stored)).await? {
            WriteOutcome::Done => Ok(revision),
            WriteOutcome::Refused { why, .. } => Err(refused(why)),
        }
    }

    async fn put(&self, write: Write<'_, T>) -> Result<Revision, KvError> {
        // What puts a value has a revision; only a removal has none.
        self.write(write).await?.ok_or(KvError::Mismatch)
    }
}

impl<T: 'static> KvWriter<T> {
    /// Writes a value, whatever value is there. One `SET`.
    ///
    /// # Errors
    ///
    /// [`KvError::Key`], [`KvError::Ttl`], [`KvError::Encode`], [`KvError::Invalid`] and [`KvError::TooLarge`], before anything is sent;
    /// [`KvError::Missing`]; [`KvError::Store`], with [`WrongType`](crate::store::StoreErrorKind::WrongType) when there is something
    /// else than a value. After [`Timeout`](crate::store::StoreErrorKind::Timeout) or
    /// [`Disconnected`](crate::store::StoreErrorKind::Disconnected) it may or may not have happened.
    pub async fn set(&self, key: &str, value: &T, ttl: Ttl) -> Result<Revision, KvError> {
        let (key, lifetime) = (self.state().key(key)?, ttl.checked()?);
        let (value, revision) = self.state().stored(&key, &self.state().encode(value)?)?;
        let written = self.state().store.run(SetValue { key, value, lifetime }).await?;
        if written { Ok(revision) } else { Err(KvError::Missing) }
    }

    /// Writes a value where there is none. One script.
    ///
    /// # Errors
    ///
    /// [`KvError::Exists`] when there is one; otherwise as [`set`](Self::set).
    pub async fn create(&self, key: &str, value: &T, ttl: Ttl) -> Result<Revision, KvError> {
        self.state().put(Write::set(key, value, ttl).if_absent()).await
    }

    /// Writes a value over the one with this revision. One script.
    ///
    /// # Errors
    ///
    /// [`KvError::Mismatch`] when another one is there or none; otherwise as [`set`](Self::set).
    pub async fn replace(
        &self,
        key: &str,
        value: &T,
        ttl: Ttl,
        revision: Revision,
    ) -> Result<Revision, KvError> {
        self.state().put(Write::set(key, value, ttl).if_match(revision)).await
    }
}

impl<T: 'static> KeyValue<T> {
    /// Removes a value, or whatever lies under its key; tells whether there was something. One `DEL`.
    ///
    /// # Errors
    ///
    /// [`KvError::Key`], [`KvError::Store`].
    pub async fn remove(&self, key: &str) -> Result<bool, KvError> {
        Ok(self.state().store.run(RemoveValue(self.state().key(key)?)).await?)
    }

    /// Removes the value with this revision. One script.
    ///
    /// # Errors
    ///
    /// [`KvError::Mismatch`] when another one is there or none; [`KvError::Key`], [`KvError::Store`].
    pub async fn remove_if(&self, key: &str, revision: Revision) -> Result<(), KvError> {
        self.state().write(Write::remove(key).if_match(revision)).await.map(drop)
    }

    /// Carries out up to 1,000 writes, each by itself and with a result of its own: the new revision, or none for a removal. One round
    /// trip. For all or none see [`Group::commit`].
    ///
    /// # Errors
    ///
    /// [`KvError::TooMany`] and [`KvError::Store`] for all of them; as [`KvWriter::set`], with [`KvError::Exists`] and
    /// [`KvError::Mismatch`], for one.
    pub async fn write_all(
        &self,
        writes: &[Write<'_, T>],
    ) -> Result<Vec<Result<Option<Revision>, KvError>>, KvError> {
        if writes.len() > MOST {
            return Err(KvError::TooMany);
        }
        let prepared: Vec<_> = writes.iter().map(|write| write.prepared(self.state())).collect();
        let sent: Vec<_> =
            prepared.iter().flatten().map(|(write, _)| WriteValues::from(write.clone())).collect();
        let mut answers = self.state().store.batch(sent).await?.into_iter();
        let result = |prepared: Result<(_, Option<Revision>), KvError>| {
            let (_, revision) = prepared?;
            match answers.next() {
                Some(Ok(WriteOutcome::Done)) => Ok(revision),
                Some(Ok(WriteOutcome::Refused { why, .. })) => Err(refused(why)),
                Some(Err(error)) => Err(error.into()),
                None => Err(crate::store::StoreError::new(crate::store::StoreErrorKind::Desync).into()),
            }
        };
        Ok(prepared.into_iter().map(result).collect())
    }

    /// Removes all values whose keys begin with `start`, which must not be empty; tells how many there were. A `SCAN` and the removals
    /// of each page, in the background of the server: it is not one step, and what is written meanwhile may stay.
    ///
    /// # Errors
    ///
    /// [`KvError::Key`], [`KvError::Store`]; what was removed until then stays removed.
    pub async fn purge(&self, start: &str) -> Result<u64, KvError> {
        if start.is_empty() { Err(KvError::Key) } else { self.unlink(start).await }
    }

    /// Removes all values of this state, those of groups not among them, as [`purge`](Self::purge) does.
    ///
    /// # Errors
    ///
    /// [`KvError::Store`]; what was removed until then stays removed.
    pub async fn purge_all(&self) -> Result<u64, KvError> {
        self.unlink("").await
    }

    async fn unlink(&self, start: &str) -> Result<u64, KvError> {
        let mut pages = self.scan(start)?;
        let mut removed = 0;
        while let Some(page) = pages.next().await? {
            let keys: Vec<_> = page.iter().filter_map(|key| self.state().key(key).ok()).map(Unlink).collect();
            for unlinked in self.state().store.batch(keys).await? {
                removed += u64::from(unlinked?);
            }
        }
        Ok(removed)
    }
}

impl<T: 'static> Group<T> {
    /// Carries out up to 1,000 writes, all or none, in order: the new revisions, none for a removal. Conditions speak of what is there
    /// before the first write. One script.
    ///
    /// # Errors
    ///
    /// [`KvError::Transaction`] with the write that was refused; [`KvError::TooMany`]; otherwise as [`KvWriter::set`].
    pub async fn commit(&self, writes: &[Write<'_, T>]) -> Result<Vec<Option<Revision>>, KvError> {
        if writes.len() > MOST {
            return Err(KvError::TooMany);
        }
        let state = self.state();
        let prepared = writes.iter().enumerate().map(|(index, write)| {
            write.prepared(state).map_err(|error| KvError::Transaction { index, error: Box::new(error) })
        });
        let (writes, revisions): (Vec<_>, Vec<_>) =
            prepared.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        if let Some(index) = keeps_what_is_removed(&writes) {
            return Err(KvError::Transaction { index, error: Box::new(KvError::Ttl) });
        }
        let Some(commit) = WriteValues::new(writes) else { return Ok(Vec::new()) };
        match state.store.run(commit).await? {
            WriteOutcome::Done => Ok(revisions),
            WriteOutcome::Refused { index, why } => {
                Err(KvError::Transaction { index, error: Box::new(refused(why)) })
            }
        }
    }
}

/// The first write that would keep the time of a value that an earlier one removes: there is none any more.
fn keeps_what_is_removed(writes: &[StoredWrite]) -> Option<usize> {
    writes.iter().enumerate().position(|(i, write)| {
        let last = writes.iter().take(i).rev().find(|before| before.key == write.key);
        let is_removed = last.is_some_and(|before| matches!(before.effect, Effect::Remove));
        is_removed && matches!(write.effect, Effect::Put(_, Lifetime::Keep))
    })
}

impl<T> std::fmt::Debug for Write<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Write").field("condition", &self.condition).finish_non_exhaustive()
    }
}
