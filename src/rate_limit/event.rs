//! What happens in a limiter, for a hook of the app.

use std::sync::Arc;

use super::decision::Source;
use super::limit::FailurePolicy;
use crate::store::StoreErrorKind;

/// Something that happened in a limiter. Holds no key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitEvent {
    /// A limit refused a request.
    Refused {
        /// The limit's name.
        limit: Arc<str>,
        /// Where the answer comes from.
        source: Source,
    },
    /// A limit in shadow mode would have refused a request.
    WouldRefuse {
        /// The limit's name.
        limit: Arc<str>,
    },
    /// The store failed, and a limit went by its policy.
    Failed {
        /// The limit's name.
        limit: Arc<str>,
        /// What it does then.
        policy: FailurePolicy,
        /// What went wrong.
        kind: StoreErrorKind,
    },
}
