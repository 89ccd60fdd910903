//! Every key that this crate writes is built here, and nowhere else.
//!
//! The schema is `{prefix}:{kind}:{part}` (limits have more words, see [`Key::limit`]). Parts come from users (names, ids), so they are escaped: what is not
//! an unreserved character of RFC 3986 §2.3 becomes `%XX`. A part can therefore never hold a colon (and imitate
//! another key), braces (and choose its Cluster slot), a glob character or a control byte. A part whose
//! escaped form would be longer than [`MAX_PART`] bytes is replaced by `@` and its SHA-256 in base64url; as `@` is
//! always escaped, no short part can imitate a hashed one.
//!
//! A key that is made of several parts ends with a [`Composite`]: the same escaping for each, and the same bound for all.

mod cache;
mod space;

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::error::ConfigError;
pub use space::KeySpace;

/// The longest escaped part, in bytes, that stands in a key as it is.
pub const MAX_PART: usize = 128;
/// The longest prefix, in bytes.
pub const MAX_PREFIX: usize = 64;

/// What all keys of one application begin with, so that several can share a Redis.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyPrefix(Arc<str>);

impl KeyPrefix {
    /// Checks a prefix: 1 to [`MAX_PREFIX`] bytes out of `A-Z a-z 0-9 . _ -` and, between words, `:`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::KeyPrefix`] when the text is empty, too long or holds another character.
    pub fn new(prefix: &str) -> Result<Self, ConfigError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':');
        let colon_at_edge = prefix.starts_with(':') || prefix.ends_with(':');
        if prefix.is_empty() || prefix.len() > MAX_PREFIX || colon_at_edge || !prefix.bytes().all(allowed) {
            return Err(ConfigError::KeyPrefix);
        }
        Ok(Self(prefix.into()))
    }

    /// The prefix as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for KeyPrefix {
    /// `keep`.
    fn default() -> Self {
        Self("keep".into())
    }
}

impl fmt::Debug for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyPrefix").field(&self.as_str()).finish()
    }
}

/// Which limits share a Redis Cluster slot, and can therefore be decided together. Without a Cluster it makes no difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Slot {
    /// All limits of one namespace, whatever they count: any of them can be decided together, on one node. The default.
    #[default]
    Namespace,
    /// All limits of one subject: subjects spread over the nodes, and limits of different subjects cannot be decided together.
    Subject,
}

/// A complete, escaped key. `Debug` shows its kind only: the rest may name a person.
///
/// Clones share the text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

impl Key {
    /// `{prefix}:{kind}:{part}`, with `part` escaped. `kind` is ours (or a checked namespace) and stands as it is.
    #[must_use]
    pub fn new(prefix: &KeyPrefix, kind: &str, part: &str) -> Self {
        let mut key = String::with_capacity(prefix.as_str().len() + kind.len() + part.len() + 2);
        key.push_str(prefix.as_str());
        key.push(':');
        key.push_str(kind);
        key.push(':');
        push_part(&mut key, part.as_bytes());
        Self::built(key)
    }

    /// The key of a limit: `{prefix}:limit:{namespace}:{name}:{quota}:{subject}`, with the Cluster hash tag where `slot` says. The
    /// first three parts are checked words.
    #[must_use]
    pub fn limit(
        prefix: &KeyPrefix,
        [namespace, name, quota]: [&str; 3],
        subject: &Composite,
        slot: Slot,
    ) -> Self {
        LimitKeys::new(prefix, [namespace, name, quota], slot).of(subject)
    }

    fn built(text: String) -> Self {
        Self(text.into())
    }

    /// The key as it stands in the store.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// All keys of one limit, but for the subject: worked out once, so that a request's key is two texts put together. See [`Key::limit`].
#[derive(Clone, Debug)]
pub struct LimitKeys {
    before: String,
    after: &'static str,
}

impl LimitKeys {
    /// The three words are checked ones.
    #[must_use]
    pub fn new(prefix: &KeyPrefix, [namespace, name, quota]: [&str; 3], slot: Slot) -> Self {
        let prefix = prefix.as_str();
        let (before, after): (&[&str], _) = match slot {
            Slot::Namespace => (&[prefix, ":limit:{", namespace, "}:", name, ":", quota, ":"], ""),
            Slot::Subject => (&[prefix, ":limit:", namespace, ":", name, ":", quota, ":{"], "}"),
        };
        Self { before: before.concat(), after }
    }

    /// The key under which a subject is counted.
    #[must_use]
    pub fn of(&self, subject: &Composite) -> Key {
        let subject = subject.as_str();
        let mut key = String::with_capacity(self.before.len() + subject.len() + self.after.len());
        [&self.before, subject, self.after].into_iter().for_each(|part| key.push_str(part));
        Key::built(key)
    }
}

/// One named part of a [`Composite`].
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Part<'a> {
    /// Stands in the key, escaped: `name=value`.
    Shown(&'a [u8]),
    /// Only its SHA-256 stands in the key, however short it is: `name+hash`.
    Secret(&'a [u8]),
    /// There is none, which is not the same as an empty one: `name!`.
    Missing,
}

/// Several named parts as the last word of a key, at most [`MAX_PART`] bytes. `Debug` shows nothing of it.
///
/// Each part is escaped by itself and the signs between them are escaped in parts, so different lists of parts give different texts.
/// Where the text would be longer than the bound it is replaced by `@` and its SHA-256; no name begins with `@`.
///
/// ```
/// use tower_keep::store::key::{Composite, Part};
///
/// let key = Composite::of([("ip", Part::Shown(b"192.0.2.1")), ("path", Part::Shown(b"/login")), ("user", Part::Missing)]);
/// assert_eq!(key.as_str(), "ip=192.0.2.1,path=%2Flogin,user!");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Composite(String);

impl Composite {
    /// Joins the parts, in order.
    #[must_use]
    pub fn of<'a, N: AsRef<str>>(parts: impl IntoIterator<Item = (N, Part<'a>)>) -> Self {
        let mut text = String::with_capacity(MAX_PART / 2);
        for (name, part) in parts {
            if !text.is_empty() {
                text.push(',');
            }
            push_part(&mut text, name.as_ref().as_bytes());
            match part {
                Part::Shown(value) => {
                    text.push('=');
                    push_part(&mut text, value);
                }
                Part::Secret(value) => {
                    text.push('+');
                    push_hash(&mut text, value);
                }
                Part::Missing => text.push('!'),
            }
        }
        if text.len() > MAX_PART {
            let mut hashed = String::from("@");
            push_hash(&mut hashed, text.as_bytes());
            return Self(hashed);
        }
        Self(text)
    }

    /// One part without a meaning of its own: `text=value`.
    #[must_use]
    pub fn text(value: &str) -> Self {
        Self::of([("text", Part::Shown(value.as_bytes()))])
    }

    /// The text as it stands in a key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Composite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Composite(..)")
    }
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shown(_) => "Shown(..)",
            Self::Secret(_) => "Secret(..)",
            Self::Missing => "Missing",
        })
    }
}

/// Which bytes stand in a key unescaped (RFC 3986 §2.3, unreserved).
const UNRESERVED: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < table.len() {
        let byte = b as u8;
        table[b] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        b += 1;
    }
    table
};

const fn is_unreserved(b: u8) -> bool {
    UNRESERVED[b as usize]
}

fn push_hash(key: &mut String, value: &[u8]) {
    URL_SAFE_NO_PAD.encode_string(Sha256::digest(value), key);
}

fn push_part(key: &mut String, part: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let escapes = part.iter().filter(|b| !is_unreserved(**b)).count();
    if part.len() + 2 * escapes > MAX_PART {
        key.push('@');
        return push_hash(key, part);
    }
    if escapes == 0
        && let Ok(text) = std::str::from_utf8(part)
    {
        return key.push_str(text);
    }
    for b in part {
        if is_unreserved(*b) {
            key.push(char::from(*b));
        } else {
            key.push('%');
            key.push(char::from(HEX[usize::from(b >> 4)]));
            key.push(char::from(HEX[usize::from(b & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(part: &str) -> String {
        Key::new(&KeyPrefix::new("app").unwrap(), "session", part).as_str().to_owned()
    }

    #[test]
    fn hostile_parts_are_escaped() {
        for (part, escaped) in [
            ("plain-1._~", "plain-1._~"),
            ("a:b", "a%3Ab"),
            ("{tag}", "%7Btag%7D"),
            ("x\r\n*?[", "x%0D%0A%2A%3F%5B"),
            ("é", "%C3%A9"),
            ("@", "%40"),
            ("", ""),
        ] {
            assert_eq!(key(part), format!("app:session:{escaped}"));
        }
    }

    #[test]
    fn long_parts_are_hashed_and_bounded() {
        let long = key(&"x".repeat(1 << 20));
        assert!(long.starts_with("app:session:@"));
        assert_eq!(long.len(), "app:session:@".len() + 43);
        assert_ne!(long, key(&"x".repeat((1 << 20) + 1)));
        assert_eq!(key(&"x".repeat(MAX_PART)).len(), "app:session:".len() + MAX_PART);
    }

    #[test]
    fn limits_that_are_decided_together_share_a_hash_tag() {
        let prefix = KeyPrefix::default();
        let subject = Composite::text("a:{b}");
        let limit = |slot| Key::limit(&prefix, ["api", "burst", "w5.1"], &subject, slot).as_str().to_owned();
        assert_eq!(limit(Slot::Namespace), "keep:limit:{api}:burst:w5.1:text=a%3A%7Bb%7D");
        assert_eq!(limit(Slot::Subject), "keep:limit:api:burst:w5.1:{text=a%3A%7Bb%7D}");
    }

    #[test]
    fn prefixes_are_checked() {
        for good in ["a", "demo", "shop:eu-1", "A.b_c", &"x".repeat(MAX_PREFIX)] {
            assert!(KeyPrefix::new(good).is_ok(), "{good}");
        }
        for bad in ["", ":a", "a:", "a b", "{a}", "a*", "ü", &"x".repeat(MAX_PREFIX + 1)] {
            assert!(matches!(KeyPrefix::new(bad), Err(ConfigError::KeyPrefix)), "{bad}");
        }
    }

    fn named<'a>((name, kind, value): &'a (String, u8, Vec<u8>)) -> (&'a str, Part<'a>) {
        let part = match kind {
            0 => Part::Missing,
            1 => Part::Secret(value),
            _ => Part::Shown(value),
        };
        (name, part)
    }

    #[test]
    fn parts_stay_apart() {
        let text = |parts: &[&[u8]]| Composite::of(parts.iter().map(|part| ("t", Part::Shown(part)))).0;
        assert_eq!(text(&[b"a", b"bc"]), "t=a,t=bc");
        assert_eq!(text(&[b"ab", b"c"]), "t=ab,t=c");
        assert_eq!(text(&[b"a,t=b"]), "t=a%2Ct%3Db");
        assert_eq!(text(&[b""]), "t=");
        assert_eq!(text(&[]), "");
        assert_eq!(text(&[&[b'x'; 60], &[b'y'; 63]]).len(), MAX_PART);
        assert!(text(&[&[b'x'; 60], &[b'y'; 64]]).starts_with('@'));
    }

    proptest! {
        #[test]
        fn different_composites_make_different_keys(
            a in proptest::collection::vec((".{0,3}", 0..3_u8, proptest::collection::vec(any::<u8>(), 0..80)), 0..4),
            b in proptest::collection::vec((".{0,3}", 0..3_u8, proptest::collection::vec(any::<u8>(), 0..80)), 0..4),
        ) {
            let (x, y) = (Composite::of(a.iter().map(named)), Composite::of(b.iter().map(named)));
            // What a missing part would have been does not count.
            let plain = |parts: &[(String, u8, Vec<u8>)]| -> Vec<(String, u8, Vec<u8>)> {
                let blank = |(n, k, v): &(String, u8, Vec<u8>)| {
                    (n.clone(), *k, if *k == 0 { Vec::new() } else { v.clone() })
                };
                parts.iter().map(blank).collect()
            };
            prop_assert_eq!(plain(&a) == plain(&b), x == y);
            for text in [x.as_str(), y.as_str()] {
                prop_assert!(text.len() <= MAX_PART);
                prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%@,=+!".contains(&b)));
            }
        }

        #[test]
        fn different_parts_make_different_keys(a in ".{0,200}", b in ".{0,200}") {
            prop_assert_eq!(a == b, key(&a) == key(&b));
        }

        #[test]
        fn keys_are_short_and_printable(part in any::<String>()) {
            let key = key(&part);
            prop_assert!(key.len() <= "app:session:".len() + MAX_PART);
            let printable = |b: u8| b.is_ascii_graphic() && !b"{}".contains(&b);
            prop_assert!(key.bytes().all(printable));
            prop_assert_eq!(key.matches(':').count(), 2);
        }
    }
}
