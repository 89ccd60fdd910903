//! Writing a session: one script, all or nothing.

use std::sync::Arc;

use super::Fields;
use super::SessionAt;
use super::record::{Hash, META, Meta};
use crate::store::error::StoreError;
use crate::store::key::{Key, KeyPrefix};
use crate::store::memory::{Db, Value};
use crate::store::operation::{Operation, sealed::Sealed};
use crate::store::wire::{Command, Reply, ScriptId, desync};

/// One recorded change of an entry. Values are JSON text.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Puts a value under a name.
    Set(String, Vec<u8>),
    /// Removes a name.
    Remove(String),
    /// Removes all of the app's entries.
    Clear,
    /// Adds to an integer; a missing one counts as 0.
    Add(String, i64),
}

/// In which state the session must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// There must be none: this commit makes it.
    New,
    /// It must live and be of this generation.
    Generation(u64),
}

/// How the secret changes. The texts are hashes of secrets.
#[derive(Clone, PartialEq, Eq)]
pub enum Rotation {
    /// Not at all.
    Keep,
    /// The old secret ends at once: sign-in, change of rights, a new session.
    Swap(Hash),
    /// The old secret counts until the new one has been seen, and a grace after that: periodic renewal.
    Renew(Hash),
}

/// Writes a session: makes it, changes entries, rotates, signs in or out, or only touches it. One script.
#[derive(Clone)]
pub struct CommitSession(pub SessionAt, pub Arc<Commit>);

/// What a [`CommitSession`] writes.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The state that is expected.
    pub expected: Expected,
    /// Hash of the secret that the request showed; none outside of requests.
    pub presented: Option<Hash>,
    /// What happens to the secret.
    pub rotation: Rotation,
    /// How long the old secret counts after a renewed one was seen, ms.
    pub grace_ms: u64,
    /// New idle and absolute lifetime, ms.
    pub lifetime: Option<(u64, u64)>,
    /// `Some(Some(name))` signs in, `Some(None)` signs out, `None` keeps.
    pub principal: Option<Option<String>>,
    /// A change of entries alone moves the idle timer at most this often, ms; none: not at all.
    pub touch_ms: Option<u64>,
    /// The largest number of fields; none when the changes add none.
    pub max_fields: Option<usize>,
    /// By the store's clock, ms since the Unix epoch: from then on nothing is written, since nobody waits for it any more.
    pub not_after_ms: Option<u64>,
    /// The metadata as it was loaded. With it, one change of a field that is there, by the current secret and while no timer is
    /// due, goes the short way.
    pub loaded: Option<Meta>,
    /// The entries' changes, in order.
    pub changes: Vec<Change>,
}

/// What became of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The server's time, ms since the Unix epoch; 0 when the script did not need it.
    pub now_ms: u64,
    /// The verdict.
    pub outcome: CommitOutcome,
}

/// The verdict on a commit. Unless it is `Done`, nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommitOutcome {
    /// Written: the new metadata if it changed, and the sum of each [`Change::Add`].
    Done(Option<Box<Meta>>, Vec<i64>),
    /// The session ended, or the presented secret no longer opens it.
    Gone,
    /// A session with this handle exists already.
    Exists,
    /// It was carried out too late.
    Late,
    /// More entries than the limit.
    TooMany,
    /// An addition to something that is not an integer, or beyond ±2^53.
    NotAnInteger,
}

impl CommitSession {
    /// A commit to the session at `at`.
    #[must_use]
    pub fn new(at: SessionAt, commit: impl Into<Arc<Commit>>) -> Self {
        Self(at, commit.into())
    }
}

impl Sealed for CommitSession {}

impl Operation for CommitSession {
    type Output = Committed;

    fn command(&self, prefix: &KeyPrefix) -> Command {
        let commit = &self.1;
        if let Some(line) = commit.usual() {
            let command = Command::script(ScriptId::SessionCommit, self.0.key(prefix));
            let command = command.arg(line).int(commit.grace_ms);
            return commit.changes.iter().fold(command, push_change);
        }
        let (rotation, secret) = match &commit.rotation {
            Rotation::Keep => ("", ""),
            Rotation::Swap(secret) => ("swap", secret.as_str()),
            Rotation::Renew(secret) => ("renew", secret.as_str()),
        };
        let (idle, absolute) =
            commit.lifetime.map_or_else(Default::default, |(idle, all)| (idle.to_string(), all.to_string()));
        let principal = commit.principal.as_ref().map(|name| format!("={}", name.as_deref().unwrap_or("")));
        let expected = match commit.expected {
            Expected::New => "new".to_owned(),
            Expected::Generation(generation) => generation.to_string(),
        };
        let command = Command::script(ScriptId::SessionCommit, self.0.key(prefix))
            .arg(&*self.0.handle)
            .arg(expected)
            .arg(commit.presented.as_ref().map_or("", |presented| presented.as_str()))
            .word(rotation)
            .arg(secret)
            .int(commit.grace_ms)
            .arg(idle)
            .arg(absolute)
            .arg(principal.unwrap_or_default())
            .arg(commit.touch_ms.map(|ms| ms.to_string()).unwrap_or_default())
            .arg(commit.max_fields.map(|most| most.to_string()).unwrap_or_default())
            .arg(commit.not_after_ms.map(|ms| ms.to_string()).unwrap_or_default());
        commit.changes.iter().fold(command, push_change)
    }

    fn apply(&self, prefix: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let key = self.0.key(prefix);
        let now_ms = db.now_ms();
        let (status, meta, sums) = match self.1.decide(&self.0.handle, db.hash(&key)?, now_ms) {
            Ok(next) => next.write(&key, db)?,
            Err(refusal) => (refusal, None, Vec::new()),
        };
        let now = i64::try_from(now_ms).unwrap_or(i64::MAX);
        let mut items = vec![key.as_str().into(), status.into(), Reply::Int(now)];
        items.push(meta.as_deref().unwrap_or("").into());
        items.extend(sums.into_iter().map(Reply::Int));
        Ok(Reply::Array(items))
    }

    fn output(&self, prefix: &KeyPrefix, reply: Reply<'_>) -> Result<Committed, StoreError> {
        let mut items = reply.echoed(&self.0.key(prefix))?;
        let mut next = || items.next().ok_or_else(desync);
        let status = next()?.text()?;
        let now_ms = u64::try_from(next()?.int()?).map_err(|_| desync())?;
        let line = next()?.bytes()?;
        let sums = items.map(Reply::int).collect::<Result<_, _>>()?;
        let outcome = match status.as_str() {
            "ok" if line.is_empty() => CommitOutcome::Done(None, sums),
            "ok" => CommitOutcome::Done(Some(Box::new(Meta::parse(&line).ok_or_else(desync)?)), sums),
            "gone" => CommitOutcome::Gone,
            "exists" => CommitOutcome::Exists,
            "late" => CommitOutcome::Late,
            "full" => CommitOutcome::TooMany,
            "type" => CommitOutcome::NotAnInteger,
            _ => return Err(desync()),
        };
        Ok(Committed { now_ms, outcome })
    }
}

fn push_change(command: Command, change: &Change) -> Command {
    match change {
        Change::Set(name, value) => command.word("s").arg(name.as_str()).arg(value.clone()),
        Change::Remove(name) => command.word("r").arg(name.as_str()),
        Change::Clear => command.word("c"),
        Change::Add(name, by) => command.word("i").arg(name.as_str()).int(*by),
    }
}

/// What the embedded store will write: the same decisions as `session_commit.lua`, step by step.
struct Next {
    meta: Meta,
    meta_changed: bool,
    fields: Fields,
    sums: Vec<i64>,
    expires_ms: Option<u64>,
}

const MAX_INTEGER: i64 = (1 << 53) - 1;

impl Commit {
    /// The line that the script compares, if this is a write of the usual kind.
    fn usual(&self) -> Option<String> {
        let loaded = self.loaded.as_ref()?;
        let keeps = self.rotation == Rotation::Keep && self.lifetime.is_none() && self.principal.is_none();
        let nothing_due = self.touch_ms.is_none() && self.max_fields.is_none() && self.not_after_ms.is_none();
        let one = matches!(self.changes.as_slice(), [Change::Set(..) | Change::Add(..)]);
        let current = self.expected == Expected::Generation(loaded.generation)
            && self.presented.as_ref() == Some(&loaded.secret);
        (keeps && nothing_due && one && current).then(|| loaded.to_line())
    }

    fn decide(&self, handle: &str, stored: Option<&Fields>, now_ms: u64) -> Result<Next, &'static str> {
        if self.not_after_ms.is_some_and(|not_after_ms| now_ms >= not_after_ms) {
            return Err("late");
        }
        let mut meta = self.current(handle, stored, now_ms)?;
        let mut fields = stored.cloned().unwrap_or_default();
        fields.remove(META);
        let sums = self.change_fields(&mut fields)?;
        let meta_changed = self.change_lifecycle(&mut meta, now_ms);
        let mut expires_ms = None;
        if meta_changed {
            meta.seen_ms = now_ms;
            if meta.expires_ms() <= now_ms {
                return Err("gone");
            }
            expires_ms = Some(meta.expires_ms());
        }
        Ok(Next { meta, meta_changed, fields, sums, expires_ms })
    }

    fn current(&self, handle: &str, stored: Option<&Fields>, now_ms: u64) -> Result<Meta, &'static str> {
        let generation = match (self.expected, stored) {
            (Expected::New, Some(_)) => return Err("exists"),
            (Expected::New, None) => return Ok(self.fresh(handle, now_ms)),
            (Expected::Generation(generation), _) => generation,
        };
        let meta = stored.and_then(|fields| Meta::parse(fields.get(META)?)).ok_or("gone")?;
        let opens = self.presented.as_ref().is_none_or(|presented| {
            let graced = meta.grace_until_ms == 0 || now_ms < meta.grace_until_ms;
            *presented == meta.secret || (Some(presented) == meta.previous.as_ref() && graced)
        });
        if meta.handle == handle && meta.generation == generation && opens { Ok(meta) } else { Err("gone") }
    }

    fn fresh(&self, handle: &str, now_ms: u64) -> Meta {
        Meta {
            handle: handle.to_owned(),
            generation: 0,
            created_ms: now_ms,
            seen_ms: 0,
            renewed_ms: now_ms,
            authenticated_ms: 0,
            idle_ms: 0,
            deadline_ms: 0,
            grace_until_ms: 0,
            secret: Hash::whole([b'-'; 43]), // the rotation of a new session puts its own here
            previous: None,
            principal: None,
        }
    }

    fn change_fields(&self, fields: &mut Fields) -> Result<Vec<i64>, &'static str> {
        let mut sums = Vec::new();
        for change in &self.changes {
            match change {
                Change::Set(name, value) => drop(fields.insert(name.clone(), value.clone())),
                Change::Remove(name) => drop(fields.remove(name)),
                Change::Clear => fields.retain(|name, _| name.starts_with('@')),
                Change::Add(name, by) => {
                    let sum = add(fields.get(name).map(Vec::as_slice), *by).ok_or("type")?;
                    fields.insert(name.clone(), sum.to_string().into_bytes());
                    sums.push(sum);
                }
            }
        }
        let grows = self.changes.iter().any(|change| matches!(change, Change::Set(..) | Change::Add(..)));
        if grows && self.max_fields.is_some_and(|most| fields.len() + 1 > most) {
            Err("full")
        } else {
            Ok(sums)
        }
    }

    /// Whether the metadata changes, the idle timer included.
    fn change_lifecycle(&self, meta: &mut Meta, now_ms: u64) -> bool {
        let new = self.expected == Expected::New;
        let mut changed = new || self.lifetime.is_some() || self.principal.is_some();
        let by_current = self.presented.as_ref() == Some(&meta.secret);
        match &self.rotation {
            Rotation::Swap(secret) => {
                meta.generation += u64::from(!new);
                meta.renew(secret, None, now_ms);
                changed = true;
            }
            Rotation::Renew(secret)
                if by_current
                    || (meta.grace_until_ms == 0
                        && now_ms.saturating_sub(meta.renewed_ms) >= self.grace_ms) =>
            {
                meta.renew(secret, self.presented, now_ms);
                changed = true;
            }
            _ if meta.previous.is_some() && meta.grace_until_ms == 0 && by_current => {
                meta.grace_until_ms = now_ms.saturating_add(self.grace_ms);
                changed = true;
            }
            _ => {}
        }
        if let Some((idle_ms, absolute_ms)) = self.lifetime {
            meta.idle_ms = idle_ms;
            meta.deadline_ms = now_ms.saturating_add(absolute_ms);
        }
        if let Some(principal) = &self.principal {
            meta.principal.clone_from(principal);
            meta.authenticated_ms = principal.as_ref().map_or(0, |_| now_ms);
        }
        changed
            || now_ms < meta.seen_ms
            || self.touch_ms.is_some_and(|touch_ms| now_ms - meta.seen_ms >= touch_ms)
    }
}

impl Meta {
    fn renew(&mut self, secret: &Hash, previous: Option<Hash>, now_ms: u64) {
        self.secret = *secret;
        self.previous = previous;
        self.grace_until_ms = 0;
        self.renewed_ms = now_ms;
    }
}

impl Next {
    #[allow(clippy::type_complexity, reason = "the reply's items, taken apart by the only caller")]
    fn write(
        mut self,
        key: &Key,
        db: &mut Db,
    ) -> Result<(&'static str, Option<String>, Vec<i64>), StoreError> {
        let line = self.meta.to_line();
        self.fields.insert(META.to_owned(), line.clone().into_bytes());
        let expires_ms = self.expires_ms.or_else(|| db.expires_ms(key)).unwrap_or(0);
        db.put(key, Value::Hash(self.fields), expires_ms)?;
        Ok(("ok", self.meta_changed.then_some(line), self.sums))
    }
}

fn add(value: Option<&[u8]>, by: i64) -> Option<i64> {
    let text = value.map_or(Some("0"), |value| std::str::from_utf8(value).ok())?;
    let canonical = |number: &i64| number.to_string() == text;
    let sum = text.parse().ok().filter(canonical)?.checked_add(by)?;
    (-MAX_INTEGER..=MAX_INTEGER).contains(&sum).then_some(sum)
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Set(..) => "Set(..)",
            Self::Remove(_) => "Remove(..)",
            Self::Clear => "Clear",
            Self::Add(..) => "Add(..)",
        })
    }
}

impl std::fmt::Debug for Rotation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Keep => "Keep",
            Self::Swap(_) => "Swap(..)",
            Self::Renew(_) => "Renew(..)",
        })
    }
}

impl std::fmt::Debug for CommitSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommitSession")
            .field("at", &self.0)
            .field("changes", &self.1.changes.len())
            .finish_non_exhaustive()
    }
}
