//! Changing what is there: read, compute, write if nobody was quicker, else again.

use std::convert::Infallible;
use std::time::Duration;

use super::engine::KeyValue;
use super::error::{KvError, UpdateError};
use super::ttl::Ttl;
use super::write::Write;
use crate::random;

const ATTEMPTS: u32 = 100;
const LONGEST_PAUSE: Duration = Duration::from_millis(32);

/// What an updater makes of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Update<T> {
    /// Writes this.
    Set(T, Ttl),
    /// Removes what is there.
    Remove,
    /// Leaves everything as it is.
    Keep,
}

impl<T: 'static> KeyValue<T> {
    /// Changes a value by a function of what is there, and gives what is there then. Nobody's change is lost: when another one came in
    /// between, the function is called again with what that one left. It holds no lock, so it blocks nobody, also when it panics.
    ///
    /// A `GET` and a script for each attempt; up to 100 attempts, with growing random pauses up to 32 ms.
    ///
    /// ```
    /// use tower_keep::kv::{KeyValue, Ttl, Update};
    /// use tower_keep::store::Store;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let visits = KeyValue::<u64>::new(Store::in_memory(), "visits")?;
    /// let more = |n: Option<&u64>| Update::Set(n.unwrap_or(&0) + 1, Ttl::Never);
    /// visits.update("home", more).await?;
    /// assert_eq!(visits.update("home", more).await?, Some(2));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`KvError::Contended`] when others were quicker each time; otherwise as [`get`](super::KvReader::get) and
    /// [`set`](super::KvWriter::set).
    pub async fn update(
        &self,
        key: &str,
        mut updater: impl FnMut(Option<&T>) -> Update<T>,
    ) -> Result<Option<T>, KvError> {
        let updated = self.try_update(key, |current| Ok::<_, Infallible>(updater(current))).await;
        updated.map_err(|error| match error {
            UpdateError::State(error) => error,
            UpdateError::Updater(never) => match never {},
        })
    }

    /// The same with a function that may refuse.
    ///
    /// # Errors
    ///
    /// [`UpdateError::Updater`] with the function's error: nothing is written. [`UpdateError::State`] as [`update`](Self::update).
    pub async fn try_update<E>(
        &self,
        key: &str,
        mut updater: impl FnMut(Option<&T>) -> Result<Update<T>, E>,
    ) -> Result<Option<T>, UpdateError<E>> {
        for attempt in 0..ATTEMPTS {
            let (current, revision) = match self.get_versioned(key).await? {
                Some(current) => (Some(current.value), Some(current.revision)),
                None => (None, None),
            };
            let update = updater(current.as_ref()).map_err(UpdateError::Updater)?;
            let (written, value) = match (update, revision) {
                (Update::Keep, _) | (Update::Remove, None) => return Ok(current),
                (Update::Remove, Some(revision)) => (self.remove_if(key, revision).await, None),
                (Update::Set(value, ttl), Some(revision)) => {
                    (self.replace(key, &value, ttl, revision).await.map(drop), Some(value))
                }
                (Update::Set(value, ttl), None) => (
                    self.state().write(Write::set(key, &value, ttl).if_absent()).await.map(drop),
                    Some(value),
                ),
            };
            match written {
                Ok(()) => return Ok(value),
                Err(KvError::Mismatch | KvError::Exists) => {}
                Err(error) => return Err(error.into()),
            }
            let longest = Duration::from_millis(1 << attempt.min(5)).min(LONGEST_PAUSE);
            tokio::time::sleep(random::up_to(longest)).await;
        }
        Err(KvError::Contended.into())
    }
}
