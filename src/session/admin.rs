//! Sessions outside of requests: open, list, revoke, wait for the end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::engine::{Sessions, check_principal};
use super::error::SessionError;
use super::event::SessionEvent;
use super::handle::{Session, system_time};
use super::save::done_at_least;
use super::state::Shared;
use super::token::SessionHandle;
use crate::store::op::{
    HasMember, ListMembers, LoadSession, Loaded, MarkRevoked, Marked, PeekSession, Peeked, RemoveMember,
    RemoveSession, SessionExists,
};
use crate::store::{StoreError, StoreErrorKind};

/// How many sessions one round trip removes or reads.
const CHUNK: usize = 256;
/// How often a task that waits for the end of a session asks.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// One of a principal's sessions, as a list of devices shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The public handle, by which it can be revoked.
    pub handle: SessionHandle,
    /// When it was made.
    pub created_at: SystemTime,
    /// When it was last used, to within the touch interval.
    pub last_seen_at: SystemTime,
    /// When its principal signed in.
    pub authenticated_at: SystemTime,
    /// When it ends unless it is used.
    pub expires_at: SystemTime,
    /// The label given at sign-in.
    pub label: Option<String>,
}

impl SessionInfo {
    fn new(handle: SessionHandle, peeked: Peeked) -> Self {
        let Peeked { meta, label } = peeked;
        Self {
            handle,
            created_at: system_time(meta.created_ms),
            last_seen_at: system_time(meta.seen_ms),
            authenticated_at: system_time(meta.authenticated_ms),
            expires_at: system_time(meta.expires_ms()),
            label,
        }
    }
}

/// Whether a member of a principal's index belongs there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belongs {
    /// The session is this principal's.
    Yes,
    /// It ended, or is another principal's; neither ever changes, so the member can go.
    No,
    /// Nobody has signed in yet; a sign-in under way may be this principal's.
    Perhaps,
}

/// A key that holds a foreign value holds none of ours.
pub(super) fn tolerate<T: Default>(result: Result<T, StoreError>) -> Result<T, StoreError> {
    match result {
        Err(error) if error.kind() == StoreErrorKind::WrongType => {
            tracing::warn!("a key of this crate holds a foreign value; it is read as empty");
            Ok(T::default())
        }
        other => other,
    }
}

pub(super) fn belongs(peeked: Option<&Peeked>, principal: &str) -> Belongs {
    match peeked.map(|peeked| peeked.meta.principal.as_deref()) {
        Some(Some(found)) if found == principal => Belongs::Yes,
        Some(None) => Belongs::Perhaps,
        _ => Belongs::No,
    }
}

impl Sessions {
    /// A new anonymous session outside of a request. It is made by its first save; [`Session::take_set_cookie`] then gives its
    /// cookie.
    #[must_use]
    pub fn start(&self) -> Session {
        Session(Shared::loaded(Arc::clone(&self.0), None))
    }

    /// Opens a session by its handle, for a WebSocket task, a job or an administrator. One `HGETALL`.
    ///
    /// # Errors
    ///
    /// [`SessionError::Store`].
    pub async fn open(&self, handle: &SessionHandle) -> Result<Option<Session>, SessionError> {
        let load = || self.0.store.run(LoadSession(self.0.at(handle)));
        let loaded = match load().await {
            // Out of step, or a record under another's key: another connection tells, as in a request.
            Err(error) if error.kind() == StoreErrorKind::Desync => load().await,
            loaded => loaded,
        };
        match loaded {
            Ok(Loaded::Found(record)) => {
                let found = Some((handle.clone(), record));
                Ok(Some(Session(Shared::loaded(Arc::clone(&self.0), found))))
            }
            Ok(Loaded::Missing) => Ok(None),
            Ok(Loaded::Corrupt) => Ok(self.corrupt(handle)),
            Err(error) if matches!(error.kind(), StoreErrorKind::WrongType | StoreErrorKind::Desync) => {
                Ok(self.corrupt(handle))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn corrupt(&self, handle: &SessionHandle) -> Option<Session> {
        self.0.tell(&SessionEvent::Corrupt(handle.clone()));
        None
    }

    /// The sessions of a principal, those that end first first. Two round trips, and one more when ended sessions are to be
    /// taken out of the index.
    ///
    /// # Errors
    ///
    /// [`SessionError::Principal`], [`SessionError::Store`].
    pub async fn list(&self, principal: &str) -> Result<Vec<SessionInfo>, SessionError> {
        check_principal(principal)?;
        let handles = tolerate(self.0.store.run(ListMembers(self.0.principal_at(principal))).await)?;
        let (mut sessions, mut ended) = (Vec::new(), Vec::new());
        for chunk in handles.chunks(CHUNK) {
            let known: Vec<_> = chunk.iter().filter_map(|handle| SessionHandle::parse(handle)).collect();
            let peeks: Vec<_> = known.iter().map(|handle| PeekSession(self.0.at(handle))).collect();
            for (handle, peeked) in known.into_iter().zip(self.0.store.batch(peeks).await?) {
                let peeked = self.peeked(&handle, peeked).await?;
                match (belongs(peeked.as_ref(), principal), peeked) {
                    (Belongs::Yes, Some(peeked)) => sessions.push(SessionInfo::new(handle, peeked)),
                    (Belongs::No, _) => ended.push(handle.to_string()),
                    _ => {}
                }
            }
        }
        if !ended.is_empty() {
            self.0.store.run(RemoveMember(self.0.principal_at(principal), ended)).await?;
        }
        Ok(sessions)
    }

    /// A record that names another session came out of step, or lies under a key that is not its own: another connection tells.
    async fn peeked(
        &self,
        handle: &SessionHandle,
        first: Result<Option<Peeked>, StoreError>,
    ) -> Result<Option<Peeked>, StoreError> {
        let desync = |error: &StoreError| error.kind() == StoreErrorKind::Desync;
        let peeked = match first {
            Err(error) if desync(&error) => self.0.store.run(PeekSession(self.0.at(handle))).await,
            other => other,
        };
        if peeked.as_ref().is_err_and(desync) {
            return Ok(None);
        }
        tolerate(peeked)
    }

    /// Ends a session, whoever's it is. One `DEL`. Tells whether it lived.
    ///
    /// # Errors
    ///
    /// [`SessionError::Store`]: it may or may not have been ended; if too few replicas confirmed it
    /// ([`Unreplicated`](StoreErrorKind::Unreplicated)) it has, and calling this again asks again.
    pub async fn revoke(&self, handle: &SessionHandle) -> Result<bool, SessionError> {
        let lived = self.0.store.run(RemoveSession(self.0.at(handle))).await?;
        if lived {
            self.0.tell(&SessionEvent::Revoked(handle.clone()));
        }
        Ok(lived)
    }

    /// Ends a session if it is one of this principal's. Two round trips. `false`: not one of theirs, or ended already.
    ///
    /// # Errors
    ///
    /// [`SessionError::Principal`], [`SessionError::Store`].
    pub async fn revoke_of(&self, principal: &str, handle: &SessionHandle) -> Result<bool, SessionError> {
        check_principal(principal)?;
        let at = self.0.principal_at(principal);
        let asked = (HasMember(at.clone(), handle.shared()), PeekSession(self.0.at(handle)));
        let (member, peeked) = self.0.store.batch(asked).await?;
        let is_gone = matches!(peeked, Ok(None));
        let peeked = self.peeked(handle, peeked).await?;
        if is_gone && self.0.store.waits_for_replicas() {
            // It may have ended by a call that replicas did not confirm.
            self.0.store.run(RemoveSession(self.0.at(handle))).await?;
        }
        if !tolerate(member)? || belongs(peeked.as_ref(), principal) != Belongs::Yes {
            return Ok(false);
        }
        let leave = RemoveMember(at, vec![handle.to_string()]);
        let (removed, left) = self.0.store.batch((RemoveSession(self.0.at(handle)), leave)).await?;
        let lived = removed?;
        tolerate(left)?;
        if lived {
            self.0.tell(&SessionEvent::Revoked(handle.clone()));
        }
        Ok(lived)
    }

    /// Ends all sessions of a principal, also those whose sign-in is under way. Two round trips for up to 256 sessions.
    /// Returns how many ended.
    ///
    /// # Errors
    ///
    /// [`SessionError::Principal`], [`SessionError::Store`]: some may have ended; calling it again ends the rest. If too few replicas
    /// confirmed it ([`Unreplicated`](StoreErrorKind::Unreplicated)) all have ended, and calling it again asks again.
    pub async fn revoke_all(&self, principal: &str) -> Result<u64, SessionError> {
        self.revoke_except(principal, None).await
    }

    /// Ends all sessions of a principal but one. Two round trips for up to 256 sessions. Returns how many ended.
    ///
    /// # Errors
    ///
    /// As [`revoke_all`](Self::revoke_all).
    pub async fn revoke_others(&self, principal: &str, keep: &SessionHandle) -> Result<u64, SessionError> {
        self.revoke_except(principal, Some(keep)).await
    }

    async fn revoke_except(
        &self,
        principal: &str,
        keep: Option<&SessionHandle>,
    ) -> Result<u64, SessionError> {
        check_principal(principal)?;
        let at = self.0.principal_at(principal);
        let Marked { at_us, mut handles, is_replicated } = self.0.store.run(MarkRevoked(at.clone())).await?;
        let mut unreplicated = (!is_replicated).then(|| StoreErrorKind::Unreplicated.into());
        self.0.store.revocations().note(self.0.index_key(principal), at_us);
        handles.retain(|handle| keep.is_none_or(|keep| keep.as_str() != handle));
        let mut ended = 0;
        for chunk in handles.chunks(CHUNK) {
            let known: Vec<_> = chunk.iter().filter_map(|handle| SessionHandle::parse(handle)).collect();
            let removals: Vec<_> = known.iter().map(|handle| RemoveSession(self.0.at(handle))).collect();
            let (removed, left) =
                self.0.store.batch((removals, RemoveMember(at.clone(), chunk.to_vec()))).await?;
            for (handle, removed) in known.into_iter().zip(removed) {
                let lived = matches!(removed, Ok(true));
                unreplicated = done_at_least(removed.map(drop))?.or(unreplicated);
                if lived {
                    ended += 1;
                    self.0.tell(&SessionEvent::Revoked(handle));
                }
            }
            tolerate(left)?;
        }
        if let Some(error) = unreplicated {
            return Err(error.into());
        }
        Ok(ended)
    }

    /// Waits until a session has ended: revoked here or elsewhere, deleted, or expired. For connections that outlive their
    /// request. At once for what this process revokes, else within about 2 seconds: one `EXISTS` each 2 seconds. A failed
    /// store is not an end.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the waiting.
    pub async fn ended(&self, handle: &SessionHandle) {
        let mut revoked = self.0.revoked.subscribe();
        loop {
            if matches!(self.0.store.run(SessionExists(self.0.at(handle))).await, Ok(false)) {
                return;
            }
            let told = async {
                // A receiver that fell behind does not know what it missed and asks.
                while let Ok(ended) = revoked.recv().await {
                    if *ended == *handle.as_str() {
                        return;
                    }
                }
            };
            let _ = tokio::time::timeout(WATCH_INTERVAL, told).await;
        }
    }
}

impl Session {
    /// The other sessions of who is signed in, and this one. See [`Sessions::list`].
    ///
    /// # Errors
    ///
    /// [`NotAuthenticated`](SessionError::NotAuthenticated), [`Store`](SessionError::Store).
    pub async fn devices(&self) -> Result<Vec<SessionInfo>, SessionError> {
        self.sessions().list(&self.signed_in()?).await
    }

    /// Ends one of the sessions of who is signed in; `false` for any other. See [`Sessions::revoke_of`].
    ///
    /// # Errors
    ///
    /// [`NotAuthenticated`](SessionError::NotAuthenticated), [`Store`](SessionError::Store).
    pub async fn revoke_device(&self, handle: &SessionHandle) -> Result<bool, SessionError> {
        self.sessions().revoke_of(&self.signed_in()?, handle).await
    }

    /// Ends all other sessions of who is signed in, and rotates this one with the save. Returns how many ended.
    ///
    /// # Errors
    ///
    /// [`NotAuthenticated`](SessionError::NotAuthenticated), [`Store`](SessionError::Store),
    /// [`Ended`](SessionError::Ended).
    pub async fn logout_others(&self) -> Result<u64, SessionError> {
        let (principal, handle) = (self.signed_in()?, self.handle().ok_or(SessionError::NotAuthenticated)?);
        if self.0.state().login.is_some() {
            self.save().await?; // a sign-in that is only recorded would be refused with the others
        }
        let ended = self.sessions().revoke_others(&principal, &handle).await?;
        self.rotate()?;
        Ok(ended)
    }

    /// The engine of this session.
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        Sessions(Arc::clone(&self.0.engine))
    }

    fn signed_in(&self) -> Result<String, SessionError> {
        self.principal().ok_or(SessionError::NotAuthenticated)
    }
}
