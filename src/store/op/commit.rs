//! Writing a session: one script, all or nothing.

mod decide;

use std::sync::Arc;

use super::SessionAt;
use super::record::{Hash, Meta};
use crate::store::error::StoreError;
use crate::store::key::KeyPrefix;
use crate::store::memory::Db;
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
    /// False where replicas were to confirm what was written and too few did in time.
    pub is_replicated: bool,
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

    /// A secret that was taken back must not open the session again, nor who signed out be signed in.
    fn lasts(&self) -> bool {
        let ends_secret = matches!(self.1.rotation, Rotation::Swap(_)) && self.1.expected != Expected::New;
        ends_secret || self.1.principal == Some(None)
    }

    /// The browser needs its new secret all the same.
    fn unreplicated(&self, committed: Committed) -> Result<Committed, StoreError> {
        let is_replicated = !matches!(committed.outcome, CommitOutcome::Done(..));
        Ok(Committed { is_replicated, ..committed })
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
        Ok(Committed { now_ms, outcome, is_replicated: true })
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
