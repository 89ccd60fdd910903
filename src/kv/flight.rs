//! One fetch of a value at a time in this process: who comes second has what the first one got.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use super::error::{KvError, SharedError};
use crate::store::key::Key;

/// How a fetch ended.
#[derive(Clone)]
pub(super) enum Landing {
    Flying,
    /// With these bytes.
    Fetched(Bytes),
    /// The fetcher failed.
    Failed(SharedError),
    /// What it fetched cannot be written.
    Refused(KvError),
    /// It was cancelled.
    Lost,
}

/// The fetches under way.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<Key, watch::Receiver<Landing>>>);

pub(super) enum Role {
    Leader(Flight),
    Follower(watch::Receiver<Landing>),
}

/// Held by who fetches. Dropped without [`land`](Self::land) the fetch is lost, and one of those who wait takes over.
pub(super) struct Flight {
    flights: Arc<Flights>,
    key: Key,
    tell: watch::Sender<Landing>,
}

impl Flights {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Nothing panics while the lock is held.
    fn map(&self) -> MutexGuard<'_, HashMap<Key, watch::Receiver<Landing>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There are no more of them than callers that wait, so they need no bound of their own.
    pub(super) fn join(self: &Arc<Self>, key: &Key) -> Role {
        let mut map = self.map();
        if let Some(told) = map.get(key) {
            return Role::Follower(told.clone());
        }
        let (tell, told) = watch::channel(Landing::Flying);
        map.insert(key.clone(), told);
        Role::Leader(Flight { flights: Arc::clone(self), key: key.clone(), tell })
    }
}

impl Flight {
    pub(super) fn land(self, landing: Landing) {
        self.tell.send_replace(landing);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.flights.map().remove(&self.key);
        self.tell.send_if_modified(|landing| {
            let lost = matches!(landing, Landing::Flying);
            if lost {
                *landing = Landing::Lost;
            }
            lost
        });
    }
}

/// How somebody else's fetch ended; `None` when it takes longer than `until`.
pub(super) async fn landed(mut told: watch::Receiver<Landing>, until: Instant) -> Option<Landing> {
    let landed = told.wait_for(|landing| !matches!(landing, Landing::Flying));
    match tokio::time::timeout_at(until, landed).await {
        Ok(landing) => Some(landing.map_or(Landing::Lost, |landing| landing.clone())),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::key::KeyPrefix;

    fn key() -> Key {
        Key::new(&KeyPrefix::default(), "t", "a")
    }

    fn both(flights: &Arc<Flights>) -> (Flight, watch::Receiver<Landing>) {
        match (flights.join(&key()), flights.join(&key())) {
            (Role::Leader(flight), Role::Follower(told)) => (flight, told),
            _ => panic!("the first leads, the second follows"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_hears_how_it_ended_and_waits_no_longer_than_told() {
        let flights = Flights::new();
        let later = || Instant::now() + Duration::from_secs(1);
        let (flight, told) = both(&flights);
        assert!(landed(told.clone(), later()).await.is_none());
        flight.land(Landing::Fetched(Bytes::from_static(b"x")));
        assert!(matches!(landed(told, later()).await, Some(Landing::Fetched(bytes)) if *bytes == *b"x"));
        let (flight, told) = both(&flights);
        drop(flight);
        assert!(matches!(landed(told, later()).await, Some(Landing::Lost)));
        both(&flights);
    }
}
