//! Lists that keep their newest items.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::builder::check_name;
use super::codec::{Codec, Json};
use super::error::{KvConfigError, KvError};
use super::ttl::Ttl;
use crate::store::key::{Key, KeySpace};
use crate::store::op::state::{AllItems, PopItem, PushItem, RemoveValue};
use crate::store::{Part, Store};

const MOST: u64 = 100_000;
const MAX_ITEM: usize = 1 << 20;

/// What the store must have for it.
const PART: Part = Part {
    name: "lists",
    is_kept: true,
    commands: &["RPUSH", "LTRIM", "LPOP", "LRANGE", "EXISTS", "PEXPIRE", "PERSIST"],
};

/// Bounded lists of typed items, oldest first: a history, or a small queue. Cheap to clone. An item that was taken is gone, also if who
/// took it dies: for jobs that must not be lost use a job queue. The embedded store copies a list with each change.
///
/// ```
/// use tower_keep::kv::{Lists, Ttl};
/// use tower_keep::store::Store;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let seen = Lists::<String>::new(Store::in_memory(), "seen", 2)?;
/// for page in ["/a", "/b", "/c"] {
///     seen.push("alice", &page.to_owned(), Ttl::Never).await?;
/// }
/// assert_eq!(seen.items("alice").await?, ["/b", "/c"]);
/// assert_eq!(seen.pop("alice").await?.as_deref(), Some("/b"));
/// # Ok(()) }
/// ```
pub struct Lists<T> {
    store: Store,
    space: KeySpace,
    most: u64,
    codec: Arc<dyn Codec<T>>,
}

impl<T: Serialize + DeserializeOwned + 'static> Lists<T> {
    /// Lists called `name` (1 to 32 of `a-z 0-9 _ -`) of up to `most` items each, 1 to 100,000, written as JSON of up to 1 MiB.
    ///
    /// # Errors
    ///
    /// [`KvConfigError::Name`], [`KvConfigError::OutOfRange`].
    pub fn new(store: Store, name: &str, most: u64) -> Result<Self, KvConfigError> {
        check_name(name)?;
        if !(1..=MOST).contains(&most) {
            return Err(KvConfigError::OutOfRange("most"));
        }
        store.serves(&PART);
        let space = KeySpace::plain(store.prefix(), &["list", name]);
        Ok(Self { store, space, most, codec: Arc::new(Json) })
    }
}

impl<T: 'static> Lists<T> {
    fn key(&self, key: &str) -> Result<Key, KvError> {
        self.space.of(key).ok_or(KvError::Key)
    }

    fn decode(&self, item: &Bytes) -> Result<T, KvError> {
        self.codec.decode(item).map_err(|error| KvError::Decode(Some(error.into())))
    }

    /// Appends an item; the oldest makes room. The whole list lives for `ttl` from now on. Gives the number of items. One script.
    ///
    /// # Errors
    ///
    /// [`KvError::Encode`], [`KvError::TooLarge`], [`KvError::Missing`], [`KvError::Key`], [`KvError::Ttl`], [`KvError::Store`].
    pub async fn push(&self, key: &str, item: &T, ttl: Ttl) -> Result<u64, KvError> {
        let item = self.codec.encode(item).map_err(|error| KvError::Encode(error.into()))?;
        if item.len() > MAX_ITEM {
            return Err(KvError::TooLarge);
        }
        let push =
            PushItem { key: self.key(key)?, item: item.into(), most: self.most, lifetime: ttl.checked()? };
        self.store.run(push).await?.ok_or(KvError::Missing)
    }

    /// Takes the oldest item out. One `LPOP`.
    ///
    /// # Errors
    ///
    /// [`KvError::Decode`], and then the item is gone; [`KvError::Key`], [`KvError::Store`].
    pub async fn pop(&self, key: &str) -> Result<Option<T>, KvError> {
        let item = self.store.run(PopItem(self.key(key)?)).await?;
        item.map(|item| self.decode(&item)).transpose()
    }

    /// All items, oldest first. One `LRANGE`.
    ///
    /// # Errors
    ///
    /// [`KvError::Decode`], [`KvError::Key`], [`KvError::Store`].
    pub async fn items(&self, key: &str) -> Result<Vec<T>, KvError> {
        let items = self.store.run(AllItems(self.key(key)?)).await?;
        items.iter().map(|item| self.decode(item)).collect()
    }

    /// Removes a whole list; tells whether it was there. One `DEL`.
    ///
    /// # Errors
    ///
    /// [`KvError::Key`], [`KvError::Store`].
    pub async fn clear(&self, key: &str) -> Result<bool, KvError> {
        Ok(self.store.run(RemoveValue(self.key(key)?)).await?)
    }
}

impl<T> Clone for Lists<T> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), space: self.space.clone(), codec: Arc::clone(&self.codec), ..*self }
    }
}

impl<T> fmt::Debug for Lists<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lists").field("most", &self.most).finish_non_exhaustive()
    }
}
