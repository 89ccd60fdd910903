//! A connection for reads while the server holds writes back on the one that all share.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::checkout::own_slot;
use super::link::{Link, WeakLink};
use super::manager::{Failures, Manager};

/// How long reads wait with the writes where there is no room for another connection.
const SHARED: Duration = Duration::from_secs(1);

pub(super) struct Aside {
    /// From when on a write that is not answered is held back: a tenth of the deadline.
    patience: Duration,
    state: Mutex<State>,
    /// Held by who opens a connection, so that all others wait for the same one.
    opening: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    last: WeakLink,
    shared_until: Option<Instant>,
}

impl Aside {
    pub(super) fn new(deadline: Duration) -> Self {
        Self { patience: deadline / 10, state: Mutex::default(), opening: tokio::sync::Mutex::default() }
    }

    pub(super) const fn patience(&self) -> Duration {
        self.patience
    }

    pub(super) fn is_held_up(&self, link: &Link) -> bool {
        link.is_held_up(self.patience)
    }

    /// This connection, or the one aside if this one is held up; `None` where there is none yet.
    pub(super) fn instead_of(&self, link: Link) -> Option<Link> {
        if !self.is_held_up(&link) || self.is_shared() { Some(link) } else { self.aside() }
    }

    /// One of the pool's that is not held up. Where there is none in half the time that is left, the one that is.
    pub(super) async fn link(
        &self,
        held_up: Link,
        pool: &bb8::Pool<Manager>,
        failures: &Failures,
        until: Instant,
    ) -> Link {
        let half = until.saturating_duration_since(Instant::now()) / 2;
        match timeout(half, self.another(pool, failures)).await {
            Ok(Some(link)) => link,
            Ok(None) | Err(_) => {
                self.state().shared_until = Some(Instant::now() + SHARED);
                held_up
            }
        }
    }

    /// The pool hands out another one, or opens it, while those that are held up are kept from it.
    async fn another(&self, pool: &bb8::Pool<Manager>, failures: &Failures) -> Option<Link> {
        let _opening = self.opening.lock().await;
        if self.is_shared() {
            return None;
        }
        let mut kept = Vec::new();
        loop {
            if let Some(link) = self.aside() {
                return Some(link);
            }
            let slot = own_slot(pool, failures).await.ok()?;
            if !self.is_held_up(&slot) {
                self.state().last = slot.downgrade();
            }
            kept.push(slot);
        }
    }

    fn aside(&self) -> Option<Link> {
        self.state().last.upgrade().filter(|aside| !self.is_held_up(aside))
    }

    fn is_shared(&self) -> bool {
        self.state().shared_until.is_some_and(|until| until > Instant::now())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
