//! The operations of typed state: values with revisions, counters, sets, lists, and finding keys.
//!
//! What a value is, which revision it has and how it is written down is the engine's; here are bytes under keys. The first
//! [`HEAD`] bytes of a value are `1` and its revision, so that a script can compare it without reading the rest.

mod count;
mod list;
mod members;
mod read;
mod scan;
mod write;

pub use count::Count;
pub use list::{AllItems, PopItem, PushItem};
pub use members::{AboutMember, AddMember, Added, AllMembers, CountMembers, MemberVerb};
pub use read::{GetValue, GetValues, Remaining, Remains};
pub(in crate::store) use scan::glob;
pub use scan::{Scan, Scanned, Unlink};
pub use write::{Condition, Effect, RemoveValue, SetValue, Why, Write, WriteOutcome, WriteValues};

use bytes::Bytes;

use crate::store::error::StoreError;
use crate::store::key::Key;
use crate::store::memory::{Db, Value};
use crate::store::wire::Reply;

/// The length of what a value begins with, its format's version and its revision, in bytes.
pub const HEAD: usize = 17;

/// How long something lives from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lifetime {
    /// So many milliseconds, at least 1.
    Millis(u64),
    /// As long as it would have lived; there must be something.
    Keep,
    /// Until it is removed.
    Never,
}

impl Lifetime {
    /// As the scripts take it.
    fn word(self) -> String {
        match self {
            Self::Millis(ms) => ms.to_string(),
            Self::Keep => "keep".to_owned(),
            Self::Never => "never".to_owned(),
        }
    }
}

fn all_bytes(reply: Reply<'_>) -> Result<Vec<Bytes>, StoreError> {
    reply.array()?.into_iter().map(|item| Ok(item.bytes()?.into_bytes())).collect()
}

fn number(n: usize) -> Reply<'static> {
    Reply::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

/// Changes what is left of a collection, which keeps its end.
fn put_back(db: &mut Db, key: &Key, value: Value) -> Result<(), StoreError> {
    let ends_ms = db.expires_ms(key).unwrap_or(u64::MAX);
    db.put(key, value, ends_ms)
}
