//! A tag's version: `HARD SOFT EPOCH`, the numbers of its last purges and the log's epoch in which they count.

use super::log::PurgeLog;

/// When a tag was last purged. What was stored at a lower number is gone, or stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagVersion {
    /// The number of the last hard purge, or of the time when the version was made.
    pub hard: u64,
    /// The number of the last purge of either kind.
    pub soft: u64,
}

impl TagVersion {
    /// Reads a version; `None` when it is none of this log's: of another epoch, where numbers began anew, or of a purge that the log does
    /// not know.
    #[must_use]
    pub fn parse(log: &PurgeLog, text: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(text).ok()?.split(' ');
        let version = Self { hard: words.next()?.parse().ok()?, soft: words.next()?.parse().ok()? };
        let is_of_log = words.next()? == log.epoch && words.next().is_none();
        (is_of_log && version.hard.max(version.soft) <= log.number).then_some(version)
    }

    pub(super) fn to_text(self, epoch: &str) -> String {
        format!("{} {} {epoch}", self.hard, self.soft)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_beside_its_own_log() {
        let log = PurgeLog { epoch: "e".into(), number: 3, bans: Vec::new() };
        let version = TagVersion { hard: 2, soft: 3 };
        assert_eq!(version.to_text("e"), "2 3 e");
        assert_eq!(TagVersion::parse(&log, b"2 3 e"), Some(version));
        for text in ["", "2 3", "2 3 f", "2 3 e ", "x 3 e", "2 3 e f", " 2 3 e", "2 4 e", "4 3 e"] {
            assert_eq!(TagVersion::parse(&log, text.as_bytes()), None, "{text:?}");
        }
    }
}
