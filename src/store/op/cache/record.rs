//! What lies under a URL's key.
//!
//! ```text
//! E COUNTER STORED        a stored response; STORED is the cache's own form of it
//! S COUNTER GENERATION COUNT \n FIELDS \n FIELDS ..   which variants there are
//! ```
//!
//! The kind is one byte and the counter eight hexadecimal digits, without spaces between. The counter grows when the URL is purged softly:
//! a response that lies under the URL's own key is fresh at zero, a variant as long as its counter is the one of the URL's key.

use bytes::Bytes;

/// The bytes before what is stored.
const HEAD: usize = 9;

/// The first bytes of what lies under a URL's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// What follows.
    pub kind: Kind,
    /// How often the URL was purged softly.
    pub counter: u32,
}

/// What lies under a URL's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A stored response.
    Entry,
    /// Which variants there are.
    Spec,
}

impl Head {
    /// Takes the first bytes off a value; `None` when it is none of ours.
    #[must_use]
    pub fn split(value: &Bytes) -> Option<(Self, Bytes)> {
        let (kind, counter) = value.get(..HEAD)?.split_first()?;
        let kind = match kind {
            b'E' => Kind::Entry,
            b'S' => Kind::Spec,
            _ => return None,
        };
        let digits = std::str::from_utf8(counter).ok().filter(|digits| !digits.starts_with('+'))?;
        Some((Self { kind, counter: u32::from_str_radix(digits, 16).ok()? }, value.slice(HEAD..)))
    }

    pub(super) fn join(self, rest: &[u8]) -> Bytes {
        let kind = match self.kind {
            Kind::Entry => 'E',
            Kind::Spec => 'S',
        };
        let mut value = format!("{kind}{:08x}", self.counter).into_bytes();
        value.extend_from_slice(rest);
        value.into()
    }
}

/// Which variants of a URL's response there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// A random word; variants of another one do not count.
    pub generation: String,
    /// How many variants were stored in this generation.
    pub count: u64,
    /// The sets of request fields by which they differ, each as the cache writes it; the latest first.
    pub fields: Vec<String>,
}

impl Spec {
    /// The most sets of fields that are kept; with more, the earliest is forgotten.
    pub const MAX_FIELDS: usize = 4;

    /// Reads it; `None` when it is none.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(text).ok()?.lines();
        let (generation, count) = lines.next()?.split_once(' ')?;
        let fields: Vec<_> = lines.map(str::to_owned).collect();
        // As the script reads it: what one of the two took for a list and the other did not would stay for ever.
        let is_word = !generation.is_empty() && generation.bytes().all(|b| b.is_ascii_graphic());
        let sound = is_word && !fields.is_empty() && fields.len() <= Self::MAX_FIELDS;
        let count = count.parse().ok()?;
        sound.then(|| Self { generation: generation.to_owned(), count, fields })
    }

    pub(super) fn to_text(&self) -> String {
        format!("{} {}\n{}\n", self.generation, self.count, self.fields.join("\n"))
    }

    /// Puts a set of fields first.
    pub(super) fn lead_with(&mut self, fields: &str) {
        self.fields.retain(|other| other != fields);
        self.fields.insert(0, fields.to_owned());
        self.fields.truncate(Self::MAX_FIELDS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let head = Head { kind: Kind::Spec, counter: 0x1f };
        let value = head.join(b"rest");
        assert_eq!(value, &b"S0000001frest"[..]);
        assert_eq!(Head::split(&value), Some((head, Bytes::from_static(b"rest"))));
        for bad in [&b""[..], b"E0000000", b"X00000000", b"E+0000000", b"E0000000g"] {
            assert_eq!(Head::split(&Bytes::copy_from_slice(bad)), None);
        }
        let mut spec = Spec { generation: "g".into(), count: 2, fields: vec!["accept".into()] };
        spec.lead_with("cookie");
        spec.lead_with("accept");
        assert_eq!(spec.fields, ["accept", "cookie"]);
        assert_eq!(Spec::parse(spec.to_text().as_bytes()), Some(spec));
        for bad in ["", "g\n", "g 1\n", "g x\na\n", " 1\na\n", "g 1\na\nb\nc\nd\ne\n", "g\t 1\na\n"] {
            assert_eq!(Spec::parse(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
