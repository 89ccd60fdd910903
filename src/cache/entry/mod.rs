//! A stored response: its head, apart from its body.

mod codec;
mod segment;

use std::sync::Arc;

use http::{HeaderMap, StatusCode};

pub(super) use segment::{SEGMENT, seal, unchecked, unseal};

use super::rules::{Stored, VaryNames};
use crate::store::key::Key;

/// The head of a stored response, as everybody who reads it shares it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The hash of the URL's key: a record under another one is not ours.
    pub(super) url: Arc<str>,
    /// Host, path and query.
    pub(super) target: Arc<str>,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) stored: Stored,
    pub(super) vary: VaryNames,
    /// Which variant it is, as a word; empty where the response does not vary. One under another variant's key is not ours.
    pub(super) variant: Arc<str>,
    /// What it can be purged by.
    pub(super) tags: Vec<Arc<str>>,
    /// The log's epoch and number from before the handler ran.
    pub(super) epoch: Arc<str>,
    pub(super) number: u64,
    /// How long the handler took, in milliseconds.
    pub(super) took_ms: u64,
    pub(super) body: BodyRef,
}

/// Where a body lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BodyRef {
    /// A random word.
    pub(super) id: Arc<str>,
    /// Its length in bytes.
    pub(super) length: u64,
}

impl BodyRef {
    /// How many segments it has. An empty body has none.
    pub(super) fn segments(&self) -> u32 {
        u32::try_from(self.length.div_ceil(SEGMENT as u64)).unwrap_or(u32::MAX)
    }

    /// The keys of all segments.
    pub(super) fn keys<'a>(&'a self, url: &'a Key) -> impl Iterator<Item = Key> + 'a {
        (0..self.segments()).map(|number| url.cached_segment(&self.id, number))
    }
}

/// For the fuzz target: reads foreign bytes as a head, as they are and behind a check that fits them, and tells whether they are one. What
/// was read reads the same again.
#[cfg(feature = "test-util")]
#[must_use]
pub fn read_entry(bytes: &[u8]) -> bool {
    let checked = codec::with_check(bytes);
    let Some(entry) = Entry::parse(bytes).or_else(|| Entry::parse(&checked)) else { return false };
    let again = entry.to_bytes();
    assert_eq!(Entry::parse(&again).map(|entry| entry.to_bytes()), Some(again));
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::key::KeyPrefix;

    #[test]
    fn a_body_has_as_many_segments_as_it_fills() {
        let url = Key::cached(&KeyPrefix::default(), "pages", "HASH");
        let segment = SEGMENT as u64;
        for (length, segments) in
            [(0, 0), (1, 1), (segment, 1), (segment + 1, 2), (3 * segment, 3), (u64::MAX, u32::MAX)]
        {
            let body = BodyRef { id: "id".into(), length };
            assert_eq!(body.segments(), segments, "{length}");
            if segments < 10 {
                let keys: Vec<_> = body.keys(&url).collect();
                assert_eq!(
                    keys,
                    (0..segments).map(|number| url.cached_segment("id", number)).collect::<Vec<_>>()
                );
            }
        }
    }
}
