//! Signing in and out, rotation, step-up and the CSRF token.

use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use super::engine::check_principal;
use super::error::{SessionConfigError, SessionError};
use super::handle::{Session, system_time};
use super::lifecycle::Lifetimes;
use super::state::{CookieOut, PendingLogin, Phase, Removal, State};
use super::token::{SessionHandle, random};
use crate::clock::millis;
use crate::store::op::{Change, LABEL};

const CSRF: &str = "@csrf";

/// Who signs in, and how.
#[derive(Clone)]
#[must_use]
pub struct Login {
    principal: String,
    label: Option<String>,
    lifetimes: Option<Lifetimes>,
}

impl Login {
    /// A principal as the app names it (a user's id): 1 to 256 bytes, no control characters.
    pub fn new(principal: impl Into<String>) -> Self {
        Self { principal: principal.into(), label: None, lifetimes: None }
    }

    /// What a list of devices shows, such as the `User-Agent`. Cut after 256 bytes; control characters become spaces.
    pub fn label(mut self, label: &str) -> Self {
        let clean = |c: char| if c.is_control() { ' ' } else { c };
        let mut label: String = label.chars().map(clean).collect();
        label.truncate((0..=256.min(label.len())).rev().find(|i| label.is_char_boundary(*i)).unwrap_or(0));
        self.label = Some(label).filter(|label| !label.is_empty());
        self
    }

    /// Other timers than the layer's for this session ("remember me"): its idle and absolute timeout.
    ///
    /// # Errors
    ///
    /// The [`SessionConfigError`] that says which timer cannot work.
    pub fn lifetimes(mut self, lifetimes: Lifetimes) -> Result<Self, SessionConfigError> {
        lifetimes.check()?;
        self.lifetimes = Some(lifetimes);
        Ok(self)
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

impl Session {
    /// Signs a principal in: the secret changes (the cookie from before is dead), the session is entered into the principal's
    /// index, and both are written in one round trip with the save.
    ///
    /// Entries stay, so a cart survives the sign-in; but a session of another principal is ended first and nothing of it
    /// stays. Returns the session's handle.
    ///
    /// If all sessions of the principal are revoked between this call and the save, the session is not made.
    ///
    /// # Errors
    ///
    /// [`Principal`](SessionError::Principal), [`ReadOnly`](SessionError::ReadOnly).
    pub fn login(&self, principal: &str) -> Result<SessionHandle, SessionError> {
        self.login_with(Login::new(principal))
    }

    /// [Signs in](Self::login) with a label or other timers.
    ///
    /// # Errors
    ///
    /// [`Principal`](SessionError::Principal), [`ReadOnly`](SessionError::ReadOnly).
    pub fn login_with(&self, login: Login) -> Result<SessionHandle, SessionError> {
        check_principal(&login.principal)?;
        let asked_us = self.0.engine.store.clock().now_us();
        let mut state = self.0.state();
        if matches!(state.phase, Phase::Degraded(_)) {
            return Err(SessionError::ReadOnly);
        }
        if state.ended {
            state.forget();
            state.ended = false;
        }
        if state.principal().is_some_and(|principal| principal != login.principal) {
            state.remove_current();
        }
        let handle = match &state.handle {
            Some(handle) => handle.clone(),
            None => SessionHandle::generate()?,
        };
        state.handle = Some(handle.clone());
        if let Some(label) = login.label {
            state.record(Change::Set(LABEL.to_owned(), label.into_bytes()));
        }
        if state.fields.contains_key(CSRF) {
            state.record(Change::Remove(CSRF.to_owned()));
        }
        let (principal, lifetimes) = (login.principal, login.lifetimes);
        state.login = Some(PendingLogin { principal, asked_us, asked: Instant::now(), lifetimes });
        Ok(handle)
    }

    /// Ends the session: it is removed with the save and the cookie with it. What is written afterwards makes a new one.
    ///
    /// # Errors
    ///
    /// [`ReadOnly`](SessionError::ReadOnly): whether there is a session is not known.
    pub fn logout(&self) -> Result<(), SessionError> {
        let mut state = self.0.state();
        if matches!(state.phase, Phase::Degraded(_)) {
            return Err(SessionError::ReadOnly);
        }
        if state.current.is_none() && !state.candidates.is_empty() {
            state.cookie = CookieOut::Remove;
        }
        state.remove_current();
        state.ended = false;
        Ok(())
    }

    /// Changes the secret with the save: the cookie from before is dead. For any change of what the session may do.
    ///
    /// # Errors
    ///
    /// [`ReadOnly`](SessionError::ReadOnly), [`Ended`](SessionError::Ended).
    pub fn rotate(&self) -> Result<(), SessionError> {
        let mut state = self.0.state();
        state.check_writable()?;
        state.rotate = state.current.is_some();
        Ok(())
    }

    /// Who is signed in.
    #[must_use]
    pub fn principal(&self) -> Option<String> {
        self.0.state().principal().map(str::to_owned)
    }

    /// When the principal signed in.
    #[must_use]
    pub fn authenticated_at(&self) -> Option<SystemTime> {
        let state = self.0.state();
        if state.login.is_some() {
            return Some(system_time(self.0.engine.store.now_ms()));
        }
        let authenticated_ms = state.current.as_ref()?.meta.authenticated_ms;
        (authenticated_ms > 0).then(|| system_time(authenticated_ms))
    }

    /// A guard for what needs a recent sign-in (step-up, OWASP ASVS 7.5.1): returns who signed in within `age`.
    ///
    /// # Errors
    ///
    /// [`NotAuthenticated`](SessionError::NotAuthenticated), [`NotFresh`](SessionError::NotFresh).
    pub fn fresh_within(&self, age: Duration) -> Result<String, SessionError> {
        let now_ms = self.0.engine.store.now_ms();
        let state = self.0.state();
        let principal = state.principal().ok_or(SessionError::NotAuthenticated)?.to_owned();
        let authenticated_ms = match &state.login {
            Some(_) => now_ms,
            None => state.current.as_ref().map_or(0, |current| current.meta.authenticated_ms),
        };
        if now_ms.saturating_sub(authenticated_ms) > millis(age) {
            Err(SessionError::NotFresh)
        } else {
            Ok(principal)
        }
    }

    /// A token for forms, which [`check_csrf`](Self::check_csrf) accepts back. The first call in a session makes it; a sign-in changes it.
    ///
    /// # Errors
    ///
    /// [`ReadOnly`](SessionError::ReadOnly), [`Ended`](SessionError::Ended), [`Randomness`](SessionError::Randomness).
    pub fn csrf_token(&self) -> Result<String, SessionError> {
        let mut state = self.0.state();
        if let Some(token) = state.fields.get(CSRF).and_then(|token| String::from_utf8(token.clone()).ok()) {
            return Ok(token);
        }
        state.check_writable()?;
        let token = URL_SAFE_NO_PAD.encode(random::<32>()?);
        state.record(Change::Set(CSRF.to_owned(), token.clone().into_bytes()));
        Ok(token)
    }

    /// Compares a form's token with the session's, in constant time.
    ///
    /// # Errors
    ///
    /// [`CsrfMismatch`](SessionError::CsrfMismatch), also when the session never gave a token.
    pub fn check_csrf(&self, token: &str) -> Result<(), SessionError> {
        let state = self.0.state();
        let expected = state.fields.get(CSRF).ok_or(SessionError::CsrfMismatch)?;
        if bool::from(expected.ct_eq(token.as_bytes())) { Ok(()) } else { Err(SessionError::CsrfMismatch) }
    }
}

impl State {
    /// The current session is to be removed with the save; what follows is a new one.
    fn remove_current(&mut self) {
        if let Some(current) = self.current.take()
            && let Some(handle) = self.handle.take()
        {
            self.removal = Some(Removal { handle, principal: current.meta.principal, again: false });
        }
        self.forget();
    }
}
