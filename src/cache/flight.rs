//! One fill at a time in this process: who comes second waits for the first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::store::key::Key;

/// The fills under way in this process, by where they are written.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<Key, watch::Receiver<Landing>>>);

/// How a fill ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Landing {
    /// Not yet.
    Flying,
    /// The response is stored.
    Stored,
    /// The handler answered, and its response cannot answer others.
    NotForOthers,
    /// Nobody knows what the handler would have answered: it was cancelled, or failed.
    Lost,
}

/// A request's part in the fill that it needs.
#[derive(Debug)]
pub(super) enum Role {
    /// It fills.
    Leader(Flight),
    /// Somebody else does.
    Follower(Follower),
    /// Too many fills are under way to keep count: it goes to the handler, and nothing is stored.
    Alone,
}

/// Held by who fills. Dropped without a [`land`](Self::land), the fill is lost, and one of those who wait takes over.
#[derive(Debug)]
pub(super) struct Flight {
    flights: Arc<Flights>,
    key: Key,
    tell: watch::Sender<Landing>,
}

/// Waits for somebody else's fill.
#[derive(Debug)]
pub(super) struct Follower(watch::Receiver<Landing>);

impl Flights {
    /// Nothing panics while the lock is held.
    fn map(&self) -> MutexGuard<'_, HashMap<Key, watch::Receiver<Landing>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the fill of a key, or begins it. At most `most` are under way.
    pub(super) fn join(self: &Arc<Self>, key: &Key, most: usize) -> Role {
        let mut map = self.map();
        if let Some(flight) = map.get(key) {
            return Role::Follower(Follower(flight.clone()));
        }
        if map.len() >= most {
            return Role::Alone;
        }
        let (tell, told) = watch::channel(Landing::Flying);
        map.insert(key.clone(), told);
        Role::Leader(Flight { flights: Arc::clone(self), key: key.clone(), tell })
    }
}

impl Flight {
    /// Tells those who wait how it ended.
    pub(super) fn land(self, landing: Landing) {
        self.tell.send_replace(landing);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.flights.map().remove(&self.key);
        self.tell.send_if_modified(|landing| {
            let lost = *landing == Landing::Flying;
            if lost {
                *landing = Landing::Lost;
            }
            lost
        });
    }
}

impl Follower {
    /// How the fill ended; `None` when it took longer than `at_most`.
    pub(super) async fn wait(mut self, at_most: Duration) -> Option<Landing> {
        let landed = self.0.wait_for(|landing| *landing != Landing::Flying);
        match tokio::time::timeout(at_most, landed).await {
            Ok(Ok(landing)) => Some(*landing),
            Ok(Err(_)) => Some(Landing::Lost),
            Err(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::key::KeyPrefix;

    fn key() -> Key {
        Key::new(&KeyPrefix::default(), "t", "a")
    }

    fn leader(flights: &Arc<Flights>) -> Flight {
        match flights.join(&key(), 1) {
            Role::Leader(flight) => flight,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn who_waits_hears_how_it_ended() {
        for landing in [Landing::Stored, Landing::NotForOthers] {
            let flights = Arc::default();
            let flight = leader(&flights);
            let Role::Follower(follower) = flights.join(&key(), 1) else { panic!("there is one") };
            flight.land(landing);
            assert_eq!(follower.wait(Duration::from_secs(9)).await, Some(landing));
            assert!(matches!(flights.join(&key(), 1), Role::Leader(_)), "it is over");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fill_that_is_given_up_frees_those_who_wait_and_nobody_waits_for_ever() {
        let flights = Arc::default();
        let flight = leader(&flights);
        let Role::Follower(patient) = flights.join(&key(), 1) else { panic!("there is one") };
        let Role::Follower(impatient) = flights.join(&key(), 1) else { panic!("there is one") };
        assert_eq!(impatient.wait(Duration::from_secs(1)).await, None);
        drop(flight);
        assert_eq!(patient.wait(Duration::from_secs(1)).await, Some(Landing::Lost));
    }

    #[test]
    fn only_so_many_are_counted() {
        let flights: Arc<Flights> = Arc::default();
        let _first = leader(&flights);
        let other = Key::new(&KeyPrefix::default(), "t", "b");
        assert!(matches!(flights.join(&other, 1), Role::Alone));
    }
}
