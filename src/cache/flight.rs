//! One fill at a time in this process: who comes second waits for the first.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::sync::Cache;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::store::key::Key;

/// The fills under way in this process, by where they are written.
#[derive(Debug)]
pub(super) struct Flights {
    under_way: Mutex<HashMap<Key, Place>>,
    /// How many fills were stored so far, and the number of the last one of each key.
    landings: AtomicU64,
    landed: Cache<Key, u64>,
}

#[derive(Debug)]
struct Place {
    told: watch::Receiver<Landing>,
    /// Somebody waited for it in vain: nobody else shall.
    overdue: bool,
}

/// How a fill ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Landing {
    /// Not yet.
    Flying,
    /// The response is stored.
    Stored,
    /// The handler answered, and its response cannot answer others.
    NotForOthers,
    /// Nobody knows what the handler would have answered: it was cancelled, or failed, or was overtaken by a purge.
    Lost,
}

/// How many fills had been stored when a request looked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen(u64);

/// A request's part in the fill that it needs.
#[derive(Debug)]
pub(super) enum Role {
    /// It fills.
    Leader(Flight),
    /// Somebody else does.
    Follower(Follower),
    /// Somebody else did, after the request looked: it is worth another look.
    Late,
    /// Too many fills are under way to keep count, or this one takes too long: it goes to the handler, and nothing is stored.
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
pub(super) struct Follower {
    flights: Arc<Flights>,
    key: Key,
    told: watch::Receiver<Landing>,
}

impl Flights {
    /// `most`: of how many keys it is remembered that they were filled.
    pub(super) fn new(most: usize) -> Arc<Self> {
        let under_way = Mutex::default();
        Arc::new(Self { under_way, landings: AtomicU64::new(0), landed: Cache::new(most) })
    }

    /// Nothing panics while the lock is held.
    fn map(&self) -> MutexGuard<'_, HashMap<Key, Place>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be called before a request looks at what is stored.
    pub(super) fn seen(&self) -> Seen {
        Seen(self.landings.load(Ordering::SeqCst))
    }

    /// Joins the fill of a key, or begins it. At most `most` are under way. Who looked before the last fill was stored looks again:
    /// else the slowest of a thousand requests would fill once more.
    pub(super) fn join(self: &Arc<Self>, key: &Key, most: usize, seen: Seen) -> Role {
        let mut map = self.map();
        if let Some(place) = map.get(key) {
            if place.overdue {
                return Role::Alone;
            }
            return Role::Follower(Follower {
                flights: Arc::clone(self),
                key: key.clone(),
                told: place.told.clone(),
            });
        }
        if self.landed.get(key).is_some_and(|number| number > seen.0) {
            return Role::Late;
        }
        if map.len() >= most {
            return Role::Alone;
        }
        let (tell, told) = watch::channel(Landing::Flying);
        map.insert(key.clone(), Place { told, overdue: false });
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
        let mut map = self.flights.map();
        map.remove(&self.key);
        if *self.tell.borrow() == Landing::Stored {
            let number = self.flights.landings.fetch_add(1, Ordering::SeqCst) + 1;
            self.flights.landed.insert(self.key.clone(), number);
        }
        drop(map);
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
    /// How the fill ended; `None` when it took longer than `until`. Then nobody else waits for it.
    pub(super) async fn wait(mut self, until: Instant) -> Option<Landing> {
        let landed = self.told.wait_for(|landing| *landing != Landing::Flying);
        match tokio::time::timeout_at(until, landed).await {
            Ok(Ok(landing)) => return Some(*landing),
            Ok(Err(_)) => return Some(Landing::Lost),
            Err(_) => {}
        }
        if let Some(place) = self.flights.map().get_mut(&self.key)
            && place.told.same_channel(&self.told)
        {
            place.overdue = true;
        }
        None
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

    fn join(flights: &Arc<Flights>) -> Role {
        flights.join(&key(), 1, flights.seen())
    }

    fn leader(flights: &Arc<Flights>) -> Flight {
        match join(flights) {
            Role::Leader(flight) => flight,
            other => panic!("{other:?}"),
        }
    }

    fn follower(flights: &Arc<Flights>) -> Follower {
        match join(flights) {
            Role::Follower(follower) => follower,
            other => panic!("{other:?}"),
        }
    }

    fn later(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    #[tokio::test]
    async fn who_waits_hears_how_it_ended() {
        for landing in [Landing::Stored, Landing::NotForOthers] {
            let flights = Flights::new(9);
            let flight = leader(&flights);
            let follower = follower(&flights);
            flight.land(landing);
            assert_eq!(follower.wait(later(9)).await, Some(landing));
            assert!(matches!(join(&flights), Role::Leader(_)), "it is over");
        }
    }

    #[test]
    fn who_looked_before_it_was_stored_looks_again() {
        let flights = Flights::new(9);
        for (landing, late) in [(Landing::Stored, true), (Landing::NotForOthers, false)] {
            let seen = flights.seen();
            leader(&flights).land(landing);
            assert_eq!(matches!(flights.join(&key(), 1, seen), Role::Late), late);
            assert!(matches!(join(&flights), Role::Leader(_)), "who looked after that knows better");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fill_that_is_given_up_frees_those_who_wait_and_nobody_waits_for_ever() {
        let flights = Flights::new(9);
        let flight = leader(&flights);
        let (patient, impatient) = (follower(&flights), follower(&flights));
        assert_eq!(impatient.wait(later(1)).await, None);
        assert!(matches!(join(&flights), Role::Alone), "one has waited in vain for all");
        drop(flight);
        assert_eq!(patient.wait(later(1)).await, Some(Landing::Lost));
        let _next = leader(&flights);
        follower(&flights);
    }

    #[test]
    fn only_so_many_are_counted() {
        let flights = Flights::new(9);
        let _first = leader(&flights);
        let other = Key::new(&KeyPrefix::default(), "t", "b");
        assert!(matches!(flights.join(&other, 1, flights.seen()), Role::Alone));
    }
}
