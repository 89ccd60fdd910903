//! Whether a stored response still counts, after what was purged since.

use super::entry::Entry;
use super::url::concerns;
use crate::store::op::cache::{PurgeLog, Severity, TagVersion};

/// Whether a stored response still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Validity {
    Holds,
    /// It was purged softly.
    Stale,
    /// It was purged, or that it was not cannot be known.
    Gone,
}

/// Judges an entry by the log of its namespace and the versions of its tags. What is missing counts as purged: the store may have
/// evicted the word of it.
pub(super) fn validity(
    entry: &Entry,
    log: Option<&PurgeLog>,
    versions: impl Iterator<Item = Option<TagVersion>>,
) -> Validity {
    let Some(log) = log.filter(|log| *log.epoch == *entry.epoch) else { return Validity::Gone };
    let mut validity = Validity::Holds;
    for ban in &log.bans {
        if ban.number > entry.number && concerns(&ban.pattern, &entry.target) {
            match ban.severity {
                Severity::Hard => return Validity::Gone,
                Severity::Soft => validity = Validity::Stale,
            }
        }
    }
    for version in versions {
        match version {
            Some(version) if version.hard <= entry.number => {
                if version.soft > entry.number {
                    validity = Validity::Stale;
                }
            }
            _ => return Validity::Gone,
        }
    }
    validity
}
