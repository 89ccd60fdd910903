//! `No-Vary-Search` (draft-ietf-httpbis-no-vary-search).

use http::{HeaderMap, HeaderName};

use super::pairs::{Pair, decoded, encoded, pairs};
use crate::cache::rules::structured::{Bare, Member, dictionary};

const NO_VARY_SEARCH: HeaderName = HeaderName::from_static("no-vary-search");

/// What a response says about its query: which parameters do not matter, and whether their order does.
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use tower_keep::cache::rules::NoVarySearch;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("no-vary-search", HeaderValue::from_static("key-order, params=(\"utm_source\")"));
/// let no_vary = NoVarySearch::of(&headers).ok_or("absent")?;
/// assert_eq!(no_vary.canonical("b=2&utm_source=mail&a=%31"), "a=1&b=2");
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoVarySearch {
    ignores_order: bool,
    ignored: Ignored,
}

/// Parameters that do not matter, by their decoded names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ignored {
    These(Vec<Vec<u8>>),
    AllBut(Vec<Vec<u8>>),
}

impl NoVarySearch {
    /// What a response says. `None` where it says nothing, nothing that means anything, or nothing that can be read (draft §4.1): then the
    /// query counts as it was sent.
    #[must_use]
    pub fn of(response: &HeaderMap) -> Option<Self> {
        let (mut ignores_order, mut params, mut except) = (false, None, None);
        for (key, member) in dictionary(response, &NO_VARY_SEARCH)? {
            match key.as_str() {
                "key-order" => ignores_order = boolean(&member)?,
                "params" => params = Some(member),
                "except" => except = Some(member),
                _ => {}
            }
        }
        let all = params.as_ref().and_then(boolean);
        let ignored = match (params, all, except) {
            (_, Some(true), except) => Ignored::AllBut(except.map_or(Some(Vec::new()), names)?),
            (_, _, Some(_)) => return None,
            (None, _, None) | (_, Some(false), None) => Ignored::These(Vec::new()),
            (Some(list), None, None) => Ignored::These(names(list)?),
        };
        let means_something = ignores_order || ignored != Ignored::These(Vec::new());
        means_something.then_some(Self { ignores_order, ignored })
    }

    /// What of a query counts, in one form: two queries are equivalent (draft §5) if and only if theirs are equal.
    ///
    /// Bytes that are no UTF-8 are compared as they are, where the draft would take all of them for the same.
    #[must_use]
    pub fn canonical(&self, query: &str) -> String {
        let mut kept: Vec<Pair<'_>> = pairs(query).filter(|pair| !self.ignores(&pair.name)).collect();
        if self.ignores_order {
            kept.sort_by(|one, other| one.name.cmp(&other.name));
        }
        encoded(&kept)
    }

    fn ignores(&self, name: &[u8]) -> bool {
        let is_in = |names: &[Vec<u8>]| names.iter().any(|known| *known == name);
        match &self.ignored {
            Ignored::These(names) => is_in(names),
            Ignored::AllBut(names) => !is_in(names),
        }
    }
}

fn boolean(member: &Member) -> Option<bool> {
    match member {
        Member::Item(Bare::Boolean(value)) => Some(*value),
        _ => None,
    }
}

/// The names of parameters in an inner list of strings (draft §4.3).
fn names(list: Member) -> Option<Vec<Vec<u8>>> {
    Some(list.strings()?.iter().map(|name| decoded(name).into_owned()).collect())
}
