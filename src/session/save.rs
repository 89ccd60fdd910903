//! Saving: one round trip that removes, writes and indexes, and what its answers mean.

use super::admin::{Belongs, belongs, tolerate};
use super::engine::{CookieLifetime, Engine};
use super::error::SessionError;
use super::event::SessionEvent;
use super::lifecycle::{Due, due, touch_interval_ms};
use super::state::{CookieOut, Current, PendingLogin, Removal, Shared, State};
use super::token::{Secret, SessionHandle, Token};
use crate::clock::millis;
use crate::store::op::{
    AddMember, AddOutcome, Added, Change, Commit, CommitOutcome, CommitSession, Committed, Expected, Meta,
    PeekSession, RemoveMember, RemoveSession, Rotation,
};
use crate::store::{StoreError, StoreErrorKind};

/// What one save sends. Taken out of the state before the await, settled into it after.
struct Plan {
    removal: Option<Removal>,
    commit: Option<PlannedCommit>,
    index: Option<AddMember>,
    /// Only timers: a failure concerns nobody.
    housekeeping: bool,
}

struct PlannedCommit {
    handle: SessionHandle,
    token: Option<Token>,
    login: Option<PendingLogin>,
    commit: Commit,
}

impl Shared {
    /// Writes what was recorded, if anything.
    pub(super) async fn save(&self) -> Result<(), SessionError> {
        let _io = self.io.lock().await;
        let saved = self.save_locked(None).await.map(drop);
        self.tell_events();
        saved
    }

    /// Writes what was recorded and adds to an entry, which gives the sum.
    pub(super) async fn save_and_add(&self, name: &str, by: i64) -> Result<i64, SessionError> {
        let _io = self.io.lock().await;
        if self.state().has_changed(name) {
            self.save_locked(None).await?;
        }
        let sums = self.save_locked(Some(Change::Add(name.to_owned(), by))).await;
        self.tell_events();
        sums?.last().copied().ok_or_else(|| StoreError::new(StoreErrorKind::Desync).into())
    }

    async fn save_locked(&self, add: Option<Change>) -> Result<Vec<i64>, SessionError> {
        let engine = &*self.engine;
        let Some(plan) = self.state().plan(engine, add)? else { return Ok(Vec::new()) };
        let removal = plan.removal.as_ref().map(|removal| {
            let member = removal.principal.as_ref();
            let leave =
                member.map(|name| RemoveMember(engine.principal_at(name), vec![removal.handle.to_string()]));
            (RemoveSession(engine.at(&removal.handle)), leave)
        });
        let commit = plan.commit.as_ref().map(|c| CommitSession(engine.at(&c.handle), c.commit.clone()));
        let answers = match engine.store.batch((removal, commit, plan.index.clone())).await {
            Ok(answers) => answers,
            Err(error) => return self.state().restore(plan, error),
        };
        let (removed, committed, indexed) = answers;
        if let Some((removed, left)) = removed
            && let Err(error) = removed.map(drop).and(tolerate(left.unwrap_or(Ok(0))).map(drop))
        {
            return self.state().restore(plan, error);
        }
        if let Some(removal) = &plan.removal {
            let mut state = self.state();
            state.cookie = CookieOut::Remove;
            state.events.push(SessionEvent::Revoked(removal.handle.clone()));
        }
        let Some(committed) = committed else { return Ok(Vec::new()) };
        let Committed { now_ms, outcome } = match committed {
            Ok(committed) => committed,
            Err(error) => return self.state().restore(plan, error),
        };
        engine.store.observe(now_ms);
        let indexed = indexed.transpose();
        if let Some(login) = plan.commit.as_ref().and_then(|c| c.login.clone()) {
            let written = matches!(outcome, CommitOutcome::Done(..));
            let refused = matches!(&indexed, Ok(Some(added)) if added.outcome == AddOutcome::Revoked);
            if !written {
                self.leave_index(&plan).await;
            } else if refused || indexed.is_err() || engine.revocations.since(&login.principal, login.asked) {
                return self.undo_login(plan, indexed.map(drop)).await;
            }
        }
        let result = self.state().settle(engine, plan, outcome, now_ms);
        if let Ok(Some(added)) = indexed {
            self.make_way(added).await;
        }
        result
    }

    /// All sessions were revoked after this sign-in was asked for, or it could not be indexed and therefore not be revoked
    /// with the others: its session is removed. Nobody was told its secret.
    async fn undo_login(
        &self,
        plan: Plan,
        indexed: Result<(), StoreError>,
    ) -> Result<Vec<i64>, SessionError> {
        let engine = &*self.engine;
        self.state().end();
        if let (Some(commit), Some(index)) = (plan.commit, plan.index) {
            let leave = RemoveMember(index.at, vec![commit.handle.to_string()]);
            let (removed, left) =
                engine.store.batch((RemoveSession(engine.at(&commit.handle)), leave)).await?;
            indexed?;
            removed?;
            left?;
        }
        Err(SessionError::Ended)
    }

    /// The index took a session in whose sign-in was not written. Its member goes unless the session is this principal's all
    /// the same, by a parallel sign-in: a session's principal is set once, so what is read here stays true. A failure harms
    /// nobody and is left to the next listing.
    async fn leave_index(&self, plan: &Plan) {
        let (Some(commit), Some(index)) = (&plan.commit, &plan.index) else { return };
        let engine = &*self.engine;
        let left = async {
            let peeked = tolerate(engine.store.run(PeekSession(engine.at(&commit.handle))).await)?;
            if belongs(peeked.as_ref(), &index.at.principal) == Belongs::No {
                engine.store.run(RemoveMember(index.at.clone(), vec![commit.handle.to_string()])).await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = left.await {
            tracing::debug!(%error, "a session that ended was left in the index");
        }
    }

    /// Ends the sessions that are beyond the number allowed. They stay in the index until they are removed, so that the next
    /// sign-in repeats what failed here.
    async fn make_way(&self, added: Added) {
        if added.give_way.is_empty() {
            return;
        }
        let engine = &*self.engine;
        let handles: Vec<_> =
            added.give_way.iter().filter_map(|handle| SessionHandle::parse(handle)).collect();
        let removals: Vec<_> = handles.iter().map(|handle| RemoveSession(engine.at(handle))).collect();
        let leave =
            self.state().principal().map(|name| RemoveMember(engine.principal_at(name), added.give_way));
        match engine.store.batch((removals, leave)).await {
            Ok(_) => handles.into_iter().for_each(|handle| engine.tell(&SessionEvent::GaveWay(handle))),
            Err(error) => tracing::warn!(%error, "sessions beyond the allowed number could not be ended"),
        }
    }
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

    fn plan(&mut self, engine: &Engine, add: Option<Change>) -> Result<Option<Plan>, SessionError> {
        let removal = self.removal.take();
        let due = self.due(engine);
        let writes = self.has_changes() || add.is_some();
        if !writes && due == Due::Nothing {
            let removal = removal.map(Some);
            return Ok(removal.map(|removal| Plan { removal, commit: None, index: None, housekeeping: false }));
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
        let anew = self.current.is_none() || login.is_some();
        let idle_ms =
            self.current.as_ref().filter(|_| !anew).map_or(lifetimes.pair_ms().0, |c| c.meta.idle_ms);
        let mut changes = std::mem::take(&mut self.changes);
        changes.extend(add);
        let commit = Commit {
            expected: self
                .current
                .as_ref()
                .map_or(Expected::New, |c| Expected::Generation(c.meta.generation)),
            presented: self.current.as_ref().and_then(|c| c.presented.clone()),
            rotation,
            grace_ms: millis(config.lifetimes.grace),
            lifetime: anew.then(|| lifetimes.pair_ms()),
            principal: login.as_ref().map(|login| Some(login.principal.clone())),
            touch_ms: touch_interval_ms(idle_ms),
            // Beside the entries: metadata, label, CSRF token, and as many flash values again.
            max_fields: config.max_entries * 2 + 3,
            changes,
        };
        Ok(PlannedCommit { handle, token, login, commit })
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
            ttl_ms: idle_ms.saturating_add(2 * planned.commit.touch_ms),
            login_age_us: asked_us.map(|asked_us| engine.store.clock().now_us().saturating_sub(asked_us)),
            most: engine.config.max_sessions,
        })
    }

    /// The store failed: what was taken for the save goes back, so that another save can try it.
    fn restore(&mut self, plan: Plan, error: StoreError) -> Result<Vec<i64>, SessionError> {
        if let Some(mut planned) = plan.commit {
            planned.commit.changes.retain(|change| !matches!(change, Change::Add(..)));
            planned.commit.changes.append(&mut self.changes);
            self.changes = planned.commit.changes;
            self.rotate |= matches!(planned.commit.rotation, Rotation::Swap(_)) && self.current.is_some();
            self.login = self.login.take().or(planned.login);
        }
        self.removal = self.removal.take().or(plan.removal);
        if plan.housekeeping {
            tracing::debug!(%error, "a session's timers could not be moved");
            return Ok(Vec::new());
        }
        Err(error.into())
    }

    fn settle(
        &mut self,
        engine: &Engine,
        plan: Plan,
        outcome: CommitOutcome,
        now_ms: u64,
    ) -> Result<Vec<i64>, SessionError> {
        let Some(planned) = plan.commit else { return Ok(Vec::new()) };
        let (meta, sums) = match outcome {
            CommitOutcome::Done(meta, sums) => (meta, sums),
            CommitOutcome::Gone | CommitOutcome::Exists => {
                self.end();
                return if plan.housekeeping { Ok(Vec::new()) } else { Err(SessionError::Ended) };
            }
            CommitOutcome::TooMany => return Err(SessionError::TooManyEntries),
            CommitOutcome::NotAnInteger => return Err(SessionError::NotAnInteger),
        };
        let additions = planned.commit.changes.iter().filter_map(|change| match change {
            Change::Add(name, _) => Some(name.clone()),
            _ => None,
        });
        for (name, sum) in additions.zip(&sums) {
            self.fields.insert(name, sum.to_string().into_bytes());
        }
        if let Some(meta) = meta {
            self.take_over(engine, *meta, planned, now_ms);
        }
        Ok(sums)
    }

    fn take_over(&mut self, engine: &Engine, meta: Meta, planned: PlannedCommit, now_ms: u64) {
        let PlannedCommit { handle, token, login, commit } = planned;
        let mut presented = self.current.as_ref().and_then(|current| current.presented.clone());
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
            presented = Some(meta.secret.clone());
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
    fn end(&mut self) {
        if let Some(handle) = self.handle.clone() {
            self.events.push(SessionEvent::LateSave(handle));
        }
        self.forget();
        self.cookie = CookieOut::Nothing;
        self.ended = true;
    }
}
