//! What a limit counts by: one part of a key.

use std::borrow::Cow;
use std::fmt;

use http::HeaderName;

use crate::rate_limit::{ClientAddress, Grouping, Network};
use crate::store::key::Part;
use crate::view::RequestView;

/// One part of a [`LimitKey`](super::LimitKey). Parts of different kinds are different, even where they hold the same text.
///
/// `Debug` shows the kind alone: the value may name a person.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyPart<'a> {
    kind: Kind,
    value: Cow<'a, [u8]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Client,
    Header(HeaderName),
    ApiKey,
    Path,
    Method,
    Session,
    Principal,
    Text,
    Missing,
}

impl<'a> KeyPart<'a> {
    fn new(kind: Kind, value: impl Into<Cow<'a, [u8]>>) -> Self {
        Self { kind, value: value.into() }
    }

    /// The client's network: [`ClientAddress::network`].
    #[must_use]
    pub fn client(network: Network) -> Self {
        Self::new(Kind::Client, network.to_text())
    }

    /// A header and its value, which anybody can choose: alone it limits nobody. The value stands in the store's key, so secrets belong
    /// into [`api_key`](Self::api_key).
    #[must_use]
    pub fn header(name: HeaderName, value: &'a [u8]) -> Self {
        Self::new(Kind::Header(name), value)
    }

    /// An API key, or another secret that a client shows. The key in the store holds its SHA-256 and never the secret.
    ///
    /// Authenticate it first: whoever can make keys up has a fresh bucket for each. A plain hash hides keys that are random, and not
    /// those that can be guessed.
    #[must_use]
    pub fn api_key(secret: &'a [u8]) -> Self {
        Self::new(Kind::ApiKey, secret)
    }

    /// A path. Each spelling is another path, so prefer the router's pattern (`/users/{id}`) to what the client sent.
    #[must_use]
    pub fn path(path: &'a str) -> Self {
        Self::new(Kind::Path, path.as_bytes())
    }

    /// A method, as sent.
    #[must_use]
    pub fn method(method: &'a str) -> Self {
        Self::new(Kind::Method, method.as_bytes())
    }

    /// A session's public handle, which dies with the session: a visitor who drops the cookie begins anew.
    #[must_use]
    pub fn session(handle: &'a str) -> Self {
        Self::new(Kind::Session, handle.as_bytes())
    }

    /// Who is signed in.
    #[must_use]
    pub fn principal(principal: &'a str) -> Self {
        Self::new(Kind::Principal, principal.as_bytes())
    }

    /// Anything else.
    #[must_use]
    pub fn text(text: &'a str) -> Self {
        Self::new(Kind::Text, text.as_bytes())
    }

    /// A part that the request does not have. It is different from every other part, an empty one as well.
    #[must_use]
    pub fn missing() -> Self {
        Self::new(Kind::Missing, &[][..])
    }

    /// The same part, which borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> KeyPart<'static> {
        KeyPart { kind: self.kind, value: self.value.into_owned().into() }
    }

    pub(in crate::rate_limit) const fn is_missing(&self) -> bool {
        matches!(self.kind, Kind::Missing)
    }

    /// Whether it is a text without a character.
    pub(in crate::rate_limit) fn is_blank(&self) -> bool {
        self.kind == Kind::Text && self.value.is_empty()
    }

    /// The name of this part in the store's key.
    pub(super) fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match &self.kind {
            Kind::Client => "ip",
            Kind::Header(name) => return format!("header.{name}").into(),
            Kind::ApiKey => "api-key",
            Kind::Path => "path",
            Kind::Method => "method",
            Kind::Session => "session",
            Kind::Principal => "principal",
            Kind::Text => "text",
            Kind::Missing => "none",
        })
    }

    pub(super) fn stored(&self) -> Part<'_> {
        match self.kind {
            Kind::ApiKey => Part::Secret(&self.value),
            Kind::Missing => Part::Missing,
            _ => Part::Shown(&self.value),
        }
    }
}

impl KeyPart<'static> {
    /// The value of a request's header, several lines joined by commas (RFC 9110 §5.3). [`missing`](Self::missing) where there is none.
    #[must_use]
    pub fn header_of(request: &impl RequestView, name: &HeaderName) -> Self {
        joined(request, name).map_or_else(Self::missing, |value| Self::new(Kind::Header(name.clone()), value))
    }

    /// The API key in a request's header, such as `authorization` or `x-api-key`: the whole value as sent.
    /// [`missing`](Self::missing) where there is none.
    #[must_use]
    pub fn api_key_of(request: &impl RequestView, name: &HeaderName) -> Self {
        joined(request, name).map_or_else(Self::missing, |value| Self::new(Kind::ApiKey, value))
    }
}

fn joined(request: &impl RequestView, name: &HeaderName) -> Option<Vec<u8>> {
    let mut value: Option<Vec<u8>> = None;
    request.each_header(name.as_str(), &mut |line| match &mut value {
        Some(value) => {
            value.extend_from_slice(b", ");
            value.extend_from_slice(line);
        }
        None => value = Some(line.to_vec()),
    });
    value
}

impl fmt::Debug for KeyPart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}(..)", self.kind)
    }
}

impl From<Network> for KeyPart<'_> {
    fn from(network: Network) -> Self {
        Self::client(network)
    }
}

impl From<ClientAddress> for KeyPart<'_> {
    /// Grouped as by [`Grouping::default`].
    fn from(address: ClientAddress) -> Self {
        Self::client(address.network(Grouping::default()))
    }
}

impl<'a> From<&'a str> for KeyPart<'a> {
    fn from(text: &'a str) -> Self {
        Self::text(text)
    }
}

/// The same as [`KeyPart::text`].
impl From<String> for KeyPart<'_> {
    fn from(text: String) -> Self {
        Self::new(Kind::Text, text.into_bytes())
    }
}

impl<'a, P: Into<Self>> From<Option<P>> for KeyPart<'a> {
    fn from(part: Option<P>) -> Self {
        part.map_or_else(KeyPart::missing, Into::into)
    }
}
