//! Counters.

use super::builder::check_name;
use super::error::{KvConfigError, KvError};
use super::ttl::Ttl;
use crate::store::key::{Key, KeySpace};
use crate::store::op::state::{Count, GetValue, Lifetime, RemoveValue};
use crate::store::{Part, Store};

/// What the store must have for it.
const PART: Part =
    Part { name: "counters", is_kept: true, commands: &["INCRBY", "GET", "EXISTS", "PEXPIRE"] };

/// Whole numbers that many add to at once. Cheap to clone.
///
/// ```
/// use std::time::Duration;
/// use tower_keep::kv::{Counters, Ttl};
/// use tower_keep::store::Store;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let views = Counters::new(Store::in_memory(), "views")?;
/// views.add("home", 1, Ttl::After(Duration::from_secs(3600))).await?; // one hour from the first view on
/// assert_eq!(views.add("home", 2, Ttl::After(Duration::from_secs(3600))).await?, 3);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Counters {
    store: Store,
    space: KeySpace,
}

impl Counters {
    /// Counters called `name`: 1 to 32 of `a-z 0-9 _ -`.
    ///
    /// # Errors
    ///
    /// [`KvConfigError::Name`].
    pub fn new(store: Store, name: &str) -> Result<Self, KvConfigError> {
        check_name(name)?;
        store.serves(&PART);
        let space = KeySpace::plain(store.prefix(), &["count", name]);
        Ok(Self { store, space })
    }

    fn key(&self, key: &str) -> Result<Key, KvError> {
        self.space.of(key).ok_or(KvError::Key)
    }

    /// Adds to a counter, also less than nothing, and gives the sum. A counter that is not there begins with 0, and `ttl` is its
    /// lifetime; one that is there keeps its end, so that it is not put off by each addition. One script.
    ///
    /// # Errors
    ///
    /// [`KvError::Key`]; [`KvError::Ttl`], also for [`Ttl::KeepRemaining`], which goes without saying here;
    /// [`KvError::NotAnInteger`]; [`KvError::Store`].
    pub async fn add(&self, key: &str, by: i64, ttl: Ttl) -> Result<i64, KvError> {
        let ttl_ms = match ttl.checked()? {
            Lifetime::Millis(ms) => Some(ms),
            Lifetime::Never => None,
            Lifetime::Keep => return Err(KvError::Ttl),
        };
        let sum = self.store.run(Count { key: self.key(key)?, by, ttl_ms }).await?;
        sum.ok_or(KvError::NotAnInteger)
    }

    /// What a counter has reached; 0 when it is not there. One `GET`.
    ///
    /// # Errors
    ///
    /// [`KvError::Key`], [`KvError::NotAnInteger`], [`KvError::Store`].
    pub async fn get(&self, key: &str) -> Result<i64, KvError> {
        let Some(text) = self.store.run(GetValue(self.key(key)?)).await? else { return Ok(0) };
        let number = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
        number.ok_or(KvError::NotAnInteger)
    }

    /// Removes a counter; tells whether it was there. One `DEL`.
    ///
    /// # Errors
    ///
    /// [`KvError::Key`], [`KvError::Store`].
    pub async fn remove(&self, key: &str) -> Result<bool, KvError> {
        Ok(self.store.run(RemoveValue(self.key(key)?)).await?)
    }
}
