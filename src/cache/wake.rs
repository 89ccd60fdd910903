//! Waking up who waits for what another process fills: by the message that it sends when it has stored something.
//!
//! One subscription for each cache, made when somebody waits and given up after a minute without messages when nobody does. It only ends pauses early:
//! whoever waits looks by itself as well, because messages get lost, and a pool of the user's cannot subscribe.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::engine::Engine;
use crate::store::key::Key;
use crate::store::{Heard, Listener, Store, StoreError, Topic};

/// The shortest and the longest pause between two looks at what another process fills.
pub(super) const PAUSES: (Duration, Duration) = (SHORTEST, Duration::from_millis(100));
pub(super) const SHORTEST: Duration = Duration::from_millis(10);
/// How many messages wait to be looked at. Who misses some looks by itself.
const CAPACITY: usize = 4096;
/// For how long nobody must have waited until the subscription ends, and how long it is not tried after it failed.
const QUIET: Duration = Duration::from_secs(60);

/// Who waits for which URL in this process.
#[derive(Debug, Default)]
pub(super) struct Wakes(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By the hash of the URL. As many as there are fills at most.
    waiting: HashMap<Box<str>, Vec<Arc<Notify>>>,
    listens: bool,
    failed: Option<Instant>,
}

impl Wakes {
    /// Nothing panics while the lock is held.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the caller is to see to it that somebody listens.
    fn enter(&self, url: &str, notify: &Arc<Notify>) -> bool {
        let mut state = self.state();
        state.waiting.entry(url.into()).or_default().push(Arc::clone(notify));
        let rests = state.failed.is_some_and(|failed| failed.elapsed() < QUIET);
        !rests && !std::mem::replace(&mut state.listens, true)
    }

    fn leave(&self, url: &str, notify: &Arc<Notify>) {
        let mut state = self.state();
        if let Some(waiting) = state.waiting.get_mut(url) {
            waiting.retain(|other| !Arc::ptr_eq(other, notify));
            if waiting.is_empty() {
                state.waiting.remove(url);
            }
        }
    }

    fn heard(&self, heard: &Heard) {
        let state = self.state();
        match heard {
            Heard::Message { message, .. } => {
                let waiting = std::str::from_utf8(message).ok().and_then(|url| state.waiting.get(url));
                waiting.into_iter().flatten().for_each(|notify| notify.notify_one());
            }
            // It may have been about anybody.
            Heard::Lagged(_) | Heard::Interrupted => {
                state.waiting.values().flatten().for_each(|notify| notify.notify_one());
            }
        }
    }

    /// Whether the subscription has ended, because nobody waits.
    fn end_if_idle(&self) -> bool {
        let mut state = self.state();
        state.listens = !state.waiting.is_empty();
        !state.listens
    }

    async fn listen(&self, store: Store, log: String) {
        match store.listen(Topic::Channel(log), CAPACITY).await {
            Ok(listener) => self.deliver(&listener).await,
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&self, error: &StoreError) {
        tracing::debug!(
            kind = error.kind().as_str(),
            "nobody is woken up when another process has filled the cache"
        );
        let mut state = self.state();
        (state.listens, state.failed) = (false, Some(Instant::now()));
    }

    async fn deliver(&self, listener: &Listener) {
        loop {
            match timeout(QUIET, poll_fn(|cx| listener.poll_heard(cx))).await {
                Ok(heard) => self.heard(&heard),
                Err(_) if self.end_if_idle() => return,
                Err(_) => {}
            }
        }
    }
}

/// A request that waits for a URL's fill.
#[derive(Debug)]
pub(super) struct Waiting {
    wakes: Arc<Wakes>,
    url: Box<str>,
    notify: Arc<Notify>,
}

impl Waiting {
    pub(super) fn for_fill(engine: &Engine, url: &Key) -> Self {
        let (wakes, notify) = (Arc::clone(&engine.wakes), Arc::<Notify>::default());
        if wakes.enter(url.hash_tag(), &notify)
            && let Some(runtime) = engine.store.background()
        {
            let (wakes, store, log) =
                (Arc::clone(&wakes), engine.store.clone(), engine.log.as_str().to_owned());
            runtime.spawn_listener(async move { wakes.listen(store, log).await });
        }
        Self { wakes, url: url.hash_tag().into(), notify }
    }

    /// Waits until something was stored under the URL, or may have been.
    pub(super) async fn woken(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.wakes.leave(&self.url, &self.notify);
    }
}
