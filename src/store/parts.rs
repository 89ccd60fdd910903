//! What engines built on a store need of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Backend, Store};

/// What an engine says of itself when it is built.
#[derive(Debug)]
pub(crate) struct Part {
    /// What is lost with its keys, in plural.
    pub name: &'static str,
    /// Whether its keys must not be evicted.
    pub is_kept: bool,
    /// The commands that it uses, beside those that all do.
    pub commands: &'static [&'static str],
}

/// What everything uses.
const BASE: [&str; 4] = ["EVALSHA", "EVAL", "DEL", "TIME"];

/// The parts of one store, each once.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    all: Mutex<Vec<&'static Part>>,
    is_checked: AtomicBool,
}

impl Parts {
    fn all(&self) -> MutexGuard<'_, Vec<&'static Part>> {
        self.0.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note that somebody has been told whether the server suits.
    pub(super) fn checked(&self) {
        self.0.is_checked.store(true, Ordering::Relaxed);
    }

    pub(super) fn are_checked(&self) -> bool {
        self.0.is_checked.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, part: &'static Part) {
        let mut all = self.all();
        if !all.iter().any(|other| other.name == part.name) {
            all.push(part);
        }
    }

    /// What must not be evicted.
    pub(super) fn kept(&self) -> Vec<&'static str> {
        self.all().iter().filter(|part| part.is_kept).map(|part| part.name).collect()
    }

    /// All commands, each once.
    pub(super) fn commands(&self) -> Vec<&'static str> {
        let mut commands = BASE.to_vec();
        for command in self.all().iter().flat_map(|part| part.commands) {
            if !commands.contains(command) {
                commands.push(command);
            }
        }
        commands
    }
}

impl Store {
    /// Whether what must last waits for replicas.
    pub(crate) fn waits_for_replicas(&self) -> bool {
        matches!(&self.backend, Backend::Redis(redis) if redis.has_replicas())
    }

    /// Takes note of what is built on this store.
    pub(crate) fn serves(&self, part: &'static Part) {
        self.parts.add(part);
    }
}
