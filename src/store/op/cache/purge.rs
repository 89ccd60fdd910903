//! Purging: by tag, below a path, everything, and one URL.

use super::log::{Ban, PurgeLog, Severity};
use super::record::Head;
use super::version::TagVersion;
use crate::store::error::StoreError;
use crate::store::key::{Key, KeyPrefix};
use crate::store::memory::Db;
use crate::store::operation::{Operation, sealed::Sealed};
use crate::store::wire::{Command, Reply, ScriptId, desync};

/// Purges what is stored under tags, below paths, or all of a namespace, whatever there is. One script, which takes no longer the
/// more there is.
#[derive(Clone, Debug)]
pub struct Purge {
    /// Whose.
    pub namespace: String,
    /// The log's key.
    pub log: Key,
    /// A random word, for a new log.
    pub fresh: String,
    /// How long any response is stored at most, in milliseconds.
    pub ttl_ms: u64,
    /// How.
    pub severity: Severity,
    /// What.
    pub what: What,
}

/// What is purged.
#[derive(Clone, Debug)]
pub enum What {
    /// What is stored under these tags.
    Tags(Vec<Key>),
    /// What is stored below these paths, as the log has them: without white space; `*` for everything.
    Paths(Vec<String>),
    /// Everything, hard.
    All,
}

impl Purge {
    /// How many purges by path are kept. With more of them, within the time that responses are stored, everything is purged.
    pub const MAX_BANS: usize = 128;

    fn tags(&self) -> &[Key] {
        match &self.what {
            What::Tags(tags) => tags,
            _ => &[],
        }
    }

    fn paths(&self) -> &[String] {
        match &self.what {
            What::Paths(paths) => paths,
            _ => &[],
        }
    }

    /// The log after this purge.
    fn written(&self, log: Option<PurgeLog>, now_ms: u64) -> PurgeLog {
        let mut log = match log {
            Some(log) if !matches!(self.what, What::All) => PurgeLog { number: log.number + 1, ..log },
            _ => PurgeLog { epoch: self.fresh.clone(), number: 1, bans: Vec::new() },
        };
        log.bans.retain(|ban| {
            let again = self.paths().contains(&ban.pattern)
                && (self.severity == Severity::Hard || ban.severity == Severity::Soft);
            ban.at_ms.saturating_add(self.ttl_ms) > now_ms && !again
        });
        let ban = |pattern: &String| Ban {
            number: log.number,
            severity: self.severity,
            at_ms: now_ms,
            pattern: pattern.clone(),
        };
        log.bans.extend(self.paths().iter().map(ban));
        if log.bans.len() > Self::MAX_BANS {
            log = PurgeLog { epoch: self.fresh.clone(), number: log.number, bans: Vec::new() };
        }
        log
    }
}

impl Sealed for Purge {}

impl Operation for Purge {
    type Output = ();

    fn command(&self, _: &KeyPrefix) -> Command {
        let all = if matches!(self.what, What::All) { "1" } else { "" };
        let command = Command::script(ScriptId::CachePurge, self.log.clone())
            .with_keys(self.tags().iter().cloned())
            .arg(self.namespace.as_str())
            .arg(self.fresh.as_str())
            .int(self.ttl_ms.max(1))
            .word(self.severity.word())
            .int(Self::MAX_BANS as u64)
            .word(all);
        self.paths().iter().fold(command, |command, path| command.arg(path.as_str()))
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let ends = db.now_ms().saturating_add(self.ttl_ms.max(1));
        let log = db.blob(&self.log).and_then(|text| PurgeLog::parse(&self.namespace, text));
        let log = self.written(log, db.now_ms());
        db.put_blob(&self.log, log.to_text(&self.namespace).into(), ends)?;
        for tag in self.tags() {
            let before = db.blob(tag).and_then(|text| TagVersion::parse(&log, text));
            let hard = match (self.severity, before) {
                (Severity::Soft, Some(version)) => version.hard,
                _ => log.number,
            };
            let version = TagVersion { hard, soft: log.number };
            db.put_blob(tag, version.to_text(&log.epoch).into(), ends)?;
        }
        let number = i64::try_from(log.number).unwrap_or(i64::MAX);
        Ok(Reply::Array(vec![self.log.as_str().into(), Reply::Int(number)]))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<(), StoreError> {
        reply.echoed(&self.log)?.next().ok_or_else(desync)?.int().map(drop)
    }
}

/// Removes values of the cache, and rights to fill: one `DEL`. Of a URL both: all variants are gone, and whoever fills it just now
/// stores nothing.
#[derive(Clone, Debug)]
pub struct Forget {
    first: Key,
    more: Vec<Key>,
}

impl Forget {
    /// `None` when there are no keys. They must lie in one Cluster slot.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Option<Self> {
        let mut keys = keys.into_iter();
        Some(Self { first: keys.next()?, more: keys.collect() })
    }

    /// All that is stored for a URL.
    #[must_use]
    pub fn url(url: Key) -> Self {
        Self { more: vec![url.cached_fill(None)], first: url }
    }
}

impl Sealed for Forget {}

impl Operation for Forget {
    type Output = ();

    fn command(&self, _: &KeyPrefix) -> Command {
        Command::write("DEL", self.first.clone()).with_keys(self.more.iter().cloned())
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let keys = std::iter::once(&self.first).chain(&self.more);
        Ok(Reply::Int(keys.map(|key| i64::from(db.remove_blob(key) | db.remove(key))).sum()))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<(), StoreError> {
        reply.int().map(drop)
    }
}

/// Makes what is stored for a URL stale, and whoever fills it just now stores nothing. One script.
#[derive(Clone, Debug)]
pub struct ExpireUrl {
    /// The URL's key.
    pub url: Key,
    /// Where the right to fill it lies.
    pub fill: Key,
}

impl Sealed for ExpireUrl {}

impl Operation for ExpireUrl {
    type Output = ();

    fn command(&self, _: &KeyPrefix) -> Command {
        Command::script(ScriptId::CacheExpire, self.url.clone()).with_keys([self.fill.clone()])
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        db.remove(&self.fill);
        let found = db.blob(&self.url).and_then(Head::split).zip(db.blob_expires_ms(&self.url));
        if let Some(((head, rest), ends)) = &found {
            let head = Head { counter: head.counter.wrapping_add(1), ..*head };
            db.put_blob(&self.url, head.join(rest), *ends)?;
        }
        Ok(Reply::Array(vec![self.url.as_str().into(), Reply::Int(found.is_some().into())]))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<(), StoreError> {
        reply.echoed(&self.url)?.next().ok_or_else(desync)?.int().map(drop)
    }
}
