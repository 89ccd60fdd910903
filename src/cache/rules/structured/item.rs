//! Bare items (RFC 9651 §3.3).

/// A value without its parameters. What no cache rule reads is told by its type alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cache::rules) enum Bare {
    Integer(i64),
    Decimal,
    String(String),
    Token,
    Bytes,
    Boolean(bool),
    Date,
    DisplayString,
}

/// A member of a dictionary or list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cache::rules) enum Member {
    Item(Bare),
    InnerList(Vec<Bare>),
}

impl Member {
    /// The strings of an inner list, if it holds nothing else.
    pub(in crate::cache::rules) fn strings(self) -> Option<Vec<String>> {
        let Self::InnerList(items) = self else { return None };
        items.into_iter().map(Bare::string).collect()
    }
}

impl Bare {
    pub(in crate::cache::rules) fn string(self) -> Option<String> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }
}
