//! Cache-aside: what is stored, or what a fetcher brings, fetched once for all who want it.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::codec::BoxError;
use super::engine::{Inner, KeyValue};
use super::error::{FetchError, KvError, SharedError};
use super::flight::{Landing, Role, landed};
use super::ttl::Ttl;
use crate::clock::micros;
use crate::random;
use crate::store::Part;
use crate::store::key::Key;
use crate::store::op::state::{Condition, Effect, GetValue, Lifetime, Write, WriteValues};
use crate::store::op::{Lease, LeaseOutcome, LeaseVerb};

/// What the store must have for it, beside what values need.
const PART: Part = Part {
    name: "fetches",
    is_kept: false,
    commands: &["ZADD", "ZREM", "ZSCORE", "ZCARD", "ZRANGE", "ZRANGEBYSCORE", "ZREMRANGEBYSCORE", "PEXPIRE"],
};

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Where a value lies, who may fetch it, and how long it is to live.
struct Place {
    key: Key,
    lease: Key,
    lifetime: Lifetime,
    until: Instant,
}

/// What a store that works says to who wants to fetch.
enum Turn<T> {
    /// Somebody stored it meanwhile.
    Stored(T, Bytes),
    /// Nobody else fetches: this process has the lease.
    Granted(Condition),
    /// Somebody else does, and takes too long.
    Overdue(Condition),
    /// The store failed.
    Failed,
}

impl<T: 'static> KeyValue<T> {
    /// The stored value, or what `fetch` brings, which is then stored for `ttl`, a tenth more or less.
    ///
    /// - **One fetch at a time.** Calls for the same key in this process wait for one of them and share its value, or its error. Among
    ///   processes a short lease decides; the others look again every 10 to 100 ms. So a thousand misses call one fetcher, and a fetch
    ///   that begins just as another one ends may be a second one. Nobody waits longer than `wait`, then it fetches by itself.
    /// - **A store that fails** is no error: `fetch` is called, still once at a time in this process, and its value returned.
    /// - **A stored value that cannot be read**, or is not valid any more, is fetched again and replaced.
    /// - **A value that was written meanwhile** is newer than what was fetched, and stays.
    /// - **Cancelled**, the fetch is taken over by another caller that waits.
    ///
    /// Hit: one `GET`. Miss: a `GET`; the lease with a `GET`; a script that writes, with the lease's end; and the lease again each third of its time.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_keep::kv::{KeyValue, Ttl};
    /// use tower_keep::store::Store;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let products = KeyValue::<Vec<String>>::new(Store::in_memory(), "products")?;
    /// let ttl = Ttl::After(Duration::from_secs(300));
    /// let load = async || Ok::<_, std::io::Error>(vec!["tea".to_owned()]); // asks a database
    /// assert_eq!(products.get_or_fetch("featured", ttl, load).await?, ["tea"]);
    /// let again = products.get_or_fetch("featured", ttl, async || Err(std::io::Error::other("not called"))).await?;
    /// assert_eq!(again, ["tea"]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`FetchError::Fetch`] when the fetcher failed, this one's or that of the call for which this one waited; nothing is stored then.
    /// [`FetchError::State`] for a key, a time to live ([`Ttl::KeepRemaining`] is none here) or a fetched value that cannot be used.
    pub async fn get_or_fetch<F, Fut, E>(&self, key: &str, ttl: Ttl, fetch: F) -> Result<T, FetchError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: Into<BoxError>,
    {
        let state = self.state();
        state.store.serves(&PART);
        let lifetime = match ttl.checked()? {
            Lifetime::Keep => return Err(KvError::Ttl.into()),
            _ => ttl.jittered().checked().or_else(|_| ttl.checked())?,
        };
        let lease = state.fetches.of(key).ok_or(KvError::Key)?;
        let place = Place { key: state.key(key)?, lease, lifetime, until: Instant::now() + state.wait };
        let store_serves = match state.store.run(GetValue(place.key.clone())).await {
            Ok(stored) => {
                if let Some((value, _)) = stored.and_then(|stored| state.readable(&place.key, &stored)) {
                    count("hit");
                    return Ok(value);
                }
                true
            }
            Err(error) => failed(&error),
        };
        let flight = loop {
            match state.flights.join(&place.key) {
                Role::Leader(flight) => break Some(flight),
                Role::Follower(told) => match landed(told, place.until).await {
                    Some(Landing::Fetched(bytes)) => {
                        count("shared");
                        return Ok(state.decode(&bytes)?);
                    }
                    Some(Landing::Failed(error)) => return Err(FetchError::Fetch(error)),
                    Some(Landing::Refused(error)) => return Err(FetchError::State(error)),
                    Some(Landing::Lost | Landing::Flying) => {}
                    None => break None,
                },
            }
        };
        let turn = match flight {
            _ if !store_serves => Turn::Failed,
            Some(_) => state.turn(&place).await,
            None => Turn::Overdue(Condition::Absent),
        };
        let fetched = match turn {
            Turn::Stored(value, bytes) => Ok((value, bytes)),
            turn => state.fetch(&place, &turn, fetch).await,
        };
        if let Some(flight) = flight {
            flight.land(match &fetched {
                Ok((_, bytes)) => Landing::Fetched(bytes.clone()),
                Err(FetchError::Fetch(error)) => Landing::Failed(SharedError::clone(error)),
                Err(FetchError::State(error)) => Landing::Refused(error.clone()),
            });
        }
        fetched.map(|(value, _)| value)
    }
}

impl<T: 'static> Inner<T> {
    /// A value that can be used, and its bytes.
    fn readable(&self, key: &Key, stored: &[u8]) -> Option<(T, Bytes)> {
        let Ok(versioned) = self.read(key, stored) else {
            count("corrupt");
            return None;
        };
        let (_, value) = super::record::read(stored, self.unprefixed(key))?;
        Some((versioned.value, Bytes::copy_from_slice(value)))
    }

    /// Fetches, and stores what comes as far as it is this caller's turn.
    async fn fetch<F, Fut, E>(
        &self,
        place: &Place,
        turn: &Turn<T>,
        fetch: F,
    ) -> Result<(T, Bytes), FetchError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: Into<BoxError>,
    {
        let fetched = self.renewing(place, turn, fetch()).await;
        count("fetched");
        let encoded = match fetched {
            Ok(value) => self.encode(&value).map(|bytes| (value, bytes)).map_err(FetchError::State),
            Err(error) => Err(FetchError::Fetch(error.into().into())),
        };
        match encoded {
            Ok((value, bytes)) => {
                self.keep(place, turn, &bytes).await?;
                Ok((value, bytes.into()))
            }
            Err(error) => {
                if matches!(turn, Turn::Granted(_)) {
                    self.release(place).await;
                }
                Err(error)
            }
        }
    }

    /// Keeps the lease while a future runs.
    async fn renewing<O>(&self, place: &Place, turn: &Turn<T>, work: impl Future<Output = O>) -> O {
        let mut work = pin!(work);
        loop {
            match timeout(self.lease / 3, &mut work).await {
                Ok(output) => return output,
                Err(_) if matches!(turn, Turn::Granted(_)) => {
                    if let Err(error) = self.store.run(self.lease(place, LeaseVerb::Take)).await {
                        failed(&error);
                    }
                }
                Err(_) => {}
            }
        }
    }

    /// Waits until the value is there, or until it is this process's turn to fetch it.
    async fn turn(&self, place: &Place) -> Turn<T> {
        let mut pause = FIRST_PAUSE;
        loop {
            let asked = (self.lease(place, LeaseVerb::Take), GetValue(place.key.clone()));
            let (lease, stored) = match self.store.batch(asked).await {
                Ok((Ok(lease), Ok(stored))) => (lease, stored),
                Ok((Err(error), _) | (_, Err(error))) | Err(error) => {
                    failed(&error);
                    return Turn::Failed;
                }
            };
            let condition = stored.as_deref().map_or(Condition::Absent, only_over);
            if let Some((value, bytes)) = stored.and_then(|stored| self.readable(&place.key, &stored)) {
                if lease.outcome == LeaseOutcome::Done {
                    self.release(place).await;
                }
                count("hit");
                return Turn::Stored(value, bytes);
            }
            if lease.outcome == LeaseOutcome::Done {
                return Turn::Granted(condition);
            }
            if Instant::now() >= place.until {
                return Turn::Overdue(condition);
            }
            tokio::time::sleep(pause / 2 + random::up_to(pause / 2)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn lease(&self, place: &Place, verb: LeaseVerb) -> Lease {
        let token = self.holder.clone();
        Lease { verb, key: place.lease.clone(), token, most: 1, ttl_us: micros(self.lease) }
    }

    async fn release(&self, place: &Place) {
        if let Err(error) = self.store.run(self.lease(place, LeaseVerb::Release)).await {
            failed(&error); // it ends by itself
        }
    }

    /// Stores what was fetched, unless somebody wrote meanwhile: that is newer. A store that cannot is no failure.
    async fn keep(&self, place: &Place, turn: &Turn<T>, value: &[u8]) -> Result<(), KvError> {
        let (Turn::Granted(condition) | Turn::Overdue(condition)) = *turn else { return Ok(()) };
        let (value, _) = self.stored(&place.key, value)?;
        let effect = Effect::Put(value, place.lifetime);
        let write = WriteValues::from(Write { key: place.key.clone(), condition, effect });
        let release = matches!(turn, Turn::Granted(_)).then(|| self.lease(place, LeaseVerb::Release));
        match self.store.batch((write, release)).await {
            Ok((Err(error), _) | (_, Some(Err(error)))) | Err(error) => _ = failed(&error),
            Ok(_) => {}
        }
        Ok(())
    }
}

/// A value that cannot be read is replaced, and no other in its place.
fn only_over(unreadable: &[u8]) -> Condition {
    let revision = unreadable.strip_prefix(b"1").and_then(|rest| rest.first_chunk());
    revision.map_or(Condition::Any, |revision| Condition::Revision(*revision))
}

fn count(what: &'static str) {
    crate::metric::count("tower_keep_fetches_total", what);
}

/// Takes note of a failure, which is none of the caller's. Gives `false`: the store does not serve.
fn failed(error: &crate::store::StoreError) -> bool {
    count("store");
    tracing::debug!(kind = error.kind().as_str(), "what was to be fetched is not stored");
    false
}
