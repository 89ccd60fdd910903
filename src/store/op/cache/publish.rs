//! Making a stored response visible.

use bytes::Bytes;

use super::record::{Head, Kind, Spec};
use crate::store::error::StoreError;
use crate::store::key::{Key, KeyPrefix};
use crate::store::memory::{Db, Value};
use crate::store::operation::{Operation, sealed::Sealed};
use crate::store::wire::{Command, Reply, ScriptId, desync};

/// Stores a response under its URL, or as a variant of it, if who brings it still holds the right to fill it
/// ([`Lease`](crate::store::op::Lease)). The right ends with it. One script.
#[derive(Clone, Debug)]
pub struct Publish {
    /// The URL's key.
    pub url: Key,
    /// Where the right to fill lies.
    pub fill: Key,
    /// Who holds it.
    pub token: String,
    /// How long the response is stored, in milliseconds.
    pub ttl_ms: u64,
    /// The response, as the cache writes it.
    pub stored: Bytes,
    /// The variants that were seen, where the right is one to a single variant, or where the response is one: their soft purges and
    /// their generation. `None` where there were none.
    pub expected: Option<(u32, String)>,
    /// As which variant; `None` for a response that does not vary.
    pub variant: Option<VariantOf>,
}

/// As which variant of a URL a response is stored.
#[derive(Clone, Debug)]
pub struct VariantOf {
    /// The variant's key, in `generation`.
    pub key: Key,
    /// The generation that was seen, or a random word.
    pub generation: String,
    /// The request fields by which variants differ: one line.
    pub fields: String,
    /// How many variants of a generation are stored; with more, the URL begins anew.
    pub most: u64,
}

/// The answer to [`Publish`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is stored.
    Stored,
    /// Somebody else fills by now, or the URL was purged.
    Lost,
    /// The URL has other variants than were seen.
    Changed,
    /// There were too many variants; all are forgotten.
    Full,
}

impl Published {
    const fn word(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Lost => "lost",
            Self::Changed => "changed",
            Self::Full => "full",
        }
    }
}

impl Sealed for Publish {}

impl Operation for Publish {
    type Output = Published;

    fn command(&self, _: &KeyPrefix) -> Command {
        let command = Command::script(ScriptId::CachePublish, self.url.clone())
            .with_keys([self.fill.clone()])
            .arg(self.token.as_str())
            .int(self.ttl_ms.max(1))
            .shared(self.stored.clone())
            .arg(
                self.expected
                    .as_ref()
                    .map_or_else(String::new, |(counter, generation)| format!("{counter:08x}{generation}")),
            );
        let Some(variant) = &self.variant else { return command };
        command
            .with_keys([variant.key.clone()])
            .arg(variant.generation.as_str())
            .arg(variant.fields.as_str())
            .int(variant.most)
            .int(Spec::MAX_FIELDS as u64)
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let mut holders = db.sorted(&self.fill)?;
        let holds = holders.remove(&self.token).is_some_and(|ends| ends > db.now_us());
        let outcome = if holds {
            let last = holders.values().max().map_or(0, |end| end.div_ceil(1000));
            db.put(&self.fill, Value::Sorted(holders), last)?;
            self.store(db)?
        } else {
            Published::Lost
        };
        Ok(Reply::Array(vec![self.url.as_str().into(), outcome.word().into()]))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<Published, StoreError> {
        let word = reply.echoed(&self.url)?.next().ok_or_else(desync)?.bytes()?;
        let all = [Published::Stored, Published::Lost, Published::Changed, Published::Full];
        all.into_iter().find(|outcome| *word == *outcome.word().as_bytes()).ok_or_else(desync)
    }
}

impl Publish {
    fn store(&self, db: &mut Db) -> Result<Published, StoreError> {
        let ends = db.now_ms().saturating_add(self.ttl_ms.max(1));
        let held = db.blob(&self.url).and_then(Head::split).filter(|(head, _)| head.kind == Kind::Spec);
        let held = held.and_then(|(head, rest)| Some((head.counter, Spec::parse(&rest)?)));
        let seen = held.as_ref().map(|(counter, spec)| (*counter, spec.generation.clone()));
        if seen != self.expected && (self.variant.is_some() || self.expected.is_some()) {
            return Ok(Published::Changed);
        }
        let Some(variant) = &self.variant else {
            let value = Head { kind: Kind::Entry, counter: 0 }.join(&self.stored);
            db.put_blob(&self.url, value, ends)?;
            return Ok(Published::Stored);
        };
        let new = Spec { generation: variant.generation.clone(), count: 0, fields: Vec::new() };
        let (counter, mut spec) = held.unwrap_or((0, new));
        spec.count += u64::from(db.blob(&variant.key).is_none());
        if spec.count > variant.most {
            db.remove_blob(&self.url);
            return Ok(Published::Full);
        }
        spec.lead_with(&variant.fields);
        let entry = Head { kind: Kind::Entry, counter }.join(&self.stored);
        let ends_spec = db.blob_expires_ms(&self.url).map_or(ends, |before| before.max(ends));
        db.put_blob(&variant.key, entry, ends)?;
        let spec = Head { kind: Kind::Spec, counter }.join(spec.to_text().as_bytes());
        db.put_blob(&self.url, spec, ends_spec)?;
        Ok(Published::Stored)
    }
}
