//! The cookie's value: a public handle and a secret.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::error::SessionError;
use crate::store::op::Hash;

const HANDLE_BYTES: usize = 16;
const SECRET_BYTES: usize = 32;
const HANDLE_CHARS: usize = 22;
const SECRET_CHARS: usize = 43;
/// The room that the decoder wants for the longer of the two: it rounds up.
const ESTIMATE: usize = SECRET_CHARS.div_ceil(4) * 3;

/// The public half of a session's cookie: 128 random bits, 22 characters of base64url. It names the session in Redis, in logs
/// and in lists of devices; alone it opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionHandle(Arc<str>);

impl SessionHandle {
    /// Reads a handle, as a client or an administrator names it. `None` when it is not of a handle's form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_base64url = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        // 128 bits leave four of the last character unused; they are zero in the one spelling that counts.
        let ends = text.ends_with(['A', 'Q', 'g', 'w']);
        (text.len() == HANDLE_CHARS && ends && text.bytes().all(is_base64url)).then(|| Self(text.into()))
    }

    /// The handle as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    pub(super) fn generate() -> Result<Self, SessionError> {
        Ok(Self(URL_SAFE_NO_PAD.encode(random::<HANDLE_BYTES>()?).into()))
    }
}

impl fmt::Display for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As its text.
impl serde::Serialize for SessionHandle {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The secret half: 256 random bits. The store only ever sees its hash.
#[derive(Clone)]
pub(super) struct Secret([u8; SECRET_BYTES]);

impl Secret {
    pub(super) fn generate() -> Result<Self, SessionError> {
        Ok(Self(random()?))
    }

    /// A plain hash suffices: 256 random bits cannot be guessed, so there is nothing for a slow hash to slow down.
    #[allow(clippy::expect_used, reason = "both lengths are constants")]
    pub(super) fn hash(&self) -> Hash {
        let mut text = [0; SECRET_CHARS];
        URL_SAFE_NO_PAD
            .encode_slice(Sha256::digest(self.0), &mut text)
            .expect("the base64 of 32 bytes is 43 characters");
        Hash::whole(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Compares two hashes in constant time.
pub(super) fn same(a: &Hash, b: &Hash) -> bool {
    a.words().ct_eq(&b.words()).into()
}

/// Both halves, as the cookie carries them: `handle.secret`.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) handle: SessionHandle,
    pub(super) secret: Secret,
}

impl Token {
    /// Reads a cookie's value. Only the one canonical spelling of each token is read.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        if value.len() != HANDLE_CHARS + 1 + SECRET_CHARS || value.get(HANDLE_CHARS) != Some(&b'.') {
            return None;
        }
        let (handle, secret) = (value.get(..HANDLE_CHARS)?, value.get(HANDLE_CHARS + 1..)?);
        let handle = SessionHandle::parse(std::str::from_utf8(handle).ok()?)?;
        Some(Self { handle, secret: Secret(decode(secret)?) })
    }

    pub(super) fn to_value(&self) -> String {
        format!("{}.{}", self.handle, URL_SAFE_NO_PAD.encode(self.secret.0))
    }
}

/// The decoder refuses padding and stray bits in the last character, so there is one spelling for each value.
fn decode<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut buffer = [0; ESTIMATE];
    let decoded = URL_SAFE_NO_PAD.decode_slice(text, &mut buffer).ok()?;
    buffer.get(..decoded)?.try_into().ok()
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], SessionError> {
    crate::random::bytes().map_err(|_| SessionError::Randomness)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token() -> Token {
        Token { handle: SessionHandle::generate().unwrap(), secret: Secret::generate().unwrap() }
    }

    #[test]
    fn what_is_written_is_read() {
        let token = token();
        let value = token.to_value();
        let read = Token::parse(value.as_bytes()).unwrap();
        assert_eq!(read.handle, token.handle);
        assert!(same(&read.secret.hash(), &token.secret.hash()));
        assert_eq!(value.len(), 66);
    }

    #[test]
    fn no_two_tokens_are_alike_and_none_shows_its_secret() {
        let (a, b) = (token(), token());
        assert_ne!(a.handle, b.handle);
        assert!(!same(&a.secret.hash(), &b.secret.hash()));
        let value = a.to_value();
        let secret = value.split_once('.').unwrap().1;
        assert!(!format!("{a:?} {:?}", a.secret.hash()).contains(secret));
        assert!(!format!("{:?}", a.secret.hash()).contains(a.secret.hash().as_str()));
    }

    #[test]
    fn a_handle_is_what_decodes_to_128_bits() {
        for last in 0u8..=127 {
            let text = format!("{}{}", "A".repeat(21), char::from(last));
            let decodes = URL_SAFE_NO_PAD.decode(&text).is_ok_and(|bytes| bytes.len() == HANDLE_BYTES);
            let handle = SessionHandle::parse(&text);
            assert_eq!(handle.as_ref().map(SessionHandle::as_str), decodes.then_some(text.as_str()));
        }
        for text in ["", "A", &"A".repeat(21), &"A".repeat(23), &format!("{}+A", "A".repeat(20))] {
            assert!(SessionHandle::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        let value = token().to_value();
        let mut stray_bits = value.clone().into_bytes();
        *stray_bits.last_mut().unwrap() = match stray_bits.last() {
            Some(b'A') => b'B',
            _ => b'B',
        };
        for bad in [
            &b""[..],
            b".",
            &value.as_bytes()[..65],
            format!("{value}=").as_bytes(),
            format!("{value} ").as_bytes(),
            format!("\"{value}\"").as_bytes(),
            value.replace('.', ":").as_bytes(),
            value.to_uppercase().replace('.', "%2E").as_bytes(),
            &stray_bits,
        ] {
            assert!(Token::parse(bad).is_none(), "{}", String::from_utf8_lossy(bad));
        }
    }

    proptest! {
        #[test]
        fn a_flipped_bit_never_gives_the_same_token(bit in 0usize..66 * 8) {
            let token = token();
            let mut value = token.to_value().into_bytes();
            value[bit / 8] ^= 1 << (bit % 8);
            if let Some(read) = Token::parse(&value) {
                prop_assert!(read.handle != token.handle || !same(&read.secret.hash(), &token.secret.hash()));
            }
        }

        #[test]
        fn foreign_bytes_are_refused_without_a_panic(value in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Some(token) = Token::parse(&value) {
                prop_assert_eq!(token.to_value().into_bytes(), value);
            }
        }
    }
}
