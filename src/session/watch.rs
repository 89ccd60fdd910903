//! How layers outside of a session layer learn what became of its sessions.

use std::sync::{Arc, Mutex, PoisonError};

use http::Extensions;

use super::lazy::SessionSet;

/// The sessions of a request, wherever their layers are: a layer that must know whether a response depends on a session puts it into the
/// request's extensions, and session layers inside show it theirs.
#[derive(Clone, Debug, Default)]
pub(crate) struct SessionWatch(Arc<Mutex<Vec<SessionSet>>>);

impl SessionWatch {
    /// Watches the sessions that a request has and will have. Layers that nest share one watch.
    pub(crate) fn begin(extensions: &mut Extensions) -> Self {
        if let Some(watch) = extensions.get::<Self>() {
            return watch.clone();
        }
        let watch = Self::default();
        if let Some(set) = extensions.get::<SessionSet>() {
            watch.show(set.clone());
        }
        extensions.insert(watch.clone());
        watch
    }

    /// Nothing panics while the lock is held.
    pub(super) fn show(&self, set: SessionSet) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(set);
    }

    /// Whether anybody asked for one of these sessions so far.
    pub(crate) fn is_touched(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().any(SessionSet::is_touched)
    }
}
