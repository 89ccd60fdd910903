//! The operations that engines send. Each file holds one kind: its Redis form, the same rules for the embedded
//! store, and the reading of the reply.

pub mod cache;
mod commit;
pub(crate) mod examine;
mod lease;
mod limit;
mod load;
pub mod lock;
mod principal;
mod record;
mod remove;
pub mod signal;
pub mod state;

pub use commit::{Change, Commit, CommitOutcome, CommitSession, Committed, Expected, Rotation};
pub use lease::{Lease, LeaseAnswer, LeaseOutcome, LeaseVerb};
pub use limit::{
    Ban, Bucket, DecideLimits, Decided, LimitUse, LimitVerb, MAX_BAN_US, MAX_UNITS, Outcome, PerLimit,
    ResetLimits, Rule, Sliding, Standing, State, Step, Verdict, Window,
};
pub use load::{LoadSession, Loaded, PeekSession, Peeked};
pub use principal::{
    AddMember, AddOutcome, Added, HasMember, LeaveIndex, ListMembers, MarkRevoked, Marked, RemoveMember,
};
pub use record::{Hash, LABEL, META, Meta, Record};
pub use remove::{RemoveSession, SessionExists};

pub use super::fields::Fields;
use super::key::{Key, KeyPrefix};

/// Where a session lives: the namespace of its layer and its handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionAt {
    /// The namespace; a checked word, `session` unless the app has several session layers.
    pub namespace: std::sync::Arc<str>,
    /// The public half of the session's cookie.
    pub handle: std::sync::Arc<str>,
}

impl SessionAt {
    pub(super) fn key(&self, prefix: &KeyPrefix) -> Key {
        Key::new(prefix, &self.namespace, &self.handle)
    }
}

/// Whose sessions an index lists.
#[derive(Clone, PartialEq, Eq)]
pub struct PrincipalAt {
    /// The namespace of the session layer.
    pub namespace: std::sync::Arc<str>,
    /// The principal, as the app names it.
    pub principal: std::sync::Arc<str>,
}

impl PrincipalAt {
    pub(crate) fn key(&self, prefix: &KeyPrefix) -> Key {
        Key::new(prefix, &format!("{}-index", self.namespace), &self.principal)
    }
}

impl std::fmt::Debug for PrincipalAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrincipalAt").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
