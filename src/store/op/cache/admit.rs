//! Whether a response may be stored.

use super::log::PurgeLog;
use super::version::TagVersion;
use crate::store::error::StoreError;
use crate::store::key::{Key, KeyPrefix};
use crate::store::memory::Db;
use crate::store::operation::{Operation, sealed::Sealed};
use crate::store::wire::{Command, Reply, ScriptId, desync};

/// Asks whether a response may be stored: nothing that concerns its tags was purged since its handler began. Makes the versions that
/// are missing, so that they can be asked later. One script.
#[derive(Clone, Debug)]
pub struct Admit {
    /// Whose log and tags.
    pub namespace: String,
    /// The log's key.
    pub log: Key,
    /// The keys of the response's tags.
    pub tags: Vec<Key>,
    /// Epoch and number as seen before the handler ran; `None` when there was no log.
    pub seen: Option<(String, u64)>,
    /// A random word, for a new log.
    pub fresh: String,
    /// How long the response is stored at most, in milliseconds.
    pub ttl_ms: u64,
}

/// The answer to [`Admit`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may be stored, in this epoch.
    Admitted(String),
    /// Something was purged that may concern it.
    Purged,
}

impl Sealed for Admit {}

impl Operation for Admit {
    type Output = Admission;

    fn command(&self, _: &KeyPrefix) -> Command {
        let (epoch, number) = self.seen.as_ref().map_or(("", 0), |(epoch, number)| (epoch, *number));
        Command::script(ScriptId::CacheAdmit, self.log.clone())
            .with_keys(self.tags.iter().cloned())
            .arg(self.namespace.as_str())
            .arg(epoch)
            .int(number)
            .arg(self.fresh.as_str())
            .int(self.ttl_ms.max(1))
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let ends = db.now_ms().saturating_add(self.ttl_ms.max(1));
        let log = db.blob(&self.log).and_then(|text| PurgeLog::parse(&self.namespace, text));
        let (mut admitted, log) = match log {
            Some(log) => (self.seen.as_ref().map_or(log.number == 0, |seen| seen.0 == log.epoch), log),
            None => {
                (self.seen.is_none(), PurgeLog { epoch: self.fresh.clone(), number: 0, bans: Vec::new() })
            }
        };
        keep(db, &self.log, log.to_text(&self.namespace), ends)?;
        let number = self.seen.as_ref().map_or(0, |seen| seen.1);
        for tag in &self.tags {
            let version = db.blob(tag).and_then(|text| TagVersion::parse(&log, text));
            let version = version.unwrap_or(TagVersion { hard: log.number, soft: log.number });
            keep(db, tag, version.to_text(&log.epoch), ends)?;
            admitted &= version.hard <= number;
        }
        let verdict = Reply::Int(admitted.into());
        Ok(Reply::Array(vec![self.log.as_str().into(), verdict, log.epoch.as_str().into()]))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<Admission, StoreError> {
        let mut items = reply.echoed(&self.log)?;
        let admitted = items.next().ok_or_else(desync)?.int()? == 1;
        let epoch = items.next().ok_or_else(desync)?.text()?;
        Ok(if admitted { Admission::Admitted(epoch) } else { Admission::Purged })
    }
}

/// Puts a text that lives until `ends` at least.
fn keep(db: &mut Db, key: &Key, text: String, ends: u64) -> Result<(), StoreError> {
    let ends = db.blob_expires_ms(key).map_or(ends, |before| before.max(ends));
    db.put_blob(key, text.into(), ends)
}
