//! What a save sends, taken out of the state before the await, and what its answer means for the state.

use std::sync::Arc;

use super::engine::{CookieLifetime, Engine};
use super::error::SessionError;
use super::event::SessionEvent;
use super::lifecycle::{Due, due, touch_interval_ms};
use super::state::{CookieOut, Current, PendingLogin, Removal, State};
use super::token::{Secret, SessionHandle, Token};
use crate::clock::millis;
use crate::store::op::{AddMember, Change, Commit, CommitOutcome, Expected, Meta, Rotation};
use crate::store::{StoreError, StoreErrorKind};

/// What one save sends.
pub(super) struct Plan {
    pub(super) removal: Option<Removal>,
    pub(super) commit: Option<PlannedCommit>,
    pub(super) index: Option<AddMember>,
    /// Only timers: a failure concerns nobody.
    pub(super) housekeeping: bool,
}

pub(super) struct PlannedCommit {
    pub(super) handle: SessionHandle,
    pub(super) token: Option<Token>,
    pub(super) login: Option<PendingLogin>,
    pub(super) commit: Arc<Commit>,
}

impl State {
    /// Whether a save would send anything.
    pub(super) fn has_work(&self, engine: &Engine) -> bool {
        self.removal.is_some() || self.has_changes() || self.due(engine) != Due::Nothing
    }

    fn has_changes(&self) -> bool {
        !self.changes.is_empty() || self.login.is_some() || self.rotate
    }

    fn due(&self, engine: &Engine) -> Due {
        let renewal_ms = millis(engine.config.lifetimes.renewal);
        self.current.as_ref().map_or(Due::Nothing, |current| {
            due(&current.meta, current.presented.as_ref(), renewal_ms, engine.store.now_ms())
        })
    }

    pub(super) fn plan(
        &mut self,
        engine: &Engine,
        add: Option<Change>,
    ) -> Result<Option<Plan>, SessionError> {
        let removal = self.removal.take();
        let due = self.due(engine);
        let writes = self.has_changes() || add.is_some();
        if !writes && due == Due::Nothing {
            let removal = removal.map(Some);
            return Ok(removal.map(|removal| Plan {
                removal,
                commit: None,
                index: None,
                housekeeping: false,
            }));
        }
        let commit = self.plan_commit(engine, due, add)?;
        let index = self.plan_index(engine, &commit, due);
        Ok(Some(Plan { housekeeping: !writes && removal.is_none(), removal, commit: Some(commit), index }))
    }

    fn plan_commit(
        &mut self,
        engine: &Engine,
        due: Due,
        add: Option<Change>,
    ) -> Result<PlannedCommit, SessionError> {
        let config = &engine.config;
        let handle = match &self.handle {
            Some(handle) => handle.clone(),
            None => self.handle.insert(SessionHandle::generate()?).clone(),
        };
        let swap = self.current.is_none() || self.login.is_some() || self.rotate;
        let token = if swap || due == Due::Renewal {
            Some(Token { handle: handle.clone(), secret: Secret::generate()? })
        } else {
            None
        };
        let rotation = match &token {
            Some(token) if swap => Rotation::Swap(token.secret.hash()),
            Some(token) => Rotation::Renew(token.secret.hash()),
            None => Rotation::Keep,
        };
        let login = self.login.take();
        self.rotate = false;
        let lifetimes = login.as_ref().and_then(|login| login.lifetimes).unwrap_or(config.lifetimes);
        let anew_session = self.current.is_none();
        let anew = anew_session || login.is_some();
        let idle_ms =
            self.current.as_ref().filter(|_| !anew).map_or(lifetimes.pair_ms().0, |c| c.meta.idle_ms);
        self.grew |= add.as_ref().is_some_and(|add| self.adds_field(add));
        let usual = due == Due::Nothing && !swap && !self.grew;
        let mut changes = std::mem::take(&mut self.changes);
        changes.extend(add);
        let commit = Commit {
            expected: self
                .current
                .as_ref()
                .map_or(Expected::New, |c| Expected::Generation(c.meta.generation)),
            presented: self.current.as_ref().and_then(|c| c.presented),
            rotation,
            grace_ms: millis(config.lifetimes.grace),
            lifetime: anew.then(|| lifetimes.pair_ms()),
            principal: login.as_ref().map(|login| Some(login.principal.clone())),
            // The usual write comes between two touches and needs neither the time nor the idle timer.
            touch_ms: (due != Due::Nothing || anew).then(|| touch_interval_ms(idle_ms)),
            // Beside the entries: metadata, label, CSRF token, and as many flash values again.
            max_fields: std::mem::take(&mut self.grew).then_some(config.max_entries * 2 + 3),
            // A rotation that nobody waits for any more must not kill the secret that the browser has.
            not_after_ms: if swap && !anew_session { engine.store.not_after_ms() } else { None },
            loaded: self.current.as_ref().filter(|_| usual).map(|c| c.meta.clone()),
            changes,
        };
        Ok(PlannedCommit { handle, token, login, commit: Arc::new(commit) })
    }

    fn plan_index(&self, engine: &Engine, planned: &PlannedCommit, due: Due) -> Option<AddMember> {
        let principal = match (&planned.login, &self.current) {
            (Some(login), _) => &login.principal,
            (None, Some(current)) if due != Due::Nothing => current.meta.principal.as_ref()?,
            _ => return None,
        };
        let idle_ms = planned
            .commit
            .lifetime
            .map_or_else(|| self.current.as_ref().map_or(0, |c| c.meta.idle_ms), |l| l.0);
        let asked_us = planned.login.as_ref().map(|login| login.asked_us);
        Some(AddMember {
            at: engine.principal_at(principal),
            handle: planned.handle.shared(),
            // Other requests may move the idle timer without moving this entry.
            ttl_ms: idle_ms.saturating_add(2 * touch_interval_ms(idle_ms)),
            login_age_us: asked_us.map(|asked_us| engine.store.clock().now_us().saturating_sub(asked_us)),
            most: engine.config.max_sessions,
        })
    }

    /// What was taken for a save that was not written goes back, so that another save can try it.
    pub(super) fn put_back(&mut self, plan: Plan) {
        if let Some(planned) = plan.commit {
            let mut commit = Arc::unwrap_or_clone(planned.commit);
            commit.changes.retain(|change| !matches!(change, Change::Add(..)));
            commit.changes.append(&mut self.changes);
            self.changes = commit.changes;
            self.grew |= commit.max_fields.is_some();
            self.rotate |= matches!(commit.rotation, Rotation::Swap(_)) && self.current.is_some();
            self.login = self.login.take().or(planned.login);
        }
        self.removal = self.removal.take().or(plan.removal);
    }

    pub(super) fn settle(
        &mut self,
        engine: &Engine,
        plan: Plan,
        outcome: CommitOutcome,
        now_ms: u64,
    ) -> Result<Vec<i64>, SessionError> {
        let refusal = match outcome {
            CommitOutcome::Done(meta, sums) => return Ok(self.take_over(engine, plan, meta, sums, now_ms)),
            CommitOutcome::Gone | CommitOutcome::Exists => {
                self.end();
                return if plan.housekeeping { Ok(Vec::new()) } else { Err(SessionError::Ended) };
            }
            CommitOutcome::Late => StoreError::new(StoreErrorKind::Timeout).into(),
            CommitOutcome::TooMany => SessionError::TooManyEntries,
            CommitOutcome::NotAnInteger => SessionError::NotAnInteger,
        };
        self.put_back(plan);
        Err(refusal)
    }

    fn take_over(
        &mut self,
        engine: &Engine,
        plan: Plan,
        meta: Option<Box<Meta>>,
        sums: Vec<i64>,
        now_ms: u64,
    ) -> Vec<i64> {
        let Some(planned) = plan.commit else { return sums };
        let additions = planned.commit.changes.iter().filter_map(|change| match change {
            Change::Add(name, _) => Some(name.clone()),
            _ => None,
        });
        for (name, sum) in additions.zip(&sums) {
            self.fields.insert(name, sum.to_string().into_bytes());
        }
        if let Some(meta) = meta {
            self.take_meta(engine, *meta, planned, now_ms);
        }
        sums
    }

    fn take_meta(&mut self, engine: &Engine, meta: Meta, planned: PlannedCommit, now_ms: u64) {
        let PlannedCommit { handle, token, login, commit } = planned;
        let mut presented = self.current.as_ref().and_then(|current| current.presented);
        if commit.expected == Expected::New {
            self.events.push(SessionEvent::Created(handle.clone()));
        } else if matches!(commit.rotation, Rotation::Swap(_)) {
            self.events.push(SessionEvent::Rotated(handle.clone()));
        }
        // A renewal that another request did first leaves its secret in place: that request sends the cookie.
        if let Some(token) = token
            && token.secret.hash() == meta.secret
        {
            if matches!(commit.rotation, Rotation::Renew(_)) {
                self.events.push(SessionEvent::Renewed(handle.clone()));
            }
            presented = Some(meta.secret);
            let persistent = engine.config.cookie_lifetime == CookieLifetime::Persistent;
            let remaining_s = meta.deadline_ms.saturating_sub(now_ms) / 1000;
            self.cookie = CookieOut::Set(token, persistent.then_some(remaining_s));
        }
        if let Some(login) = login {
            self.events.push(SessionEvent::LoggedIn { handle, principal: login.principal });
        }
        self.ended = false;
        self.current = Some(Current { meta, presented });
    }

    /// The session is gone: nothing is written any more, and no cookie is sent.
    pub(super) fn end(&mut self) {
        if let Some(handle) = self.handle.clone() {
            self.events.push(SessionEvent::LateSave(handle));
        }
        self.forget();
        self.cookie = CookieOut::Nothing;
        self.ended = true;
    }
}
