//! Reading a session.

use super::record::{LABEL, META, Meta, Record};
use super::{Fields, SessionAt};
use crate::store::error::StoreError;
use crate::store::key::KeyPrefix;
use crate::store::memory::Db;
use crate::store::operation::{Operation, sealed::Sealed};
use crate::store::wire::{Command, Reply, desync};

/// Reads a whole session: one `HGETALL`.
#[derive(Clone, Debug)]
pub struct LoadSession(pub SessionAt);

/// What was under a session's key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loaded {
    /// No such session: never made, expired or revoked.
    Missing,
    /// A session.
    Found(Box<Record>),
    /// A record whose metadata cannot be read.
    Corrupt,
}

impl Sealed for LoadSession {}

impl Operation for LoadSession {
    type Output = Loaded;

    fn command(&self, prefix: &KeyPrefix) -> Command {
        Command::read("HGETALL", self.0.key(prefix))
    }

    fn apply(&self, prefix: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let fields = db.hash(&self.0.key(prefix))?.into_iter().flat_map(Fields::iter);
        Ok(Reply::Array(
            fields.flat_map(|(name, value)| [name.as_str().into(), value.clone().into()]).collect(),
        ))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<Loaded, StoreError> {
        let items = reply.array()?;
        if items.is_empty() {
            return Ok(Loaded::Missing);
        }
        if items.len() % 2 != 0 {
            return Err(desync());
        }
        // The outer one: whether there is such a field, which each of our records has.
        let (mut meta, mut fields) = (None, Vec::with_capacity(items.len() / 2));
        let mut items = items.into_iter();
        while let (Some(name), Some(value)) = (items.next(), items.next()) {
            let (name, value) = (name.bytes()?, value.bytes()?);
            if *name == *META.as_bytes() {
                meta = Some(Meta::parse(&value));
            } else if let Ok(name) = String::from_utf8(name.into_owned()) {
                // A name that is not UTF-8 cannot be one that this crate wrote; the rest of the session lives.
                fields.push((name, value.into_owned()));
            }
        }
        // Texts in pairs need not be a hash at all, but may be the values that another request asked for.
        let Some(meta) = meta.ok_or_else(desync)? else { return Ok(Loaded::Corrupt) };
        own_record(&meta, &self.0)?;
        Ok(Loaded::Found(Box::new(Record { meta, fields: Fields::from_iter(fields) })))
    }
}

/// Reads what a list of devices shows, without the entries: one `HMGET`.
#[derive(Clone, Debug)]
pub struct PeekSession(pub SessionAt);

/// A session's metadata and its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peeked {
    /// The metadata.
    pub meta: Meta,
    /// The name of the device or browser, as the app gave it.
    pub label: Option<String>,
}

impl Sealed for PeekSession {}

impl Operation for PeekSession {
    type Output = Option<Peeked>;

    fn command(&self, prefix: &KeyPrefix) -> Command {
        Command::read("HMGET", self.0.key(prefix)).word(META).word(LABEL)
    }

    fn apply(&self, prefix: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let fields = db.hash(&self.0.key(prefix))?;
        let field = |name| fields.and_then(|f| f.get(name)).map_or(Reply::Nil, |value| value.clone().into());
        Ok(Reply::Array(vec![field(META), field(LABEL)]))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<Self::Output, StoreError> {
        let Ok([meta, label]) = <[Reply; 2]>::try_from(reply.array()?) else { return Err(desync()) };
        let meta = match meta {
            Reply::Nil => return Ok(None),
            line => Meta::parse(&line.bytes()?),
        };
        let Some(meta) = meta else { return Ok(None) };
        own_record(&meta, &self.0)?;
        Ok(Some(Peeked { meta, label: label.text().ok() }))
    }
}

/// A record that names another handle came over a connection whose replies are shifted.
fn own_record(meta: &Meta, at: &SessionAt) -> Result<(), StoreError> {
    if *meta.handle == *at.handle { Ok(()) } else { Err(desync()) }
}
