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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::entry::BodyRef;
    use crate::cache::rules::{Stored, StoredFlags, VaryNames};
    use crate::store::op::cache::PurgedPath;
    use Severity::{Hard, Soft};
    use Validity::{Gone, Holds, Stale};
    use http::{HeaderMap, StatusCode};

    /// What was stored in epoch `e`, when there had been five purges.
    fn entry() -> Entry {
        let (age_ms, lifetime_ms, stale_while_revalidate_ms, stale_if_error_ms) = (0, 0, 0, 0);
        let flags = StoredFlags::default();
        Entry {
            url: "hash".into(),
            target: "h/a/b".into(),
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            stored: Stored {
                received_ms: 0,
                age_ms,
                lifetime_ms,
                stale_while_revalidate_ms,
                stale_if_error_ms,
                flags,
            },
            vary: VaryNames::default(),
            variant: "".into(),
            tags: Vec::new(),
            epoch: "e".into(),
            number: 5,
            took_ms: 0,
            body: BodyRef { id: "id".into(), length: 0 },
        }
    }

    fn log(epoch: &str, bans: &[(u64, Severity, &str)]) -> PurgeLog {
        let ban = |&(number, severity, pattern): &(u64, Severity, &str)| PurgedPath {
            number,
            severity,
            at_ms: 0,
            pattern: pattern.to_owned(),
        };
        PurgeLog { epoch: epoch.to_owned(), number: 9, bans: bans.iter().map(ban).collect() }
    }

    #[test]
    fn purges_by_path_count_when_they_came_later_and_concern_it() {
        for (bans, expected) in [
            (&[][..], Holds),
            (&[(6, Hard, "h/a")][..], Gone),
            (&[(6, Soft, "h/a")], Stale),
            (&[(5, Hard, "h/a"), (5, Soft, "*")], Holds),
            (&[(6, Hard, "h/b"), (7, Soft, "other")], Holds),
            (&[(6, Soft, "h/a"), (7, Hard, "h/a/b")], Gone),
            (&[(6, Soft, "h/a"), (7, Hard, "h/c")], Stale),
        ] {
            assert_eq!(validity(&entry(), Some(&log("e", bans)), std::iter::empty()), expected, "{bans:?}");
        }
        assert_eq!(validity(&entry(), Some(&log("f", &[])), std::iter::empty()), Gone, "numbers began anew");
        assert_eq!(validity(&entry(), None, std::iter::empty()), Gone, "what is missing counts as purged");
    }

    #[test]
    fn each_tag_counts_and_a_missing_version_is_a_purge() {
        let version = |hard, soft| Some(TagVersion { hard, soft });
        for (versions, expected) in [
            (&[version(5, 5)][..], Holds),
            (&[version(6, 6)], Gone),
            (&[version(5, 6)], Stale),
            (&[None], Gone),
            (&[version(5, 6), version(0, 0)], Stale),
            (&[version(5, 6), None], Gone),
            (&[version(0, 0), version(6, 6)], Gone),
        ] {
            let found = validity(&entry(), Some(&log("e", &[])), versions.iter().copied());
            assert_eq!(found, expected, "{versions:?}");
            let soft = log("e", &[(6, Soft, "*")]);
            let beside_a_soft_purge = if expected == Holds { Stale } else { expected };
            let found = validity(&entry(), Some(&soft), versions.iter().copied());
            assert_eq!(found, beside_a_soft_purge, "{versions:?}");
        }
    }
}
