//! The neutral form between operations and backends: commands go out, replies come back.
//!
//! These types are public so that [`Operation`](super::Operation) can name them, and unreachable from outside:
//! operations are this crate's own.

use std::ops::Deref;

use bytes::Bytes;
use smallvec::SmallVec;

use super::error::{StoreError, StoreErrorKind};
use super::key::Key;

/// Whether an operation changes anything. Reads may be sent again on a fresh connection; writes never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Read,
    Write,
}

/// The scripts; their text lives with the Redis backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptId {
    SessionCommit,
    PrincipalAdd,
    PrincipalLeave,
    PrincipalMark,
    RateLimit,
    Lease,
    CacheAdmit,
    CacheExpire,
    CachePublish,
    CachePurge,
    Lock,
    StateCount,
    StateList,
    StateMembers,
    StateWrite,
    SelfCheck,
}

/// What to do: a plain command, a script, or one page of a scan for keys, whose key is a pattern.
#[derive(Clone, Copy, Debug)]
pub enum Verb {
    Plain(&'static str),
    Script(ScriptId),
    Scan { cursor: u64, count: u32 },
}

pub type Arg = Blob<'static>;

/// Bytes that belong to somebody else, to this value, or to several: long ones are never copied on their way.
#[derive(Clone)]
pub enum Blob<'a> {
    /// A part of what was received; the whole of it, where that is long enough to be shared instead of copied.
    Part(&'a [u8], Option<&'a Bytes>),
    Own(Vec<u8>),
    Shared(Bytes),
}

impl Deref for Blob<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Part(bytes, _) => bytes,
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// Shows no byte.
impl std::fmt::Debug for Blob<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Blob(..)")
    }
}

impl PartialEq for Blob<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Blob<'_> {}

impl Blob<'_> {
    pub fn into_owned(self) -> Vec<u8> {
        match self {
            Self::Part(bytes, _) => bytes.to_vec(),
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes.into(),
        }
    }

    /// The bytes; those that were `seen` before, where they are the same, so that nothing is copied.
    pub fn into_bytes_like(self, seen: Option<&Bytes>) -> Bytes {
        match seen {
            Some(seen) if **seen == *self => seen.clone(),
            _ => self.into_bytes(),
        }
    }

    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Part(bytes, Some(whole)) => whole.slice_ref(bytes),
            Self::Part(bytes, None) => Bytes::copy_from_slice(bytes),
            Self::Own(bytes) => bytes.into(),
            Self::Shared(bytes) => bytes,
        }
    }
}

/// One command on one key, or on several. Those of a write and of a script lie in one Cluster slot.
#[derive(Clone)]
pub struct Command {
    pub verb: Verb,
    pub class: Class,
    pub key: Key,
    /// The keys after the first.
    pub more: SmallVec<[Key; 3]>,
    pub args: Vec<Arg>,
    /// Whether replicas must confirm it, where that is wanted.
    pub lasts: bool,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Command").field("verb", &self.verb).finish_non_exhaustive()
    }
}

impl Command {
    fn new(verb: Verb, class: Class, key: Key) -> Self {
        Self { verb, class, key, more: SmallVec::new(), args: Vec::new(), lasts: false }
    }

    pub fn read(verb: &'static str, key: Key) -> Self {
        Self::new(Verb::Plain(verb), Class::Read, key)
    }

    pub fn write(verb: &'static str, key: Key) -> Self {
        Self::new(Verb::Plain(verb), Class::Write, key)
    }

    pub fn script(script: ScriptId, key: Key) -> Self {
        Self::new(Verb::Script(script), Class::Write, key)
    }

    pub fn scan(pattern: Key, cursor: u64, count: u32) -> Self {
        Self::new(Verb::Scan { cursor, count }, Class::Read, pattern)
    }

    /// The same with further keys; those of a write and of a script must lie in the first one's Cluster slot.
    pub fn with_keys(mut self, more: impl IntoIterator<Item = Key>) -> Self {
        self.more.extend(more);
        self
    }

    /// The same as a read: a script that writes nothing may be sent again.
    pub const fn reading(mut self) -> Self {
        self.class = Class::Read;
        self
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Key> {
        Keys { first: Some(&self.key), more: self.more.iter() }
    }

    pub fn arg(mut self, arg: impl Into<Vec<u8>>) -> Self {
        self.args.push(Blob::Own(arg.into()));
        self
    }

    /// Bytes that somebody else holds as well.
    pub fn shared(mut self, arg: Bytes) -> Self {
        self.args.push(Blob::Shared(arg));
        self
    }

    pub fn word(mut self, arg: &'static str) -> Self {
        self.args.push(Blob::Part(arg.as_bytes(), None));
        self
    }

    pub fn int(self, arg: impl Into<i128>) -> Self {
        self.arg(arg.into().to_string())
    }
}

struct Keys<'a> {
    first: Option<&'a Key>,
    more: std::slice::Iter<'a, Key>,
}

impl<'a> Iterator for Keys<'a> {
    type Item = &'a Key;

    fn next(&mut self) -> Option<&'a Key> {
        self.first.take().or_else(|| self.more.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::from(self.first.is_some()) + self.more.len();
        (left, Some(left))
    }
}

impl ExactSizeIterator for Keys<'_> {}

/// The commands of a batch: one, usually, and that without an allocation.
pub type Commands = SmallVec<[Command; 1]>;

/// One reply, as either backend gives it; Redis' refers to the bytes that were received.
#[derive(Clone, PartialEq, Eq)]
pub enum Reply<'a> {
    Nil,
    Int(i64),
    Bytes(Blob<'a>),
    Array(Vec<Self>),
}

/// A reply of the wrong shape is not this request's reply.
pub fn desync() -> StoreError {
    StoreError::new(StoreErrorKind::Desync)
}

impl<'a> Reply<'a> {
    pub fn int(self) -> Result<i64, StoreError> {
        match self {
            Self::Int(n) => Ok(n),
            _ => Err(desync()),
        }
    }

    pub fn text(self) -> Result<String, StoreError> {
        String::from_utf8(self.bytes()?.into_owned()).map_err(|_| desync())
    }

    pub fn bytes(self) -> Result<Blob<'a>, StoreError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(desync()),
        }
    }

    pub fn array(self) -> Result<Vec<Self>, StoreError> {
        match self {
            Self::Array(items) => Ok(items),
            _ => Err(desync()),
        }
    }

    /// The items of a script's answer, after a check that it speaks about `key`: every script echoes its key.
    pub fn echoed(self, key: &Key) -> Result<std::vec::IntoIter<Self>, StoreError> {
        let mut items = self.array()?.into_iter();
        match items.next() {
            Some(Self::Bytes(echo)) if *echo == *key.as_str().as_bytes() => Ok(items),
            _ => Err(desync()),
        }
    }

    /// The same, with bytes of its own.
    pub fn into_owned(self) -> Reply<'static> {
        match self {
            Self::Nil => Reply::Nil,
            Self::Int(n) => Reply::Int(n),
            Self::Bytes(bytes) => Reply::Bytes(Blob::Own(bytes.into_owned())),
            Self::Array(items) => Reply::Array(items.into_iter().map(Self::into_owned).collect()),
        }
    }
}

impl std::fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reply(..)")
    }
}

impl From<&str> for Reply<'static> {
    fn from(text: &str) -> Self {
        text.as_bytes().to_vec().into()
    }
}

impl From<Vec<u8>> for Reply<'static> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Blob::Own(bytes))
    }
}

impl From<Bytes> for Reply<'static> {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(Blob::Shared(bytes))
    }
}
