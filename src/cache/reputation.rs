//! What is known of a fill before it begins: whether it is worth waiting for.

use std::time::Duration;

use tokio::time::Instant;

use super::engine::Engine;
use crate::store::key::Key;

/// What the last fill showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reputation {
    /// Its response was not for others: who comes next neither waits nor fills.
    NotForOthers,
    /// It failed, took too long, or gave what must be validated each time: who comes next fills if nobody else does, and does not wait.
    NeverWait,
}

/// For how long it is remembered.
const REMEMBERED_FOR: Duration = Duration::from_secs(5);

impl Engine {
    pub(super) fn reputation(&self, fill: &Key) -> Option<Reputation> {
        let (reputation, since) = self.reputations.get(fill)?;
        (since.elapsed() < REMEMBERED_FOR).then_some(reputation)
    }

    /// What comes now is for everybody, and worth waiting for.
    pub(super) fn restore(&self, fill: &Key) {
        self.reputations.remove(fill);
    }

    pub(super) fn remember(&self, fill: &Key, reputation: Reputation) {
        self.reputations.insert(fill.clone(), (reputation, Instant::now()));
    }
}
