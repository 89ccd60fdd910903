//! How a value is written down: `1REVISION CHECK VALUE`.
//!
//! 16 characters of revision, 8 of check, and the codec's bytes. The check speaks of the key, so that no value is taken for that of
//! another key; it leaves out the prefix, so that a copy under another prefix can be read.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::random::{self, NoRandomness};
use crate::store::op::state::HEAD;

const REVISION: usize = HEAD - 1;
const CHECK: usize = 8;
const VALUE: usize = HEAD + 1 + CHECK + 1;

/// Which write a value comes from: 96 random bits, anew with each write. So no revision comes back, also not when a value is
/// removed and made again with the same content.
///
/// As text it is 16 characters of base64url, fit for an `ETag` (RFC 9110 §8.8.3) between quotation marks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision([u8; REVISION]);

impl Revision {
    pub(super) fn new() -> Result<Self, NoRandomness> {
        let mut text = [0; REVISION];
        // The base64 of 12 bytes is 16 characters.
        URL_SAFE_NO_PAD.encode_slice(random::bytes::<12>()?, &mut text).map_err(|_| NoRandomness)?;
        Ok(Self(text))
    }

    /// Reads a revision, as [`as_str`](Self::as_str) wrote it. `None` when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_base64url = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        text.as_bytes()
            .try_into()
            .ok()
            .filter(|text: &[u8; REVISION]| text.iter().all(is_base64url))
            .map(Self)
    }

    /// The revision as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default() // it is ASCII
    }

    pub(super) const fn bytes(self) -> [u8; REVISION] {
        self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revision({self})")
    }
}

/// The stored form. `key` is the key without its prefix.
pub(super) fn write(revision: Revision, key: &str, value: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(VALUE + value.len());
    bytes.push(b'1');
    bytes.extend_from_slice(&revision.0);
    bytes.push(b' ');
    bytes.extend_from_slice(check(key).as_bytes());
    bytes.push(b' ');
    bytes.extend_from_slice(value);
    bytes.into()
}

/// The revision and the codec's bytes, if this was written for this key.
pub(super) fn read<'a>(stored: &'a [u8], key: &str) -> Option<(Revision, &'a [u8])> {
    let (head, value) = stored.split_at_checked(VALUE)?;
    let head = std::str::from_utf8(head).ok()?;
    let (revision, found) = head.strip_prefix('1')?.strip_suffix(' ')?.split_once(' ')?;
    (found == check(key)).then_some((Revision::parse(revision)?, value))
}

/// Half of an XXH3: it finds accidents.
fn check(key: &str) -> String {
    format!("{:08x}", xxh3_64(key.as_bytes()) & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_format_is_frozen() {
        let revision = Revision::parse("AAAAbbbb0000-_-_").unwrap();
        assert_eq!(
            (revision.to_string(), &revision.bytes()),
            ("AAAAbbbb0000-_-_".to_owned(), b"AAAAbbbb0000-_-_")
        );
        let stored = write(revision, ":state:carts:{alice}", br#"{"n":1}"#);
        assert_eq!(&*stored, br#"1AAAAbbbb0000-_-_ a30106c0 {"n":1}"#.as_slice());
        assert_eq!(read(&stored, ":state:carts:{alice}"), Some((revision, br#"{"n":1}"#.as_slice())));
        assert_eq!(read(&stored, ":state:carts:{bob}"), None);
        for foreign in ["", "1", "{\"n\":1}", "2AAAAbbbb0000-_-_ 00000000 {}", "1AAAAbbbb0000-_-_"] {
            assert_eq!(read(foreign.as_bytes(), "k"), None, "{foreign}");
        }
    }

    #[test]
    fn revisions_are_new_each_time_and_read_back() {
        let all: std::collections::BTreeSet<_> = (0..1000).map(|_| Revision::new().unwrap()).collect();
        assert_eq!(all.len(), 1000);
        assert!(all.iter().all(|revision| Revision::parse(revision.as_str()) == Some(*revision)));
        assert!(
            ["", "short", "AAAAbbbb0000-_-!", "AAAAbbbb0000-_-_x"]
                .iter()
                .all(|text| Revision::parse(text).is_none())
        );
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(key in ".{0,20}", value in proptest::collection::vec(any::<u8>(), 0..50)) {
            let revision = Revision::new().unwrap();
            let stored = write(revision, &key, &value);
            prop_assert_eq!(read(&stored, &key), Some((revision, &*value)));
        }

        #[test]
        fn nothing_panics(stored in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = read(&stored, "k");
        }
    }
}
