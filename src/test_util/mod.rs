//! The acceptance suite of the store: what any backend must do, and ours do.
//!
//! ```
//! use std::time::Duration;
//! use tower_keep::clock::Clock;
//! use tower_keep::store::{MemoryLimits, Store};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let clock = Clock::manual(1_700_000_000_000);
//! let store = Store::in_memory_with(MemoryLimits::default(), clock.clone());
//! tower_keep::test_util::accept_store(&store, async |by| clock.advance(by)).await;
//! # }
//! ```

#![allow(clippy::expect_used, clippy::panic, reason = "an acceptance suite fails by panicking")]

mod batch;
mod cache;
mod entries;
mod expiry;
mod index;
mod leases;
mod life;
mod limits;
mod locks;
mod rotation;
mod state;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::store::Store;
use crate::store::op::{
    Change, Commit, CommitOutcome, CommitSession, Expected, Hash, LoadSession, Loaded, Record, Rotation,
    SessionAt,
};

/// Runs the whole suite against a store, and panics where it does not hold.
///
/// `advance` lets time pass for the store: it turns a manual clock, or waits. The suite lets pass less than four seconds in all.
///
/// # Panics
///
/// When the store does not do what it must.
pub async fn accept_store(store: &Store, advance: impl AsyncFn(Duration)) {
    life::accept(store).await;
    entries::accept(store).await;
    rotation::accept(store, &advance).await;
    index::accept(store, &advance).await;
    expiry::accept(store, &advance).await;
    batch::accept(store).await;
    limits::accept(store, &advance).await;
    leases::accept(store, &advance).await;
    cache::accept(store).await;
    state::accept(store, &advance).await;
    locks::accept(store, &advance).await;
}

/// A session that no other test uses, and how to talk about it.
struct Case<'a> {
    store: &'a Store,
    at: SessionAt,
}

const IDLE_MS: u64 = 600;
const HOUR_MS: u64 = 3_600_000;

fn unique() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    URL_SAFE_NO_PAD.encode(bytes)
}

fn hash(text: &str) -> Hash {
    Hash::new(text).expect("a short text")
}

impl<'a> Case<'a> {
    fn new(store: &'a Store) -> Self {
        Self { store, at: SessionAt { namespace: Arc::from("session"), handle: unique().into() } }
    }

    /// A case whose session stands in the store, with secret `s0`.
    async fn created(store: &'a Store) -> Self {
        let case = Self::new(store);
        let outcome = case.commit(case.creation()).await;
        assert!(matches!(outcome, CommitOutcome::Done(Some(_), _)), "a session is made: {outcome:?}");
        case
    }

    fn creation(&self) -> Commit {
        Commit {
            expected: Expected::New,
            rotation: Rotation::Swap(hash("s0")),
            lifetime: Some((HOUR_MS, 2 * HOUR_MS)),
            ..self.update(&[])
        }
    }

    /// A change of entries by a request that showed secret `s0`.
    fn update(&self, changes: &[Change]) -> Commit {
        Commit {
            expected: Expected::Generation(0),
            presented: Some(hash("s0")),
            rotation: Rotation::Keep,
            grace_ms: 300,
            lifetime: None,
            principal: None,
            touch_ms: Some(HOUR_MS),
            max_fields: Some(20),
            not_after_ms: None,
            loaded: None,
            changes: changes.to_vec(),
        }
    }

    async fn commit(&self, commit: Commit) -> CommitOutcome {
        let committed = self.store.run(CommitSession::new(self.at.clone(), commit)).await;
        committed.expect("the store serves").outcome
    }

    async fn change(&self, changes: &[Change]) -> CommitOutcome {
        self.commit(self.update(changes)).await
    }

    async fn load(&self) -> Loaded {
        self.store.run(LoadSession(self.at.clone())).await.expect("the store serves")
    }

    async fn record(&self) -> Record {
        match self.load().await {
            Loaded::Found(record) => *record,
            other => panic!("the session lives: {other:?}"),
        }
    }

    async fn field(&self, name: &str) -> Option<String> {
        let value = self.record().await.fields.remove(name)?;
        Some(String::from_utf8(value).expect("the suite writes text"))
    }
}

fn set(name: &str, value: &str) -> Change {
    Change::Set(name.to_owned(), value.as_bytes().to_vec())
}

fn remove(name: &str) -> Change {
    Change::Remove(name.to_owned())
}

fn add(name: &str, by: i64) -> Change {
    Change::Add(name.to_owned(), by)
}

fn is_done(outcome: &CommitOutcome) -> bool {
    matches!(outcome, CommitOutcome::Done(..))
}
