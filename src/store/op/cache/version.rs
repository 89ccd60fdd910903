//! A tag's version: `HARD SOFT`, the numbers of its last purges.

/// When a tag was last purged. What was stored at a lower number is gone, or stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagVersion {
    /// The number of the last hard purge, or of the time when the version was made.
    pub hard: u64,
    /// The number of the last purge of either kind.
    pub soft: u64,
}

impl TagVersion {
    /// Reads a version; `None` when it is none.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (hard, soft) = std::str::from_utf8(text).ok()?.split_once(' ')?;
        Some(Self { hard: hard.parse().ok()?, soft: soft.parse().ok()? })
    }

    pub(super) fn to_text(self) -> String {
        format!("{} {}", self.hard, self.soft)
    }
}
