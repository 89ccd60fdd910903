//! The session of a request before anybody asked for it, and its end when the response is there.

use std::sync::Arc;

use http::Extensions;

use super::engine::{FailurePolicy, Sessions};
use super::error::SessionError;
use super::event::SessionEvent;
use super::finish::Finish;
use super::handle::Session;
use super::state::{Candidates, CookieOut, Phase, Shared, State};
use super::token::{SessionHandle, Token, same};
use super::watch::SessionWatch;
use crate::store::op::{Hash, LoadSession, Loaded, Meta};
use crate::store::{StoreError, StoreErrorKind};

/// A request's session that has not been loaded: it costs nothing until somebody [loads](Self::load) it.
///
/// The layer puts it into the request's extensions (in a [`SessionSet`]); extractors load it.
#[derive(Clone, Debug)]
pub struct LazySession(Arc<Shared>);

/// Who a session is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The handle of a session that stands in the store; `None` when there is none yet.
    pub handle: Option<SessionHandle>,
    /// Who is signed in.
    pub principal: Option<String>,
}

/// What a request's cookies ask for: one session, nearly always.
enum Loads {
    One(LoadSession),
    Several(Vec<LoadSession>),
}

impl LazySession {
    pub(super) fn new(sessions: Sessions, candidates: Candidates) -> Self {
        Self(Shared::new(sessions.0, candidates))
    }

    /// Puts the session into a request's extensions, innermost of those that are there, for extractors and for layers inside.
    pub fn enter(&self, extensions: &mut Extensions) {
        if let Some(outer) = extensions.insert(SessionSet::new(self.clone(), None)) {
            extensions.insert(SessionSet::new(self.clone(), Some(outer)));
        }
        if let Some(watch) = extensions.get::<SessionWatch>() {
            watch.show(SessionSet::new(self.clone(), None));
        }
    }

    /// Loads the session: no round trip without a well-formed cookie, else one `HGETALL` (for each such cookie, in one
    /// round trip). Later calls return the same session.
    ///
    /// Unknown, malformed and foreign cookies give an anonymous session; nothing a client sends is ever adopted as a handle.
    /// With [`FailurePolicy::Optional`] a failed store gives an anonymous, [read-only](Session::is_read_only) session.
    ///
    /// # Errors
    ///
    /// [`SessionError::Store`] when the store fails and the policy is [`FailurePolicy::Required`].
    pub async fn load(&self) -> Result<Session, SessionError> {
        self.load_with(self.0.engine.config.failure).await
    }

    /// [Loads](Self::load) with a policy other than the layer's. If any load of a request is `Required`, so is its save.
    ///
    /// # Errors
    ///
    /// [`SessionError::Store`] when the store fails and the policy is [`FailurePolicy::Required`].
    pub async fn load_with(&self, policy: FailurePolicy) -> Result<Session, SessionError> {
        let _io = self.0.io.lock().await;
        self.ask_store().await;
        let mut state = self.0.state();
        state.asked = true;
        state.required |= policy == FailurePolicy::Required;
        match &state.phase {
            Phase::Degraded(error) if policy == FailurePolicy::Required => Err(error.clone().into()),
            _ => Ok(Session(Arc::clone(&self.0))),
        }
    }

    async fn ask_store(&self) {
        let store = &self.0.engine.store;
        while let Some(load) = self.next_load() {
            // In boxes, so that the futures of handlers stay small.
            match load {
                Loads::One(load) => self.adopt(std::iter::once(Box::pin(store.run(load)).await)),
                Loads::Several(loads) => self.complete(Box::pin(store.batch(loads)).await),
            }
        }
    }

    /// Who this session is, for layers that decide before the handler: it asks the store as [`load`](Self::load) does, and the later
    /// load has the answer, but the session does not count as used by it.
    ///
    /// # Errors
    ///
    /// The store's failure, whatever the policy.
    pub async fn identity(&self) -> Result<Identity, StoreError> {
        let _io = self.0.io.lock().await;
        self.ask_store().await;
        let state = self.0.state();
        if let Phase::Degraded(error) = &state.phase {
            return Err(error.clone());
        }
        let principal = state.current.as_ref().and_then(|current| current.meta.principal.clone());
        Ok(Identity { handle: state.current.as_ref().and(state.handle.clone()), principal })
    }

    /// The operations that load this session, to be sent in one batch with others and answered by
    /// [`complete`](Self::complete). `None` when there is nothing to ask: no well-formed cookie, or loaded already.
    #[must_use]
    pub fn prepare(&self) -> Option<Vec<LoadSession>> {
        self.next_load().map(|loads| match loads {
            Loads::One(load) => vec![load],
            Loads::Several(loads) => loads,
        })
    }

    fn next_load(&self) -> Option<Loads> {
        let mut state = self.0.state();
        if !matches!(state.phase, Phase::Unloaded) {
            return None;
        }
        let load = |token: &Token| LoadSession(self.0.engine.at(&token.handle));
        match state.candidates.as_slice() {
            [] => {
                state.phase = Phase::Loaded;
                None
            }
            [token] => Some(Loads::One(load(token))),
            tokens => Some(Loads::Several(tokens.iter().map(load).collect())),
        }
    }

    /// Takes the answers to what [`prepare`](Self::prepare) asked. The session counts as unused until somebody loads it.
    pub fn complete(&self, answers: Result<Vec<Result<Loaded, StoreError>>, StoreError>) {
        match answers {
            Ok(answers) => self.adopt(answers.into_iter()),
            Err(error) => self.adopt(std::iter::once(Err(error))),
        }
    }

    fn adopt(&self, answers: impl Iterator<Item = Result<Loaded, StoreError>>) {
        let now_ms = self.0.engine.store.now_ms();
        let mut state = self.0.state();
        state.phase = match state.choose(answers, now_ms) {
            Ok(()) => Phase::Loaded,
            // The connection was out of step and is dropped, or the record lies under a key that is not its own: another
            // connection will tell.
            Err(error) if error.kind() == StoreErrorKind::Desync && !state.doubted => {
                state.doubted = true;
                state.events.clear();
                Phase::Unloaded
            }
            Err(error) => Phase::Degraded(error),
        };
        let quiet = state.events.is_empty();
        drop(state);
        if !quiet {
            self.0.tell_events();
        }
    }

    /// Saves what the handler recorded, if anything, and tells what the response must carry. At most one round trip; none
    /// when nobody loaded the session or nothing is to be written.
    ///
    /// A save that comes after the session ended writes nothing and sends nothing.
    pub async fn finish(&self) -> Finish {
        if let Some(finish) = self.finish_now() {
            return finish;
        }
        let failure = self.0.save().await.err().filter(|error| !matches!(error, SessionError::Ended));
        if let Some(error) = &failure {
            self.log(error);
        }
        let mut state = self.0.state();
        let failure = failure.filter(|_| state.required);
        let was_done = failure.as_ref().is_none_or(SessionError::is_unreplicated);
        let set_cookie = state.take_cookie(&self.0.engine.config).filter(|_| was_done);
        Finish { set_cookie, accessed: true, failure }
    }

    /// [`finish`](Self::finish) when there is nothing to save, without an await; `None` when there is.
    #[must_use]
    pub fn finish_now(&self) -> Option<Finish> {
        let _io = self.0.io.try_lock().ok()?;
        let mut state = self.0.state();
        if !state.asked || matches!(state.phase, Phase::Degraded(_)) {
            return Some(Finish { accessed: state.asked, ..Finish::default() });
        }
        if state.has_work(&self.0.engine) {
            return None;
        }
        Some(Finish { set_cookie: state.take_cookie(&self.0.engine.config), accessed: true, failure: None })
    }

    /// An outage is logged once, by the store; what concerns this session alone is logged here.
    fn log(&self, error: &SessionError) {
        let outage = matches!(error, SessionError::Store(error) if error.is_outage());
        crate::metric::count(
            "tower_keep_session_save_failures_total",
            if outage { "outage" } else { "refused" },
        );
        if outage {
            tracing::debug!("a session could not be saved: the store is unavailable");
        } else {
            tracing::warn!(error = error as &dyn std::error::Error, "a session could not be saved");
        }
    }

    /// Whether nobody has asked for this session: then [`finish`](Self::finish) has nothing to do.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        !self.0.state().asked
    }

    /// The name of the cookie that carries this session.
    #[must_use]
    pub fn cookie_name(&self) -> &str {
        self.0.engine.config.cookie.name()
    }
}

/// The presented secret is the current one, or the one before the last renewal while that counts.
fn opens(meta: &Meta, presented: &Hash, now_ms: u64) -> bool {
    let graced = meta.grace_until_ms == 0 || now_ms < meta.grace_until_ms;
    same(presented, &meta.secret)
        || meta.previous.as_ref().is_some_and(|previous| graced && same(presented, previous))
}

impl State {
    /// Adopts the first session that its cookie opens.
    fn choose(
        &mut self,
        answers: impl Iterator<Item = Result<Loaded, StoreError>>,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        for (i, answer) in answers.enumerate() {
            let Some(token) = self.candidates.get(i) else { break };
            let handle = || token.handle.clone();
            let event = match answer {
                Ok(Loaded::Found(record)) => {
                    let presented = token.secret.hash();
                    if opens(&record.meta, &presented, now_ms) {
                        self.adopt(token.handle.clone(), *record, Some(presented));
                        return Ok(());
                    }
                    SessionEvent::WrongSecret(handle())
                }
                Ok(Loaded::Missing) => SessionEvent::Expired(handle()),
                Ok(Loaded::Corrupt) => SessionEvent::Corrupt(handle()),
                Err(error) if error.kind() == StoreErrorKind::WrongType => SessionEvent::Corrupt(handle()),
                Err(error) if error.kind() == StoreErrorKind::Desync && self.doubted => {
                    SessionEvent::Corrupt(handle())
                }
                Err(error) => return Err(error),
            };
            self.events.push(event);
        }
        Ok(())
    }

    /// The cookie to be sent, once.
    pub(super) fn take_cookie(&mut self, config: &super::engine::Config) -> Option<String> {
        match std::mem::take(&mut self.cookie) {
            CookieOut::Nothing => None,
            CookieOut::Remove => Some(config.cookie.remove()),
            CookieOut::Set(token, max_age_s) => Some(config.cookie.set(&token.to_value(), max_age_s)),
        }
    }
}

/// The sessions of a request, one for each session layer it passed. Found in the request's extensions.
#[derive(Clone, Debug)]
pub struct SessionSet {
    innermost: LazySession,
    outer: Option<Arc<Self>>,
}

impl SessionSet {
    /// The set of a layer's session and those of the layers outside of it.
    #[must_use]
    pub fn new(innermost: LazySession, outer: Option<Self>) -> Self {
        Self { innermost, outer: outer.map(Arc::new) }
    }

    /// The session of the innermost layer.
    #[must_use]
    pub const fn innermost(&self) -> &LazySession {
        &self.innermost
    }

    /// Whether anybody asked for one of these sessions.
    #[must_use]
    pub fn is_touched(&self) -> bool {
        !self.innermost.is_untouched() || self.outer.as_ref().is_some_and(|outer| outer.is_touched())
    }

    /// The session of the innermost layer with this namespace.
    #[must_use]
    pub fn named(&self, namespace: &str) -> Option<&LazySession> {
        if *self.innermost.0.engine.config.namespace == *namespace {
            return Some(&self.innermost);
        }
        self.outer.as_ref()?.named(namespace)
    }
}
