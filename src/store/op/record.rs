//! The stored form of a session.
//!
//! A session is one hash. Field `@` holds everything that is not an entry, as one line of words:
//!
//! ```text
//! 1 HANDLE GENERATION CREATED SEEN RENEWED AUTHENTICATED IDLE DEADLINE GRACE_UNTIL SECRET PREVIOUS LENGTH PRINCIPAL
//! ```
//!
//! Times are milliseconds since the Unix epoch by the store's clock, `IDLE` is a span of milliseconds, `SECRET` and `PREVIOUS`
//! are SHA-256 in base64url (`-`: none), `PRINCIPAL` is the rest of the line, has `LENGTH` bytes and may be empty: a line that
//! was cut, or whose words were shifted, names nobody else. The handle is the record's check of its own key.
//! `session_commit.lua` reads and writes the same line. Field `@label` names the device; all
//! other fields that begin with `@` are this crate's, the rest are the app's entries, as JSON.

use std::fmt;

use crate::store::fields::Fields;

/// The field that holds the metadata.
pub const META: &str = "@";
/// The field that names the device or browser.
pub const LABEL: &str = "@label";

/// The SHA-256 of a secret, base64url: 43 characters. `Debug` hides it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash {
    /// Filled up with zeros.
    text: [u8; Self::ROOM],
    length: u8,
}

impl Hash {
    const MAX: usize = 43;
    const ROOM: usize = 48;

    /// A hash from its whole text, ASCII.
    #[must_use]
    pub fn whole(text: [u8; 43]) -> Self {
        let mut room = [0; Self::ROOM];
        room[..Self::MAX].copy_from_slice(&text);
        Self { text: room, length: 43 }
    }

    /// A hash from its text. `None` when it is too long to be one.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let mut room = [0; Self::ROOM];
        room[..Self::MAX].get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { text: room, length: u8::try_from(text.len()).ok()? })
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // It was text when it came, so there is no other case.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The text's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// The text in words of eight bytes, filled up with zeros: hashes are the same if these are. A comparison in constant time takes
    /// each word at once.
    #[must_use]
    pub fn words(&self) -> [u64; 6] {
        let (words, _) = self.text.as_chunks::<8>();
        std::array::from_fn(|i| words.get(i).copied().map_or(0, u64::from_ne_bytes))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(..)")
    }
}

/// What a session knows about itself. `Debug` shows neither hash nor principal.
#[derive(Clone, PartialEq, Eq)]
pub struct Meta {
    /// The public half of the cookie, and the record's check of its own key.
    pub handle: String,
    /// Grows with each rotation without grace: what was loaded before cannot be saved after.
    pub generation: u64,
    /// When the session was made.
    pub created_ms: u64,
    /// When it was last used, to within the touch interval.
    pub seen_ms: u64,
    /// When its secret was last changed.
    pub renewed_ms: u64,
    /// When the principal signed in; 0 for never.
    pub authenticated_ms: u64,
    /// How long it lives unused.
    pub idle_ms: u64,
    /// When it ends at the latest.
    pub deadline_ms: u64,
    /// Until when the previous secret counts. 0: until the new one has been seen, since its cookie may have been lost.
    pub grace_until_ms: u64,
    /// The hash of the secret half of the cookie.
    pub secret: Hash,
    /// The hash of the secret before the last renewal.
    pub previous: Option<Hash>,
    /// Who signed in.
    pub principal: Option<String>,
}

impl Meta {
    /// Reads the line; `None` when it is not one of ours.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let mut words = Words(std::str::from_utf8(line).ok()?.strip_prefix("1 ")?);
        let handle = words.text()?.to_owned();
        let (generation, created_ms, seen_ms) = (words.number()?, words.number()?, words.number()?);
        let (renewed_ms, authenticated_ms, idle_ms) = (words.number()?, words.number()?, words.number()?);
        let (deadline_ms, grace_until_ms) = (words.number()?, words.number()?);
        let secret = Hash::new(words.text()?)?;
        let previous = match words.text()? {
            "-" => None,
            previous => Some(Hash::new(previous)?),
        };
        let length = words.number()?;
        let principal = words.0;
        if principal.len() as u64 != length {
            return None;
        }
        Some(Self {
            handle,
            generation,
            created_ms,
            seen_ms,
            renewed_ms,
            authenticated_ms,
            idle_ms,
            deadline_ms,
            grace_until_ms,
            secret,
            previous,
            principal: (!principal.is_empty()).then(|| principal.to_owned()),
        })
    }

    /// Writes the line.
    #[must_use]
    pub fn to_line(&self) -> String {
        let principal = self.principal.as_deref().unwrap_or("");
        format!(
            "1 {} {} {} {} {} {} {} {} {} {} {} {} {}",
            self.handle,
            self.generation,
            self.created_ms,
            self.seen_ms,
            self.renewed_ms,
            self.authenticated_ms,
            self.idle_ms,
            self.deadline_ms,
            self.grace_until_ms,
            self.secret.as_str(),
            self.previous.as_ref().map_or("-", Hash::as_str),
            principal.len(),
            principal,
        )
    }

    /// When the session ends if nobody uses it again.
    #[must_use]
    pub fn expires_ms(&self) -> u64 {
        self.seen_ms.saturating_add(self.idle_ms).min(self.deadline_ms)
    }
}

/// What is left of a line. Each read takes a word, which is not empty, and the space behind it.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn text(&mut self) -> Option<&'a str> {
        let (word, rest) = self.0.split_once(' ').filter(|(word, _)| !word.is_empty())?;
        self.0 = rest;
        Some(word)
    }

    /// Digits alone, as the script reads them: Rust's own parser takes a sign, and the script counts exactly below 2^53 only.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for (i, b) in self.0.bytes().enumerate() {
            match b {
                b'0'..=b'9' => number = number * 10 + u64::from(b - b'0'),
                b' ' if i > 0 => {
                    self.0 = self.0.get(i + 1..)?;
                    return Some(number);
                }
                _ => return None,
            }
            if number >= 1 << 53 {
                return None;
            }
        }
        None
    }
}

impl fmt::Debug for Meta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meta").field("handle", &self.handle).finish_non_exhaustive()
    }
}

/// A session as it was found: metadata apart from the other fields. `Debug` shows no value.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// The metadata.
    pub meta: Meta,
    /// The entries and this crate's own further fields.
    pub fields: Fields,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("meta", &self.meta).field("fields", &self.fields.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn meta() -> impl Strategy<Value = Meta> {
        let word = "[A-Za-z0-9_-]{2,43}";
        let numbers = proptest::array::uniform8(0..1u64 << 53);
        (word, numbers, word, proptest::option::of(word), proptest::option::of(".{1,60}")).prop_map(
            |(handle, n, secret, previous, principal)| Meta {
                handle,
                generation: n[0],
                created_ms: n[1],
                seen_ms: n[2],
                renewed_ms: n[3],
                authenticated_ms: n[4],
                idle_ms: n[5],
                deadline_ms: n[6],
                grace_until_ms: n[7],
                secret: Hash::new(&secret).unwrap(),
                previous: previous.and_then(|previous| Hash::new(&previous)),
                principal,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(meta in meta()) {
            prop_assert_eq!(Meta::parse(meta.to_line().as_bytes()), Some(meta));
        }

        #[test]
        fn foreign_bytes_are_refused_without_a_panic(line in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Meta::parse(&line).is_none_or(|meta| Meta::parse(meta.to_line().as_bytes()) == Some(meta)));
        }

        #[test]
        fn a_truncated_line_is_refused(meta in meta(), cut in any::<proptest::sample::Index>()) {
            let line = meta.to_line();
            prop_assert_eq!(Meta::parse(&line.as_bytes()[..cut.index(line.len())]), None);
        }
    }

    #[test]
    fn a_session_ends_when_it_was_not_used_or_at_its_deadline() {
        let line = |seen: u64, idle: u64| format!("1 h 0 0 {seen} 0 0 {idle} 1000 0 s - 0 ");
        for (seen, idle, expires) in [(0, 10, 10), (990, 9, 999), (990, 11, 1000), (5, (1 << 53) - 1, 1000)] {
            let meta = Meta::parse(line(seen, idle).as_bytes()).unwrap();
            assert_eq!(meta.expires_ms(), expires, "{seen} {idle}");
        }
    }

    #[test]
    fn hashes_are_the_same_if_their_words_are() {
        let text = "0123456789abcdefghijABCDEFGHIJ0123456789xyz";
        let whole = Hash::whole(text.as_bytes().try_into().unwrap());
        assert_eq!((whole, whole.as_str()), (Hash::new(text).unwrap(), text));
        for at in 0..text.len() {
            let mut other = text.to_owned();
            other.replace_range(at..=at, "-");
            assert_ne!(Hash::new(&other).unwrap().words(), whole.words(), "{other}");
            assert_ne!(Hash::new(&text[..at]).unwrap().words(), whole.words(), "{at}");
        }
        assert_eq!(Hash::new(text).unwrap().words(), whole.words());
    }

    #[test]
    fn other_versions_are_not_read() {
        for line in [
            "",
            "1",
            "2 h 0 0 0 0 0 0 0 0 s - 0 ",
            "1 h 0 0 0 0 0 0 0 0 s - 0",
            "1 h 0 0 0 0 0 0 0 0 s - 2 p",
            "1 h 0 0 0 0 0 0 0 0 s - +1 p",
            "1 h x 0 0 0 0 0 0 0 s - 1 p",
            "1 h 9007199254740992 0 0 0 0 0 0 0 s - 1 p",
            "1 h 0 0 0 0 0 0 0 0 0 s - 1 p",
            "1  0 0 0 0 0 0 0 0 s - 1 p",
            "1 h  0 0 0 0 0 0 0 s - 1 p",
            &format!("1 h 0 0 0 0 0 0 0 0 {} - 1 p", "s".repeat(44)),
        ] {
            assert_eq!(Meta::parse(line.as_bytes()), None, "{line}");
        }
        assert!(
            Meta::parse(b"1 h 0 0 0 0 0 0 0 0 s - 5 a b c")
                .is_some_and(|m| m.principal.as_deref() == Some("a b c"))
        );
    }
}
