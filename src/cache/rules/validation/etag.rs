//! Entity tags (RFC 9110 §8.8.3).

/// An entity tag, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntityTag<'a> {
    is_weak: bool,
    /// What stands between the marks, or all of it where there are none: some origins and clients leave them out.
    opaque: &'a [u8],
}

impl<'a> EntityTag<'a> {
    /// Reads one tag. White space around it was removed.
    pub(super) fn read(text: &'a [u8]) -> Self {
        let (is_weak, rest) = match text {
            [b'W' | b'w', b'/', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        let opaque = match rest {
            [b'"', inner @ .., b'"'] => inner,
            _ => rest,
        };
        Self { is_weak, opaque }
    }

    /// §8.8.3.2: weak comparison.
    pub(super) fn matches(self, other: Self) -> bool {
        self.opaque == other.opaque
    }

    /// §8.8.3.2: strong comparison.
    pub(super) fn is_same(self, other: Self) -> bool {
        !self.is_weak && !other.is_weak && self.matches(other)
    }

    pub(super) const fn is_weak(self) -> bool {
        self.is_weak
    }
}

/// The tags of a list. Commas may stand between the marks of a tag, and a backslash means nothing there.
pub(super) fn tags(mut list: &[u8]) -> impl Iterator<Item = EntityTag<'_>> {
    std::iter::from_fn(move || {
        while let [b',' | b' ' | b'\t', rest @ ..] = list {
            list = rest;
        }
        if list.is_empty() {
            return None;
        }
        let prefix = if let [b'W' | b'w', b'/', ..] = list { 2 } else { 0 };
        let rest = list.get(prefix..).unwrap_or_default();
        let end = match rest {
            [b'"', inner @ ..] => inner.iter().position(|b| *b == b'"').map(|at| prefix + at + 2),
            _ => rest.iter().position(|b| matches!(b, b',' | b' ' | b'\t')).map(|at| prefix + at),
        };
        let (tag, after) = list.split_at_checked(end.unwrap_or(list.len()))?;
        list = after;
        Some(EntityTag::read(tag))
    })
}
