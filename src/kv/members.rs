//! Sets of names.

use bytes::Bytes;

use super::builder::check_name;
use super::error::{KvConfigError, KvError};
use super::ttl::Ttl;
use crate::store::key::{Key, KeySpace};
use crate::store::op::state::{
    AboutMember, AddMember, Added, AllMembers, CountMembers, MemberVerb, RemoveValue,
};
use crate::store::{Part, Store};

const MOST: u64 = 100_000;
/// The longest member, in bytes.
const LONGEST: usize = 1024;

/// What the store must have for it.
const PART: Part = Part {
    name: "sets",
    is_kept: true,
    commands: &["SADD", "SREM", "SISMEMBER", "SCARD", "SMEMBERS", "PEXPIRE", "PERSIST"],
};

/// Bounded sets of names, such as who follows what. Cheap to clone. The embedded store copies a set with each change.
///
/// ```
/// use tower_keep::kv::{Members, Ttl};
/// use tower_keep::store::Store;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let followers = Members::new(Store::in_memory(), "followers", 1000)?;
/// assert!(followers.add("thread-7", "alice", Ttl::Never).await?);
/// assert!(!followers.add("thread-7", "alice", Ttl::Never).await?, "she was there already");
/// assert!(followers.contains("thread-7", "alice").await?);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Members {
    store: Store,
    space: KeySpace,
    most: u64,
}

impl Members {
    /// Sets called `name` (1 to 32 of `a-z 0-9 _ -`) of up to `most` members each, 1 to 100,000.
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
        let space = KeySpace::plain(store.prefix(), &["set", name]);
        Ok(Self { store, space, most })
    }

    fn key(&self, key: &str) -> Result<Key, KvError> {
        self.space.of(key).ok_or(KvError::Key)
    }

    /// Adds a member of up to 1,024 bytes; tells whether it is new. The whole set lives for `ttl` from now on. One script.
    ///
    /// # Errors
    ///
    /// [`KvError::TooLarge`], [`KvError::Full`], [`KvError::Missing`], [`KvError::Key`], [`KvError::Ttl`], [`KvError::Store`].
    pub async fn add(&self, key: &str, member: &str, ttl: Ttl) -> Result<bool, KvError> {
        if member.len() > LONGEST {
            return Err(KvError::TooLarge);
        }
        let member = Bytes::copy_from_slice(member.as_bytes());
        let add = AddMember { key: self.key(key)?, member, most: self.most, lifetime: ttl.checked()? };
        match self.store.run(add).await? {
            Added::New => Ok(true),
            Added::Already => Ok(false),
            Added::Full => Err(KvError::Full),
            Added::Missing => Err(KvError::Missing),
        }
    }

    /// Whether it is a member. One `SISMEMBER`.
    ///
    /// # Errors
    ///
    /// [`KvError::Key`], [`KvError::Store`].
    pub async fn contains(&self, key: &str, member: &str) -> Result<bool, KvError> {
        self.about(MemberVerb::Has, key, member).await
    }

    /// Takes a member out; tells whether it was one. The set ends with its last member. One `SREM`.
    ///
    /// # Errors
    ///
    /// [`KvError::Key`], [`KvError::Store`].
    pub async fn remove(&self, key: &str, member: &str) -> Result<bool, KvError> {
        self.about(MemberVerb::Remove, key, member).await
    }

    async fn about(&self, verb: MemberVerb, key: &str, member: &str) -> Result<bool, KvError> {
        let member = Bytes::copy_from_slice(member.as_bytes());
        Ok(self.store.run(AboutMember { verb, key: self.key(key)?, member }).await?)
    }

    /// How many members there are. One `SCARD`.
    ///
    /// # Errors
    ///
    /// [`KvError::Key`], [`KvError::Store`].
    pub async fn count(&self, key: &str) -> Result<u64, KvError> {
        Ok(self.store.run(CountMembers(self.key(key)?)).await?)
    }

    /// All members, in no order. One `SMEMBERS`.
    ///
    /// # Errors
    ///
    /// [`KvError::Key`], [`KvError::Store`]; [`KvError::Decode`] when a member that somebody else added is not UTF-8.
    pub async fn list(&self, key: &str) -> Result<Vec<String>, KvError> {
        let members = self.store.run(AllMembers(self.key(key)?)).await?.into_iter();
        let text = |member: Bytes| String::from_utf8(member.into()).map_err(|_| KvError::Decode(None));
        members.map(text).collect()
    }

    /// Removes a whole set; tells whether it was there. One `DEL`.
    ///
    /// # Errors
    ///
    /// [`KvError::Key`], [`KvError::Store`].
    pub async fn clear(&self, key: &str) -> Result<bool, KvError> {
        Ok(self.store.run(RemoveValue(self.key(key)?)).await?)
    }
}
