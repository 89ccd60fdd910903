//! Saving: one round trip that removes, writes and indexes, and what its answers mean.

use std::sync::Arc;

use super::admin::{Belongs, belongs, tolerate};
use super::engine::Engine;
use super::error::SessionError;
use super::event::SessionEvent;
use super::plan::Plan;
use super::state::{CookieOut, Removal, Shared};
use super::token::SessionHandle;
use crate::store::op::{
    AddOutcome, Added, Change, CommitOutcome, CommitSession, Committed, LeaveIndex, PeekSession,
    RemoveMember, RemoveSession,
};
use crate::store::{StoreError, StoreErrorKind};

/// A plan under way. If the save is dropped before its answer came, what it took goes back, so that a later save tries it
/// again; whether it was written is not known then, as after a time-out.
struct InFlight<'a> {
    shared: &'a Shared,
    plan: Option<Plan>,
}

impl InFlight<'_> {
    fn land(mut self) -> Option<Plan> {
        self.plan.take()
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if let Some(plan) = self.plan.take() {
            self.shared.state().put_back(plan);
        }
    }
}

impl Shared {
    /// Writes what was recorded, if anything.
    pub(super) async fn save(&self) -> Result<(), SessionError> {
        let _io = self.io.lock().await;
        let saved = Box::pin(self.save_locked(None)).await.map(drop);
        self.tell_events();
        saved
    }

    /// Writes what was recorded and adds to an entry, which gives the sum.
    pub(super) async fn save_and_add(&self, name: &str, by: i64) -> Result<i64, SessionError> {
        let _io = self.io.lock().await;
        if self.state().has_changed(name) {
            Box::pin(self.save_locked(None)).await?;
        }
        let sums = Box::pin(self.save_locked(Some(Change::Add(name.to_owned(), by)))).await;
        self.tell_events();
        sums?.last().copied().ok_or_else(|| StoreError::new(StoreErrorKind::Desync).into())
    }

    async fn save_locked(&self, add: Option<Change>) -> Result<Vec<i64>, SessionError> {
        let engine = &*self.engine;
        let Some(plan) = self.state().plan(engine, add)? else { return Ok(Vec::new()) };
        let housekeeping = plan.housekeeping;
        let removal = plan.removal.as_ref().map(|removal| removal.operations(engine));
        let commit =
            plan.commit.as_ref().map(|c| CommitSession::new(engine.at(&c.handle), Arc::clone(&c.commit)));
        let index = plan.index.clone();
        let flight = InFlight { shared: self, plan: Some(plan) };
        let answers = match (removal, commit, index) {
            // The usual save, in a future that need not have room for the others.
            (None, Some(commit), None) => {
                engine.store.batch(commit).await.map(|committed| (None, Some(committed), None))
            }
            all => Box::pin(engine.store.batch(all)).await,
        };
        let Some(mut plan) = flight.land() else { return Ok(Vec::new()) };
        let mut unreplicated = None;
        let answers = answers.and_then(|(removed, committed, indexed)| {
            if let Some((removed, left)) = removed {
                unreplicated = done_at_least(removed.map(drop))?;
                tolerate(left.unwrap_or(Ok(0)))?;
                self.removed(&mut plan, unreplicated.is_some());
            }
            let committed = committed.map(|committed| gone_if_replaced(committed, engine.store.now_ms()));
            Ok((committed.transpose()?, indexed.transpose()))
        });
        let (committed, indexed) = match answers {
            Ok(answers) => answers,
            Err(error) => {
                self.state().put_back(plan);
                return if housekeeping { self.skipped(&error) } else { Err(error.into()) };
            }
        };
        let Some(Committed { now_ms, outcome, is_replicated }) = committed else {
            return unless(unreplicated, Ok(Vec::new()));
        };
        let unreplicated =
            unreplicated.or_else(|| (!is_replicated).then(|| StoreErrorKind::Unreplicated.into()));
        if now_ms > 0 {
            engine.store.observe(now_ms);
        }
        if let Some(login) = plan.commit.as_ref().and_then(|c| c.login.clone()) {
            let written = matches!(outcome, CommitOutcome::Done(..));
            let refused = matches!(&indexed, Ok(Some(added)) if added.outcome == AddOutcome::Revoked
                || engine.may_precede_revocation(&login, added));
            if let (false, Ok(Some(added))) = (written, &indexed) {
                Box::pin(self.leave_index(&plan, added)).await;
            } else if refused || indexed.is_err() {
                return Box::pin(self.undo_login(plan, indexed.map(drop))).await;
            }
        }
        let result = self.state().settle(engine, plan, outcome, now_ms);
        if let Ok(Some(added)) = indexed
            && !added.give_way.is_empty()
        {
            Box::pin(self.make_way(added)).await;
        }
        unless(unreplicated, result)
    }

    /// What too few replicas confirmed is tried again by another save; the cookie goes in any case.
    fn removed(&self, plan: &mut Plan, again: bool) {
        if let Some(removal) = plan.removal.take() {
            let mut state = self.state();
            state.cookie = CookieOut::Remove;
            if !removal.again {
                state.events.push(SessionEvent::Revoked(removal.handle.clone()));
            }
            state.removal = again.then_some(Removal { again, ..removal });
        }
    }

    fn skipped(&self, error: &StoreError) -> Result<Vec<i64>, SessionError> {
        tracing::debug!(%error, "a session's timers could not be moved");
        Ok(Vec::new())
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
            tolerate(left)?;
        }
        Err(SessionError::Ended)
    }

    /// The index took a session in whose sign-in was not written. Its member goes unless the session is this principal's all the
    /// same: by a parallel sign-in that was written before, which is seen, or one that comes after, which enters it anew. A
    /// failure harms nobody and is left to the next listing.
    async fn leave_index(&self, plan: &Plan, added: &Added) {
        let (Some(commit), Some(index)) = (&plan.commit, &plan.index) else { return };
        let engine = &*self.engine;
        let left = async {
            let peeked = tolerate(engine.store.run(PeekSession(engine.at(&commit.handle))).await)?;
            if belongs(peeked.as_ref(), &index.at.principal) != Belongs::Yes {
                let (at, handle, ends_us) = (index.at.clone(), index.handle.clone(), added.ends_us);
                engine.store.run(LeaveIndex { at, handle, ends_us }).await?;
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

impl Removal {
    fn operations(&self, engine: &Engine) -> (RemoveSession, Option<RemoveMember>) {
        let leave = |name: &String| RemoveMember(engine.principal_at(name), vec![self.handle.to_string()]);
        (RemoveSession(engine.at(&self.handle)), self.principal.as_ref().map(leave))
    }
}

/// A success, unless too few replicas confirmed it.
fn unless<T>(unreplicated: Option<StoreError>, result: Result<T, SessionError>) -> Result<T, SessionError> {
    match unreplicated {
        Some(error) if result.is_ok() => Err(error.into()),
        _ => result,
    }
}

/// What too few replicas confirmed was done all the same; the rest goes on as after a success, and the call ends with that error.
pub(super) fn done_at_least(done: Result<(), StoreError>) -> Result<Option<StoreError>, StoreError> {
    match done {
        Ok(()) => Ok(None),
        Err(error) if error.kind() == StoreErrorKind::Unreplicated => Ok(Some(error)),
        Err(error) => Err(error),
    }
}

/// A value of another type stands in the session's place, so the session is gone.
fn gone_if_replaced(committed: Result<Committed, StoreError>, now_ms: u64) -> Result<Committed, StoreError> {
    match committed {
        Err(error) if error.kind() == StoreErrorKind::WrongType => {
            Ok(Committed { now_ms, outcome: CommitOutcome::Gone, is_replicated: true })
        }
        other => other,
    }
}
