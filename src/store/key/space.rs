//! Keys that differ in their last part alone, so that those parts can be found again by `SCAN`.
//!
//! ```text
//! {prefix}:state:{name}:{{key}}                 a value, alone in its Cluster slot
//! {prefix}:state:{name}:{{group}}:{key}         a value of a group, whose values share a slot
//! {prefix}:state-fetch:{name}:…                 who fetches that value; in its slot
//! {prefix}:count:{name}:{key}                   a counter
//! {prefix}:set:{name}:{key}                     a set
//! {prefix}:list:{name}:{key}                    a list
//! {prefix}:lock:{namespace}:{{name}}            a lock
//! {prefix}:lock:{namespace}:{{name}}:fence      the last fencing number of that lock
//! {prefix}:channel:{name}                       a channel, which is no key
//! ```

use super::{Key, KeyPrefix, MAX_PART, push_part};

/// All keys of one kind and name, but for the last part. A part is escaped, never hashed: hashed ones could not be listed.
#[derive(Clone, Debug)]
pub struct KeySpace {
    before: String,
    after: &'static str,
}

impl KeySpace {
    /// `{prefix}:{word}:…:{part}`. The words are checked ones.
    #[must_use]
    pub fn plain(prefix: &KeyPrefix, words: &[&str]) -> Self {
        Self { before: before(prefix, words), after: "" }
    }

    /// The same with the part as the key's hash tag: `{prefix}:{word}:…:{{part}}`.
    #[must_use]
    pub fn tagged(prefix: &KeyPrefix, words: &[&str]) -> Self {
        Self { before: before(prefix, words) + "{", after: "}" }
    }

    /// The same with a group as the hash tag of all its keys: `{prefix}:{word}:…:{{group}}:{part}`. `None` when the group does not
    /// [fit](Self::of).
    #[must_use]
    pub fn group(prefix: &KeyPrefix, words: &[&str], group: &str) -> Option<Self> {
        let tag = Self::tagged(prefix, words).of(group)?;
        Some(Self { before: [tag.as_str(), ":"].concat(), after: "" })
    }

    /// The key of a part. `None` when it is empty or its escaped form is longer than [`MAX_PART`] bytes.
    #[must_use]
    pub fn of(&self, part: &str) -> Option<Key> {
        if part.is_empty() { None } else { self.pattern([part]) }
    }

    /// What the keys of all parts that begin with `start` match, as a glob of `SCAN`.
    #[must_use]
    pub fn starting_with(&self, start: &str) -> Option<Key> {
        self.pattern([start, ""])
    }

    /// What the keys of all parts match that consist of `pieces` with anything in between. A piece is literal, whatever it holds.
    #[must_use]
    pub fn pattern<'a>(&self, pieces: impl IntoIterator<Item = &'a str>) -> Option<Key> {
        let mut key = self.before.clone();
        for (i, piece) in pieces.into_iter().enumerate() {
            if i > 0 {
                key.push('*');
            }
            push_whole(&mut key, piece)?;
        }
        if key.len() - self.before.len() > MAX_PART {
            return None;
        }
        key.push_str(self.after);
        Some(Key::built(key))
    }

    /// The part of a key of this space; `None` for any other key.
    #[must_use]
    pub fn part(&self, key: &str) -> Option<String> {
        let escaped = key.strip_prefix(&*self.before)?.strip_suffix(self.after)?;
        let mut bytes = Vec::with_capacity(escaped.len());
        let mut rest = escaped.bytes();
        while let Some(b) = rest.next() {
            bytes.push(match b {
                b'%' => hex(rest.next()?)? * 16 + hex(rest.next()?)?,
                b if super::is_unreserved(b) => b,
                _ => return None,
            });
        }
        String::from_utf8(bytes).ok().filter(|part| !part.is_empty())
    }
}

impl Key {
    /// Where the last fencing number of the lock with this key lies.
    #[must_use]
    pub fn lock_fence(&self) -> Self {
        Self::built([&self.0, ":fence"].concat())
    }

    /// A key that the store itself named.
    pub(in crate::store) fn scanned(text: String) -> Self {
        Self::built(text)
    }
}

fn before(prefix: &KeyPrefix, words: &[&str]) -> String {
    words.iter().fold(prefix.as_str().to_owned() + ":", |text, word| text + word + ":")
}

fn push_whole(key: &mut String, piece: &str) -> Option<()> {
    let from = key.len();
    push_part(key, piece.as_bytes());
    (!key.get(from..)?.starts_with('@')).then_some(())
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spaces() -> [KeySpace; 3] {
        let prefix = KeyPrefix::default();
        let words = ["state", "carts"];
        [
            KeySpace::plain(&prefix, &words),
            KeySpace::tagged(&prefix, &words),
            KeySpace::group(&prefix, &words, "g:1").unwrap(),
        ]
    }

    #[test]
    fn parts_are_escaped_and_tags_stand_where_they_should() {
        let keys = spaces().map(|space| space.of("a:{b}*").unwrap().as_str().to_owned());
        let part = "a%3A%7Bb%7D%2A";
        assert_eq!(keys[0], format!("keep:state:carts:{part}"));
        assert_eq!(keys[1], format!("keep:state:carts:{{{part}}}"));
        assert_eq!(keys[2], format!("keep:state:carts:{{g%3A1}}:{part}"));
        let patterns = spaces().map(|space| space.starting_with("a*").unwrap().as_str().to_owned());
        assert_eq!(patterns[0], "keep:state:carts:a%2A*");
        assert_eq!(patterns[1], "keep:state:carts:{a%2A*}");
    }

    #[test]
    fn what_is_empty_or_too_long_does_not_fit() {
        for space in spaces() {
            assert!(space.of("").is_none() && space.of(&"x".repeat(MAX_PART)).is_some());
            assert!(space.of(&"x".repeat(MAX_PART + 1)).is_none() && space.of(&":".repeat(50)).is_none());
            assert!(
                space.part("keep:state:other:a").is_none() && space.part("keep:state:carts:{g}:a").is_none()
            );
            let piece = "x".repeat(MAX_PART / 2);
            assert!(space.pattern([&*piece, &piece]).is_none(), "the star counts");
            assert!(space.pattern([&*piece, &piece[1..]]).is_some());
        }
    }

    proptest! {
        #[test]
        fn parts_come_back(part in ".{1,40}", other in ".{1,40}") {
            for space in spaces() {
                let Some(key) = space.of(&part) else { continue };
                let back = space.part(key.as_str());
                prop_assert_eq!(back.as_deref(), Some(&*part));
                prop_assert_eq!(space.of(&other).is_some_and(|other| other == key), part == other);
            }
        }
    }
}
