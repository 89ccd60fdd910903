//! What a route says about its query.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::pairs::{Pair, pairs};

/// Which parts of the query select a response. By default all of it, as it was sent.
///
/// Names are compared as they are meant (`%70age` is `page`), letter by letter.
///
/// ```
/// use tower_keep::cache::rules::QueryKey;
///
/// let key = QueryKey::new().except(["utm_source", "fbclid"]).sorted();
/// assert_eq!(key.canonical("b=2&utm_source=mail&a=1"), "a=1&b=2");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct QueryKey {
    order: QueryOrder,
    params: QueryParams,
}

/// Whether the order of parameters counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QueryOrder {
    /// It does. The default.
    #[default]
    AsSent,
    /// It does not, but the order of those with the same name does.
    Sorted,
}

/// Which parameters count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryParams {
    /// All of them. The default.
    #[default]
    All,
    /// These. The handler must look at no other.
    Only(BTreeSet<String>),
    /// All but these.
    Except(BTreeSet<String>),
}

impl QueryKey {
    /// All of the query, as it was sent.
    pub fn new() -> Self {
        Self::default()
    }

    /// The order of parameters does not count, except of those with the same name.
    pub const fn sorted(mut self) -> Self {
        self.order = QueryOrder::Sorted;
        self
    }

    /// These parameters count and no others. Replaces what was said about parameters before.
    pub fn only<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.params = QueryParams::Only(names.into_iter().map(Into::into).collect());
        self
    }

    /// All parameters but these count. Replaces what was said about parameters before.
    pub fn except<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.params = QueryParams::Except(names.into_iter().map(Into::into).collect());
        self
    }

    /// What of a query belongs into the key. The default gives it back as it is.
    #[must_use]
    pub fn canonical<'q>(&self, query: &'q str) -> Cow<'q, str> {
        if self.order == QueryOrder::AsSent && self.params == QueryParams::All {
            return Cow::Borrowed(query);
        }
        let mut kept: Vec<Pair<'_>> = pairs(query).filter(|pair| self.counts(&pair.name)).collect();
        if self.order == QueryOrder::Sorted {
            kept.sort_by(|one, other| one.name.cmp(&other.name));
        }
        let sent: Vec<&str> = kept.iter().map(|pair| pair.sent).collect();
        Cow::Owned(sent.join("&"))
    }

    fn counts(&self, name: &[u8]) -> bool {
        let is_in =
            |names: &BTreeSet<String>| std::str::from_utf8(name).is_ok_and(|name| names.contains(name));
        match &self.params {
            QueryParams::All => true,
            QueryParams::Only(names) => is_in(names),
            QueryParams::Except(names) => !is_in(names),
        }
    }
}
