//! `Sessions`: the engine that layers, adapters and programs without a middleware call.

use std::fmt;
use std::sync::Arc;

use tokio::sync::broadcast;

use super::builder::SessionsBuilder;
use super::cookie::{SessionCookie, cookie_values};
use super::error::SessionError;
use super::event::SessionEvent;
use super::lazy::LazySession;
use super::lifecycle::Lifetimes;
use super::origin::OriginCheck;
use super::state::{Candidates, PendingLogin};
use super::token::{SessionHandle, Token};
use crate::clock::micros;
use crate::store::op::{Added, PrincipalAt, SessionAt};
use crate::store::{Part, Store, StoreKind};
use crate::view::RequestView;

/// How many cookies of our name are tried: a browser sends more than one only when paths or domains overlap.
const MAX_CANDIDATES: usize = 4;

/// What a route does when the store fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailurePolicy {
    /// The request is answered with 503 and `Retry-After`. The default: nobody is taken for a stranger by mistake.
    #[default]
    Required,
    /// The request goes on with an anonymous, read-only session. The cookie is kept.
    Optional,
}

/// What reading an entry does when its bytes are not JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CorruptEntry {
    /// The entry is removed and counted, and reads as absent. The default.
    #[default]
    Drop,
    /// The read fails with [`SessionError::Decode`].
    Report,
}

/// The lifetime of the cookie in the browser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CookieLifetime {
    /// The cookie ends with the browser's session. The default.
    #[default]
    Browser,
    /// The cookie stays until the session's absolute timeout.
    Persistent,
}

type Hook = Arc<dyn Fn(&SessionEvent) + Send + Sync>;

/// All that a builder decides.
pub(super) struct Config {
    pub(super) cookie: SessionCookie,
    pub(super) namespace: Arc<str>,
    pub(super) lifetimes: Lifetimes,
    pub(super) failure: FailurePolicy,
    pub(super) corrupt: CorruptEntry,
    pub(super) cookie_lifetime: CookieLifetime,
    pub(super) max_entries: usize,
    pub(super) max_bytes: usize,
    pub(super) max_sessions: usize,
    pub(super) origin: Option<OriginCheck>,
    pub(super) hook: Option<Hook>,
}

/// What the store must have for it.
const PART: Part = Part {
    name: "sessions",
    is_kept: true,
    commands: &[
        "HGETALL",
        "HGET",
        "HSET",
        "HDEL",
        "HKEYS",
        "HLEN",
        "HMGET",
        "HINCRBY",
        "EXISTS",
        "PEXPIRE",
        "PEXPIREAT",
        "ZADD",
        "ZREM",
        "ZSCORE",
        "ZCARD",
        "ZRANGE",
        "ZREMRANGEBYSCORE",
    ],
};

/// The session engine. Cheap to clone; clones are the same engine.
///
/// See the [module docs](crate::session) for examples.
#[derive(Clone)]
pub struct Sessions(pub(super) Arc<Engine>);

pub(super) struct Engine {
    pub(super) store: Store,
    pub(super) config: Config,
    /// Handles that this process revoked, for tasks that wait for it.
    pub(super) revoked: broadcast::Sender<Arc<str>>,
}

impl Engine {
    /// Whether a sign-in whose answer came just now may have been asked for before the last revocation that the store knows of.
    ///
    /// Redis carried it out at some time between question and answer, so beside a revocation by another process the doubt is one
    /// round trip wide; in doubt the sign-in is refused. The embedded store has the clock of this process.
    pub(super) fn may_precede_revocation(&self, login: &PendingLogin, added: &Added) -> bool {
        if added.revoked_us == 0 {
            return false;
        }
        match self.store.revocations().answered(&self.index_key(&login.principal), added.revoked_us) {
            Some(answered) => answered >= login.asked,
            None if self.store.kind() == StoreKind::Memory => login.asked_us < added.revoked_us,
            None => added.now_us.saturating_sub(added.revoked_us) < micros(login.asked.elapsed()),
        }
    }
}

impl Sessions {
    /// Sessions on this store with all defaults: cookie `__Host-session`, idle 24 h, absolute 14 d.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self::assemble(store, SessionsBuilder::defaults())
    }

    /// Settings.
    pub fn builder(store: Store) -> SessionsBuilder {
        SessionsBuilder::new(store)
    }

    pub(super) fn assemble(store: Store, config: Config) -> Self {
        store.serves(&PART);
        Self(Arc::new(Engine { store, config, revoked: broadcast::channel(256).0 }))
    }

    /// The session of a request, not loaded yet: reads the `Cookie` headers and nothing else. No round trip.
    #[must_use]
    pub fn begin(&self, request: &impl RequestView) -> LazySession {
        let mut candidates = Candidates::new();
        let name = self.0.config.cookie.name().as_bytes();
        request.each_header("cookie", &mut |line| {
            for value in cookie_values(line, name) {
                if candidates.len() < MAX_CANDIDATES
                    && let Some(token) = Token::parse(value)
                {
                    candidates.push(token);
                }
            }
        });
        LazySession::new(self.clone(), candidates)
    }

    /// Whether a request may pass the [origin check](OriginCheck), if there is one.
    #[must_use]
    pub fn allows_origin(&self, request: &impl RequestView) -> bool {
        self.0.config.origin.as_ref().is_none_or(|check| check.check(request).is_ok())
    }

    /// The store on which these sessions stand.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The namespace of these sessions, `session` by default.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.0.config.namespace
    }
}

impl Engine {
    pub(super) fn at(&self, handle: &SessionHandle) -> SessionAt {
        SessionAt { namespace: Arc::clone(&self.config.namespace), handle: handle.shared() }
    }

    pub(super) fn principal_at(&self, principal: &str) -> PrincipalAt {
        PrincipalAt { namespace: Arc::clone(&self.config.namespace), principal: principal.into() }
    }

    /// What names a principal's index in this process: the same principal may exist under several prefixes and namespaces.
    pub(super) fn index_key(&self, principal: &str) -> String {
        self.principal_at(principal).key(self.store.prefix()).as_str().to_owned()
    }

    pub(super) fn tell(&self, event: &SessionEvent) {
        crate::metric::count("tower_keep_session_events_total", event.as_str());
        if let SessionEvent::Revoked(handle) | SessionEvent::GaveWay(handle) = event {
            // Nobody waiting is the usual case.
            let _ = self.revoked.send(handle.shared());
        }
        if let Some(hook) = &self.config.hook {
            hook(event);
        }
    }
}

pub(super) fn check_principal(name: &str) -> Result<(), SessionError> {
    if name.is_empty() || name.len() > 256 || name.chars().any(char::is_control) {
        return Err(SessionError::Principal);
    }
    Ok(())
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.0.config;
        f.debug_struct("Sessions")
            .field("cookie", &config.cookie)
            .field("namespace", &config.namespace)
            .field("lifetimes", &config.lifetimes)
            .finish_non_exhaustive()
    }
}
