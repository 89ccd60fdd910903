//! The key of a variant.

use std::fmt;

use http::HeaderMap;
use http::header::CONTENT_LANGUAGE;
use sha2::{Digest, Sha256};

use super::VaryNames;
use super::normalise::Normalise;
use crate::syntax::{elements, is_token};
use crate::view::RequestView;

/// The key of a variant among the responses of a URL: a SHA-256 of the names in `Vary` and the request's normalised values.
///
/// Different names or values have different keys, and of the values nothing but the hash is kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VariantKey([u8; 32]);

/// Under which keys a response is looked for, or stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VariantKeys {
    /// By all the fields that `Vary` names. Look here first.
    pub own: VariantKey,
    /// By the language instead of `Accept-Language`: of a request the one that it wants most, of a response its `Content-Language`.
    /// `None` unless [`ContentLanguage::Selects`](super::normalise::ContentLanguage::Selects) is set and there is one such language.
    pub by_language: Option<VariantKey>,
}

/// What stands in the hash for a field.
enum Value {
    Absent,
    Sent(Vec<u8>),
    Language(String),
}

impl VaryNames {
    /// The key that a request selects.
    ///
    /// ```
    /// use http::Request;
    /// use tower_keep::cache::rules::{Normalise, VaryNames};
    ///
    /// let names = VaryNames::from_names(["accept-language"])?;
    /// let one = Request::get("/").header("accept-language", "de, en;q=0.5").body(())?;
    /// let other = Request::get("/").header("accept-language", "EN; q=0.50 , de").body(())?;
    /// let normalise = Normalise::safe();
    /// assert_eq!(names.key(&one, &normalise), names.key(&other, &normalise));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn key(&self, request: &dyn RequestView, normalise: &Normalise) -> VariantKey {
        self.hash(request, normalise, None)
    }

    /// The keys under which a request's response may be found.
    #[must_use]
    pub fn keys(&self, request: &dyn RequestView, normalise: &Normalise) -> VariantKeys {
        let favourite = self.by_language().then(|| normalise.favourite_language(request)).flatten();
        self.both(request, normalise, favourite)
    }

    /// The keys under which a response to this request is stored.
    #[must_use]
    pub fn stored_keys(
        &self,
        request: &dyn RequestView,
        response: &HeaderMap,
        normalise: &Normalise,
    ) -> VariantKeys {
        let selects =
            self.by_language() && normalise.content_language == super::normalise::ContentLanguage::Selects;
        let language = selects.then(|| content_language(response)).flatten();
        self.both(request, normalise, language)
    }

    fn both(
        &self,
        request: &dyn RequestView,
        normalise: &Normalise,
        language: Option<String>,
    ) -> VariantKeys {
        VariantKeys {
            own: self.hash(request, normalise, None),
            by_language: language.map(|language| self.hash(request, normalise, Some(&language))),
        }
    }

    fn by_language(&self) -> bool {
        self.iter().any(|name| name == "accept-language")
    }

    fn hash(&self, request: &dyn RequestView, normalise: &Normalise, language: Option<&str>) -> VariantKey {
        let mut hash = Sha256::new();
        for name in self.iter() {
            let value = match language {
                Some(language) if name == "accept-language" => Value::Language(language.to_owned()),
                _ => normalise.value(name, request).map_or(Value::Absent, Value::Sent),
            };
            let (kind, bytes) = match &value {
                Value::Absent => (0, &[][..]),
                Value::Sent(bytes) => (1, &bytes[..]),
                Value::Language(language) => (2, language.as_bytes()),
            };
            // With their lengths, so that no two lists of parts are the same bytes.
            part(&mut hash, name.as_bytes());
            hash.update([kind]);
            part(&mut hash, bytes);
        }
        VariantKey(hash.finalize().into())
    }
}

fn part(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

/// The one language that a response is in.
fn content_language(response: &HeaderMap) -> Option<String> {
    let mut lines = response.get_all(CONTENT_LANGUAGE).iter().flat_map(|line| elements(line.as_bytes()));
    let only = lines.next().filter(|language| is_token(language.text))?;
    let only = std::str::from_utf8(only.text).ok()?.to_ascii_lowercase();
    lines.next().is_none().then_some(only)
}

impl VariantKey {
    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// In hexadecimal.
impl fmt::Display for VariantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for VariantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VariantKey({self})")
    }
}
