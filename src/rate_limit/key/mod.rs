//! By what a limit counts: several parts as one key.

mod part;

use std::fmt;

use smallvec::SmallVec;

use super::{ClientAddress, Network};
use crate::store::key::Composite;

pub use part::KeyPart;

/// By what a limit counts: one part, or several in order. At most [`MAX_PART`](crate::store::key::MAX_PART) bytes, whatever the parts.
///
/// Different parts give different keys: `("a", "bc")` is not `("ab", "c")`, and a part that is missing is not one that is empty.
/// `Debug` shows nothing of it.
///
/// ```
/// use tower_keep::rate_limit::{ClientAddress, KeyPart, LimitKey};
///
/// let client = ClientAddress::new("2001:db8::7".parse()?);
/// let key = LimitKey::from((client, KeyPart::path("/login")));
/// assert_eq!(key.as_str(), "ip=2001%3Adb8%3A%3A%2F64,path=%2Flogin");
///
/// let secret = LimitKey::from(KeyPart::api_key(b"hunter2"));
/// assert!(secret.as_str().starts_with("api-key+"));
/// assert!(!secret.as_str().contains("hunter2"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LimitKey(Composite);

impl LimitKey {
    /// Joins parts; missing ones are part of the key. All requests that lack the same parts share a key: where that is not meant, use
    /// [`complete`](Self::complete).
    #[must_use]
    pub fn of<'a, P: Into<KeyPart<'a>>>(parts: impl IntoIterator<Item = P>) -> Self {
        let parts: SmallVec<[KeyPart<'a>; 2]> = parts.into_iter().map(Into::into).collect();
        Self::joined(&parts)
    }

    pub(in crate::rate_limit) fn joined(parts: &[KeyPart<'_>]) -> Self {
        Self(Composite::of(parts.iter().map(|part| (part.name(), part.stored()))))
    }

    /// Joins parts, or gives `None` where one is missing, so that the limit's rule for requests without a key decides.
    #[must_use]
    pub fn complete<'a, P: Into<KeyPart<'a>>>(parts: impl IntoIterator<Item = P>) -> Option<Self> {
        let parts: Vec<KeyPart<'a>> = parts.into_iter().map(Into::into).collect();
        (!parts.iter().any(KeyPart::is_missing)).then(|| Self::of(parts))
    }

    /// Whether it names nobody: no parts, or one text that is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self.as_str(), "" | "text=")
    }

    /// The key as it stands in the store, behind prefix and kind. It may name a person or an address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// For [`Key::limit`](crate::store::key::Key::limit).
    #[must_use]
    pub const fn as_composite(&self) -> &Composite {
        &self.0
    }
}

impl fmt::Debug for LimitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LimitKey(..)")
    }
}

impl<'a> From<KeyPart<'a>> for LimitKey {
    fn from(part: KeyPart<'a>) -> Self {
        Self::of([part])
    }
}

/// The same as [`KeyPart::client`].
impl From<Network> for LimitKey {
    fn from(network: Network) -> Self {
        KeyPart::from(network).into()
    }
}

impl From<ClientAddress> for LimitKey {
    /// Grouped as by [`Grouping::default`](super::Grouping::default).
    fn from(address: ClientAddress) -> Self {
        KeyPart::from(address).into()
    }
}

/// The same as [`KeyPart::text`].
impl From<&str> for LimitKey {
    fn from(text: &str) -> Self {
        KeyPart::text(text).into()
    }
}

/// The same as [`KeyPart::text`].
impl From<String> for LimitKey {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

macro_rules! from_tuples {
    ($(($($part:ident)+))+) => {$(
        impl<'a, $($part: Into<KeyPart<'a>>),+> From<($($part,)+)> for LimitKey {
            #[allow(non_snake_case, reason = "each value is named as its type")]
            fn from(($($part,)+): ($($part,)+)) -> Self {
                Self::of([$($part.into()),+] as [KeyPart<'a>; _])
            }
        }
    )+};
}

from_tuples! { (A B) (A B C) (A B C D) }

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limit::Network;
    use crate::store::key::MAX_PART;
    use http::HeaderName;
    use http::header::AUTHORIZATION;
    use proptest::prelude::*;

    #[test]
    fn parts_of_all_kinds_stand_apart() {
        let none: Option<&str> = None;
        for (key, text) in [
            (LimitKey::from(("a", "bc")), "text=a,text=bc"),
            (LimitKey::from(("ab", "c")), "text=ab,text=c"),
            (LimitKey::from(("", "a")), "text=,text=a"),
            (LimitKey::from((none, "a")), "none!,text=a"),
            (LimitKey::from(("a", none)), "text=a,none!"),
            (LimitKey::from(KeyPart::text("")), "text="),
            (LimitKey::from(KeyPart::missing()), "none!"),
            (LimitKey::of(Vec::<KeyPart<'_>>::new()), ""),
            (LimitKey::from(KeyPart::text("none!")), "text=none%21"),
            (LimitKey::from(KeyPart::session("GET")), "session=GET"),
            (
                LimitKey::from((KeyPart::method("GET"), KeyPart::principal("a:b"))),
                "method=GET,principal=a%3Ab",
            ),
            (LimitKey::from(KeyPart::header(AUTHORIZATION, b"\xff{}")), "header.authorization=%FF%7B%7D"),
            (LimitKey::of(["192.0.2.1".parse::<Network>().unwrap()]), "ip=192.0.2.1"),
        ] {
            assert_eq!(key.as_str(), text);
        }
    }

    #[test]
    fn a_key_is_empty_only_if_it_names_nobody() {
        assert!(LimitKey::of(Vec::<KeyPart<'_>>::new()).is_empty() && LimitKey::from("").is_empty());
        for part in [KeyPart::text("a"), KeyPart::path(""), KeyPart::missing()] {
            assert!(!part.is_blank() && !LimitKey::from(part.clone()).is_empty(), "{part:?}");
        }
        assert!(KeyPart::text("").is_blank() && !LimitKey::from(("", "")).is_empty());
    }

    #[test]
    fn a_key_with_a_missing_part_is_not_complete() {
        assert_eq!(LimitKey::complete(["a", "b"]), Some(LimitKey::from(("a", "b"))));
        assert_eq!(LimitKey::complete([Some("a"), None]), None);
    }

    #[test]
    fn headers_are_read_whole_and_secrets_never_shown() {
        let name = HeaderName::from_static("x-tenant");
        let request = http::Request::builder()
            .header("x-tenant", "a")
            .header("x-tenant", "b")
            .header("authorization", "Bearer sesame")
            .body(())
            .unwrap();
        assert_eq!(LimitKey::from(KeyPart::header_of(&request, &name)).as_str(), "header.x-tenant=a%2C%20b");
        let secret = KeyPart::api_key_of(&request, &AUTHORIZATION);
        assert_eq!(secret, KeyPart::api_key(b"Bearer sesame"));
        assert_eq!(format!("{secret:?} {:?}", LimitKey::from(secret.clone())), "ApiKey(..) LimitKey(..)");
        let key = LimitKey::from(secret);
        assert_eq!(key.as_str().len(), "api-key+".len() + 43);
        assert!(!key.as_str().contains("sesame"));
        let absent = HeaderName::from_static("x-absent");
        assert_eq!(KeyPart::header_of(&request, &absent), KeyPart::missing());
        assert_eq!(KeyPart::api_key_of(&request, &absent), KeyPart::missing());
    }

    fn part(kind: u8, text: &str) -> KeyPart<'_> {
        match kind {
            0 => KeyPart::missing(),
            1 => KeyPart::api_key(text.as_bytes()),
            2 => KeyPart::header(HeaderName::from_static("x-a"), text.as_bytes()),
            3 => KeyPart::header(HeaderName::from_static("x-b"), text.as_bytes()),
            4 => KeyPart::path(text),
            5 => KeyPart::method(text),
            6 => KeyPart::session(text),
            7 => KeyPart::principal(text),
            _ => KeyPart::text(text),
        }
    }

    proptest! {
        #[test]
        fn different_parts_make_different_keys(
            a in proptest::collection::vec((0..9_u8, "[a,=+!@%]{0,3}|.{0,200}"), 0..5),
            b in proptest::collection::vec((0..9_u8, "[a,=+!@%]{0,3}|.{0,200}"), 0..5),
        ) {
            let parts = |list: &[(u8, String)]| -> Vec<KeyPart<'static>> {
                list.iter().map(|(kind, text)| part(*kind, text).into_owned()).collect()
            };
            let (a, b) = (parts(&a), parts(&b));
            prop_assert_eq!(a == b, LimitKey::of(a.clone()) == LimitKey::of(b.clone()));
            prop_assert!(LimitKey::of(a.clone()).as_str().len() <= MAX_PART);
            prop_assert_eq!(LimitKey::complete(a.clone()).is_none(), a.iter().any(KeyPart::is_missing));
        }
    }
}
