//! `Session`: what handlers hold.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::engine::CorruptEntry;
use super::error::SessionError;
use super::state::{Phase, Shared, State};
use super::token::SessionHandle;
use crate::store::op::Change;

const FLASH: &str = "@flash:";
const MAX_NAME: usize = 128;

/// A loaded session: synchronous accessors over what the store held when it was loaded and what was recorded since.
///
/// Changes are recorded one by one and saved together, once, when the response is there (or by [`save`](Self::save)); two
/// requests that change different entries at the same time both win. A session that nobody writes to is never made.
///
/// Clones are the same session. A task that outlives its request (WebSocket, server-sent events) calls [`save`](Self::save)
/// itself; if it lives for longer than a renewal, it opens the session anew by its handle
/// ([`Sessions::open`](super::Sessions::open)), since the secret that its request showed ends with the renewal's grace.
#[derive(Clone, Debug)]
pub struct Session(pub(super) Arc<Shared>);

impl Session {
    /// Reads an entry. `None` when there is none.
    ///
    /// # Errors
    ///
    /// [`SessionError::Decode`] when the entry is of another type, or its bytes are not JSON and the policy is
    /// [`CorruptEntry::Report`]; [`SessionError::Name`].
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, SessionError> {
        check_name(name)?;
        self.read(name, Self::corrupt_policy(self))
    }

    /// Puts a value under a name: 1 to 128 bytes, not beginning with `@`. Putting the same value again writes nothing.
    ///
    /// # Errors
    ///
    /// [`SessionError::Name`], [`Encode`](SessionError::Encode), [`TooManyEntries`](SessionError::TooManyEntries),
    /// [`TooLarge`](SessionError::TooLarge); [`ReadOnly`](SessionError::ReadOnly) when the store had failed,
    /// [`Ended`](SessionError::Ended) when the session was revoked under way.
    pub fn insert<T: Serialize + ?Sized>(&self, name: &str, value: &T) -> Result<(), SessionError> {
        check_name(name)?;
        self.put(name.to_owned(), value)
    }

    /// Removes an entry; tells whether it was there. Removing what is not there writes nothing.
    ///
    /// # Errors
    ///
    /// [`ReadOnly`](SessionError::ReadOnly), [`Ended`](SessionError::Ended).
    pub fn remove(&self, name: &str) -> Result<bool, SessionError> {
        check_name(name)?;
        let mut state = self.0.state();
        state.check_writable()?;
        let present = state.fields.contains_key(name);
        if present {
            state.record(Change::Remove(name.to_owned()));
        }
        Ok(present)
    }

    /// Removes all entries. The session itself, who signed in, and flash values stay.
    ///
    /// # Errors
    ///
    /// [`ReadOnly`](SessionError::ReadOnly), [`Ended`](SessionError::Ended).
    pub fn clear(&self) -> Result<(), SessionError> {
        let mut state = self.0.state();
        state.check_writable()?;
        if state.fields.keys().any(|name| !name.starts_with('@')) {
            state.record(Change::Clear);
        }
        Ok(())
    }

    /// Adds to an integer entry, atomically among all requests, and returns the sum; a missing entry counts as 0. Saves what
    /// was recorded before, in the same round trip.
    ///
    /// # Errors
    ///
    /// [`NotAnInteger`](SessionError::NotAnInteger) when the entry is something else or the sum is beyond ±2^53;
    /// [`Store`](SessionError::Store), [`Ended`](SessionError::Ended), [`ReadOnly`](SessionError::ReadOnly).
    pub async fn increment(&self, name: &str, by: i64) -> Result<i64, SessionError> {
        check_name(name)?;
        self.0.state().check_writable()?;
        self.0.check_room(name, 20)?;
        self.0.save_and_add(name, by).await
    }

    /// All entries whose bytes are JSON, by name.
    #[must_use]
    pub fn entries(&self) -> BTreeMap<String, serde_json::Value> {
        let state = self.0.state();
        let entries = state.fields.iter().filter(|(name, _)| !name.starts_with('@'));
        entries
            .filter_map(|(name, value)| Some((name.clone(), serde_json::from_slice(value).ok()?)))
            .collect()
    }

    /// Leaves a value for one later request, which [takes](Self::take_flash) it. As many flash values as entries fit.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn flash<T: Serialize + ?Sized>(&self, name: &str, value: &T) -> Result<(), SessionError> {
        check_name(name)?;
        self.put(format!("{FLASH}{name}"), value)
    }

    /// Takes a flash value: reads and removes it.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get) and [`remove`](Self::remove).
    pub fn take_flash<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, SessionError> {
        let name = format!("{FLASH}{name}");
        let value = self.read(&name, CorruptEntry::Drop)?;
        if value.is_some() {
            let mut state = self.0.state();
            state.check_writable()?;
            state.record(Change::Remove(name));
        }
        Ok(value)
    }

    /// The public handle: `None` for an anonymous session that was not saved yet.
    #[must_use]
    pub fn handle(&self) -> Option<SessionHandle> {
        self.0.state().handle.clone()
    }

    /// Whether the session stands in the store, as opposed to an anonymous one that nobody wrote to.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.0.state().current.is_some()
    }

    /// Whether the store failed while the session was loaded: it is anonymous, and changes are refused.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        matches!(self.0.state().phase, Phase::Degraded(_))
    }

    /// When the session was made.
    #[must_use]
    pub fn created_at(&self) -> Option<SystemTime> {
        self.0.state().current.as_ref().map(|current| system_time(current.meta.created_ms))
    }

    /// When the session was last used, to within the touch interval (a twentieth of the idle timeout, at most 5 minutes).
    #[must_use]
    pub fn last_seen_at(&self) -> Option<SystemTime> {
        self.0.state().current.as_ref().map(|current| system_time(current.meta.seen_ms))
    }

    /// Saves what was recorded now, in one round trip, instead of when the response is there. Needed after the response only.
    ///
    /// # Errors
    ///
    /// [`Ended`](SessionError::Ended) when the session was revoked meanwhile: nothing was written.
    /// [`Store`](SessionError::Store): nothing is lost, another save tries again; whether it was written is not known after a time-out.
    ///
    /// # Cancel safety
    ///
    /// A dropped save loses nothing that was recorded: the next save tries again. The same holds for
    /// [`increment`](Self::increment), but for the addition itself, which may or may not have happened.
    pub async fn save(&self) -> Result<(), SessionError> {
        self.0.save().await
    }

    /// The `Set-Cookie` value that a save outside of a request gave rise to, once. Inside a request the layer sends it.
    #[must_use]
    pub fn take_set_cookie(&self) -> Option<String> {
        self.0.state().take_cookie(&self.0.engine.config)
    }

    fn corrupt_policy(&self) -> CorruptEntry {
        self.0.engine.config.corrupt
    }

    fn read<T: DeserializeOwned>(&self, name: &str, policy: CorruptEntry) -> Result<Option<T>, SessionError> {
        let mut state = self.0.state();
        let Some(bytes) = state.fields.get(name) else { return Ok(None) };
        match serde_json::from_slice(bytes) {
            Ok(value) => Ok(Some(value)),
            Err(_) if policy == CorruptEntry::Report || is_json(bytes) => Err(SessionError::Decode),
            Err(_) => {
                crate::metric::count("tower_keep_session_corrupt_entries_total", "dropped");
                tracing::warn!("a session entry was not json and was dropped");
                state.drop_corrupt(name);
                Ok(None)
            }
        }
    }

    fn put<T: Serialize + ?Sized>(&self, name: String, value: &T) -> Result<(), SessionError> {
        let value = serde_json::to_vec(value).map_err(|error| SessionError::Encode(error.to_string()))?;
        self.0.state().check_writable()?;
        if self.0.state().fields.get(&name) == Some(&value) {
            return Ok(());
        }
        self.0.check_room(&name, value.len())?;
        self.0.state().record(Change::Set(name, value));
        Ok(())
    }
}

impl Shared {
    /// Whether `name` with so many bytes stays within the limits.
    pub(super) fn check_room(&self, name: &str, bytes: usize) -> Result<(), SessionError> {
        let (config, state) = (&self.engine.config, self.state());
        let is_entry = |name: &str| !name.starts_with('@');
        let alike =
            |other: &str| is_entry(other) == is_entry(name) && (is_entry(name) || other.starts_with(FLASH));
        let count = state.fields.keys().filter(|other| *other != name && alike(other)).count();
        if count + 1 > config.max_entries {
            return Err(SessionError::TooManyEntries);
        }
        let others = state.fields.iter().filter(|(other, _)| *other != name);
        let total: usize = others.map(|(name, value)| name.len() + value.len()).sum();
        if total + name.len() + bytes > config.max_bytes {
            return Err(SessionError::TooLarge);
        }
        Ok(())
    }
}

impl State {
    fn drop_corrupt(&mut self, name: &str) {
        if self.check_writable().is_ok() {
            self.record(Change::Remove(name.to_owned()));
        } else {
            self.fields.remove(name);
        }
    }
}

/// An error of the type may stop at the first byte and leave the rest unread.
fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

fn check_name(name: &str) -> Result<(), SessionError> {
    if name.is_empty() || name.len() > MAX_NAME || name.starts_with('@') {
        return Err(SessionError::Name);
    }
    Ok(())
}

pub(super) fn system_time(ms: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(ms)).unwrap_or(UNIX_EPOCH)
}
