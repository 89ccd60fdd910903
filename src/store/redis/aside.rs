//! A connection for reads while the server holds writes back on the one that all share.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::checkout::own_slot;
use super::link::{Link, WeakLink};
use super::manager::{Failures, Manager};

/// How long nobody tries again for another connection that could not be opened.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Aside {
    /// From when on a write that is not answered is held back: a tenth of the deadline.
    patience: Duration,
    /// The pool's connections.
    size: usize,
    state: Mutex<State>,
    /// Held by who opens a connection, so that all others wait for the same one.
    opening: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    last: WeakLink,
    /// Until when none is opened.
    not_before: Option<Instant>,
}

impl Aside {
    pub(super) fn new(deadline: Duration, size: u32) -> Self {
        Self {
            patience: deadline / 10,
            size: usize::try_from(size).unwrap_or(usize::MAX),
            state: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
        }
    }

    pub(super) const fn patience(&self) -> Duration {
        self.patience
    }

    pub(super) fn is_held_up(&self, link: &Link) -> bool {
        self.size > 1 && link.is_held_up(self.patience)
    }

    /// The connection aside if this one is held up and there is one, else this one.
    pub(super) fn instead_of(&self, link: Link) -> Link {
        if self.is_held_up(&link) { self.aside().unwrap_or(link) } else { link }
    }

    /// The connection aside, which the pool hands out or opens; `None` where there is no room for it.
    pub(super) async fn open(&self, pool: &bb8::Pool<Manager>, failures: &Failures) -> Option<Link> {
        let _opening = self.opening.lock().await;
        if let Some(link) = self.aside() {
            return Some(link);
        }
        if self.state().not_before.is_some_and(|at| at > Instant::now()) {
            return None;
        }
        let link = self.another(pool, failures).await;
        let mut state = self.state();
        match &link {
            Some(link) => state.last = link.downgrade(),
            None => state.not_before = Some(Instant::now() + PAUSE),
        }
        link
    }

    /// Those that are held up are kept from the pool meanwhile, so that it hands out another one.
    async fn another(&self, pool: &bb8::Pool<Manager>, failures: &Failures) -> Option<Link> {
        let mut kept = Vec::new();
        while kept.len() < self.size {
            let slot = own_slot(pool, failures).await.ok()?;
            if slot.is_broken() {
                continue; // put back, it is dropped
            }
            if !self.is_held_up(&slot) {
                return Some(slot.clone());
            }
            kept.push(slot);
        }
        None
    }

    fn aside(&self) -> Option<Link> {
        self.state().last.upgrade().filter(|aside| !self.is_held_up(aside))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
