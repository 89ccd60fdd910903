//! What a request knows of its session and wants of it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::engine::Engine;
use super::error::SessionError;
use super::event::SessionEvent;
use super::lifecycle::Lifetimes;
use super::token::{SessionHandle, Token};
use crate::store::StoreError;
use crate::store::op::{Change, Fields, Hash, Meta, Record};

/// Shared by all handles of one request's session. The async lock lets one load or save run at a time.
pub(super) struct Shared {
    pub(super) engine: Arc<Engine>,
    pub(super) io: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

impl Shared {
    pub(super) fn new(engine: Arc<Engine>, candidates: Candidates) -> Arc<Self> {
        let state = State { candidates, ..State::default() };
        Arc::new(Self { engine, io: tokio::sync::Mutex::new(()), state: Mutex::new(state) })
    }

    /// A session that was found outside of a request, or is to be made.
    pub(super) fn loaded(engine: Arc<Engine>, found: Option<(SessionHandle, Box<Record>)>) -> Arc<Self> {
        let mut state = State { phase: Phase::Loaded, asked: true, required: true, ..State::default() };
        if let Some((handle, record)) = found {
            state.adopt(handle, *record, None);
        }
        Arc::new(Self { engine, io: tokio::sync::Mutex::new(()), state: Mutex::new(state) })
    }

    /// Tells what happened, outside of the lock.
    pub(super) fn tell_events(&self) {
        let events = std::mem::take(&mut self.state().events);
        for event in &events {
            self.engine.tell(event);
        }
    }

    /// Never held across an await. No code panics while it is held, so a poisoned lock is still sound.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("handle", &self.state().handle).finish_non_exhaustive()
    }
}

/// The tokens that a request showed: one, usually.
pub(super) type Candidates = smallvec::SmallVec<[Token; 1]>;

#[derive(Default)]
pub(super) enum Phase {
    /// Not asked for from the store.
    #[default]
    Unloaded,
    /// Loaded, perhaps anonymous.
    Loaded,
    /// The store failed.
    Degraded(StoreError),
}

/// What the response is to carry.
#[derive(Default)]
pub(super) enum CookieOut {
    #[default]
    Nothing,
    Remove,
    Set(Token, Option<u64>),
}

/// A session that stands in the store.
pub(super) struct Current {
    pub(super) meta: Meta,
    /// Hash of the secret that the client holds; none outside of requests.
    pub(super) presented: Option<Hash>,
}

/// A sign-in that is to be written.
#[derive(Clone)]
pub(super) struct PendingLogin {
    pub(super) principal: String,
    /// When it was asked for, by the store's clock on this side and by this process's own.
    pub(super) asked_us: u64,
    pub(super) asked: Instant,
    pub(super) lifetimes: Option<Lifetimes>,
}

/// A session that is to be removed.
#[derive(Clone)]
pub(super) struct Removal {
    pub(super) handle: SessionHandle,
    pub(super) principal: Option<String>,
    /// It was removed, and is to be removed again because too few replicas confirmed it.
    pub(super) again: bool,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) candidates: Candidates,
    pub(super) phase: Phase,
    /// A record named another session when it was first read.
    pub(super) doubted: bool,
    /// Somebody wants the session.
    pub(super) asked: bool,
    /// Some load asked for `FailurePolicy::Required`.
    pub(super) required: bool,
    pub(super) current: Option<Current>,
    /// The handle of the current session, or of the one that the next save makes.
    pub(super) handle: Option<SessionHandle>,
    /// All fields but the metadata, with the recorded changes applied.
    pub(super) fields: Fields,
    pub(super) changes: Vec<Change>,
    /// Some recorded change adds a field, so that their number must be checked.
    pub(super) grew: bool,
    pub(super) login: Option<PendingLogin>,
    pub(super) rotate: bool,
    pub(super) removal: Option<Removal>,
    pub(super) cookie: CookieOut,
    /// The session ended under our hands: nothing more can be written, unless somebody signs in anew.
    pub(super) ended: bool,
    /// What happened, to be told when the state is no longer locked: the app's hook is foreign code.
    pub(super) events: Vec<SessionEvent>,
}

impl State {
    pub(super) fn adopt(&mut self, handle: SessionHandle, record: Record, presented: Option<Hash>) {
        self.handle = Some(handle);
        self.fields = record.fields;
        self.current = Some(Current { meta: record.meta, presented });
    }

    /// Forgets the session, so that the next write makes a new one.
    pub(super) fn forget(&mut self) {
        self.current = None;
        self.handle = None;
        self.fields.clear();
        self.changes.clear();
        self.login = None;
        self.rotate = false;
    }

    pub(super) fn principal(&self) -> Option<&str> {
        match &self.login {
            Some(login) => Some(&login.principal),
            None => self.current.as_ref()?.meta.principal.as_deref(),
        }
    }

    pub(super) fn check_writable(&self) -> Result<(), SessionError> {
        match self.phase {
            Phase::Degraded(_) => Err(SessionError::ReadOnly),
            _ if self.ended => Err(SessionError::Ended),
            _ => Ok(()),
        }
    }

    /// Applies a change to the view and records it for the save.
    pub(super) fn record(&mut self, change: Change) {
        self.grew |= self.adds_field(&change);
        match &change {
            Change::Set(name, value) => drop(self.fields.insert(name.clone(), value.clone())),
            Change::Remove(name) => drop(self.fields.remove(name)),
            Change::Clear => self.fields.retain(|name, _| name.starts_with('@')),
            Change::Add(..) => {}
        }
        // The last word on a name is all that the store needs to hear.
        if let Change::Set(name, _) | Change::Remove(name) = &change {
            self.changes
                .retain(|earlier| !matches!(earlier, Change::Set(n, _) | Change::Remove(n) if n == name));
        } else if matches!(change, Change::Clear) {
            self.changes.retain(
                |earlier| matches!(earlier, Change::Set(n, _) | Change::Remove(n) if n.starts_with('@')),
            );
        }
        self.changes.push(change);
    }

    pub(super) fn adds_field(&self, change: &Change) -> bool {
        matches!(change, Change::Set(name, _) | Change::Add(name, _) if !self.fields.contains_key(name))
    }

    /// Whether recorded changes concern this name: then they must be saved before it is added to.
    pub(super) fn has_changed(&self, name: &str) -> bool {
        self.changes.iter().any(|change| match change {
            Change::Set(n, _) | Change::Remove(n) | Change::Add(n, _) => n == name,
            Change::Clear => true,
        })
    }
}
