//! Which of a URL's responses a request selects (RFC 9111 §4.1, RFC 9110 §12.5.5).

mod accept;
mod key;
mod normalise;
#[cfg(test)]
mod tests;

use http::header::VARY;
use http::{HeaderMap, HeaderName};

pub use key::{VariantKey, VariantKeys};
pub use normalise::{ContentLanguage, Normalise, Preferences, UnknownFields};

use super::storing::NotStored;
use crate::syntax::{elements, is_token};

/// How many fields `Vary` may name. A response that varies on more is not stored.
pub const MAX_VARY_NAMES: usize = 16;

/// The request fields that `Vary` names: lower case, sorted, each once.
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use tower_keep::cache::rules::VaryNames;
///
/// let mut headers = HeaderMap::new();
/// headers.append("vary", HeaderValue::from_static("Accept-Language, accept-encoding"));
/// headers.append("vary", HeaderValue::from_static("Accept-Encoding"));
/// let names = VaryNames::of(&headers)?;
/// assert_eq!(names.iter().collect::<Vec<_>>(), ["accept-encoding", "accept-language"]);
/// # Ok::<(), tower_keep::cache::rules::NotStored>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct VaryNames(Vec<HeaderName>);

impl VaryNames {
    /// The names in a response's `Vary`, over all its lines.
    ///
    /// # Errors
    ///
    /// [`NotStored::VaryStar`] if one of them is `*`, or no name; [`NotStored::VaryTooMany`] if there are more than
    /// [`MAX_VARY_NAMES`].
    pub fn of(response: &HeaderMap) -> Result<Self, NotStored> {
        let lines = response.get_all(VARY).iter();
        Self::from_names(lines.flat_map(|line| elements(line.as_bytes())).map(|name| name.text))
    }

    /// These names, such as were stored.
    ///
    /// # Errors
    ///
    /// As [`of`](Self::of).
    pub fn from_names<N: AsRef<[u8]>>(names: impl IntoIterator<Item = N>) -> Result<Self, NotStored> {
        let mut read = Vec::new();
        for name in names {
            // `*` is a token too, and what is no token cannot be the name of a field: nobody knows what it is.
            let name = Some(name.as_ref()).filter(|name| is_token(name) && *name != b"*");
            let name = name.and_then(|name| HeaderName::from_bytes(name).ok()).ok_or(NotStored::VaryStar)?;
            if let Err(at) = read.binary_search_by(|known: &HeaderName| known.as_str().cmp(name.as_str())) {
                read.insert(at, name);
            }
            if read.len() > MAX_VARY_NAMES {
                return Err(NotStored::VaryTooMany);
            }
        }
        Ok(Self(read))
    }

    /// The names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(HeaderName::as_str)
    }

    /// Whether all requests for the URL select the same response.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
