//! When two values of a selecting field are the same (RFC 9111 §4.1).

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::accept::{best_coding, best_language, choices, favourite, is_weighted, joined, written};
use crate::syntax::trim;
use crate::view::RequestView;

/// When two requests select the same variant.
///
/// Several lines of a field are always one value, and white space around it does not count. `Accept`, `Accept-Charset`,
/// `Accept-Encoding` and `Accept-Language` are compared without regard to case, white space, the way weights are written (`q=1.0`,
/// none) and the order of elements with different weights.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Normalise {
    /// `Accept-Encoding`.
    pub encodings: Preferences,
    /// `Accept-Language`.
    pub languages: Preferences,
    /// Fields whose grammar is not known here.
    pub unknown: UnknownFields,
    /// Whether a response with `Content-Language` answers all who want that language most.
    pub content_language: ContentLanguage,
}

/// How a list of weighted values is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Preferences {
    /// The order of elements with the same weight counts. RFC 9110 §12.5.4 says that it cannot be relied upon, but many handlers take
    /// the first language.
    Ordered,
    /// It does not.
    Unordered,
    /// Only which of these values fits best counts. [`Normalise::replacement`] gives the value that the handler should see instead, so
    /// that it cannot choose otherwise.
    Best(Arc<[Box<str>]>),
}

impl Preferences {
    /// Only which of these values fits best counts; the first is the one for who accepts none of them, or all alike.
    pub fn best<V: Into<Box<str>>>(values: impl IntoIterator<Item = V>) -> Self {
        Self::Best(values.into_iter().map(Into::into).collect())
    }
}

/// How a field of unknown grammar is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnknownFields {
    /// Byte by byte.
    AsSent,
    /// As a list: white space around commas and empty elements do not count.
    AsLists,
}

/// Whether a response with `Content-Language` answers all who want that language most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContentLanguage {
    /// It answers those who sent the same `Accept-Language`.
    Ignored,
    /// It does: such a response is stored under one more key ([`VaryNames::stored_keys`](super::VaryNames::stored_keys)).
    Selects,
}

impl Normalise {
    /// What no handler can tell apart unless it looks at letters: the default.
    #[must_use]
    pub const fn safe() -> Self {
        Self {
            encodings: Preferences::Unordered,
            languages: Preferences::Ordered,
            unknown: UnknownFields::AsSent,
            content_language: ContentLanguage::Ignored,
        }
    }

    /// All that the specifications allow.
    #[must_use]
    pub const fn by_meaning() -> Self {
        Self {
            encodings: Preferences::Unordered,
            languages: Preferences::Unordered,
            unknown: UnknownFields::AsLists,
            content_language: ContentLanguage::Selects,
        }
    }

    /// The value of a field by which it is compared. `None` where the request does not have it.
    pub(super) fn value(&self, name: &str, request: &dyn RequestView) -> Option<Vec<u8>> {
        let sent = combined(name, request)?;
        if !is_weighted(name) {
            return Some(match self.unknown {
                UnknownFields::AsSent => sent,
                UnknownFields::AsLists => joined(&sent),
            });
        }
        let Some(mut choices) = choices(&sent) else { return Some(sent) };
        match (self.preferences(name), name) {
            (Preferences::Best(values), "accept-encoding") => {
                return Some(best_coding(&choices, values).into());
            }
            (Preferences::Best(values), "accept-language") => {
                return best_language(&choices, values).map(Into::into).or(Some(sent));
            }
            (Preferences::Unordered, _) => choices.sort(),
            (Preferences::Ordered | Preferences::Best(_), _) => {}
        }
        Some(written(&choices).into_bytes())
    }

    /// The language that a request wants most, if it wants one most.
    pub(super) fn favourite_language(&self, request: &dyn RequestView) -> Option<String> {
        if self.content_language == ContentLanguage::Ignored {
            return None;
        }
        let choices = choices(&combined("accept-language", request)?)?;
        favourite(&choices).map(str::to_owned)
    }

    /// The value that a handler should see in place of what the client sent, so that its choice is the one that the key holds.
    ///
    /// `Some` for `Accept-Encoding` and `Accept-Language` where [`Preferences::Best`] is set for them and the client sent the field.
    #[must_use]
    pub fn replacement(&self, name: &HeaderName, request: &dyn RequestView) -> Option<HeaderValue> {
        let is_best =
            is_weighted(name.as_str()) && matches!(self.preferences(name.as_str()), Preferences::Best(_));
        let value = self.value(name.as_str(), request).filter(|_| is_best)?;
        HeaderValue::from_bytes(&value).ok()
    }

    fn preferences(&self, name: &str) -> &Preferences {
        match name {
            "accept-encoding" => &self.encodings,
            "accept-language" => &self.languages,
            _ => &Preferences::Ordered,
        }
    }
}

impl Default for Normalise {
    fn default() -> Self {
        Self::safe()
    }
}

/// All lines of a field as one value (RFC 9110 §5.3).
fn combined(name: &str, request: &dyn RequestView) -> Option<Vec<u8>> {
    let mut combined: Option<Vec<u8>> = None;
    request.each_header(name, &mut |line| match &mut combined {
        Some(before) => {
            before.extend_from_slice(b", ");
            before.extend_from_slice(trim(line));
        }
        None => combined = Some(trim(line).to_vec()),
    });
    // An empty line leaves white space at the edge.
    combined.map(|value| trim(&value).to_vec())
}
