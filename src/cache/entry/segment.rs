//! A segment of a body, with a check of its own: eight bytes of a hash over its name and its bytes, then the bytes.

use bytes::{Buf, Bytes};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The bytes of each segment but the last, 128 KiB: usual bodies are read in one piece, and no segment blocks Redis for long.
pub(in crate::cache) const SEGMENT: usize = 128 << 10;
const CHECK: usize = 8;

/// Adds the check.
pub(in crate::cache) fn seal(id: &str, number: u32, bytes: &[u8]) -> Bytes {
    let mut sealed = Vec::with_capacity(CHECK + bytes.len());
    sealed.extend_from_slice(&check(id, number, bytes));
    sealed.extend_from_slice(bytes);
    sealed.into()
}

/// Takes the check off. `None` for the bytes of another segment, or others than were written.
pub(in crate::cache) fn unseal(id: &str, number: u32, mut sealed: Bytes) -> Option<Bytes> {
    let stored: [u8; CHECK] = sealed.get(..CHECK)?.try_into().ok()?;
    sealed.advance(CHECK);
    (stored == check(id, number, &sealed)).then_some(sealed)
}

/// The same without a look at the check.
pub(in crate::cache) fn unchecked(mut sealed: Bytes) -> Option<Bytes> {
    sealed.get(..CHECK)?;
    sealed.advance(CHECK);
    Some(sealed)
}

/// The hash finds accidents, not attackers: who can write to the store can write anything.
pub(super) fn check(id: &str, number: u32, bytes: &[u8]) -> [u8; CHECK] {
    let name = xxh3_64_with_seed(id.as_bytes(), number.into());
    xxh3_64_with_seed(bytes, name).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flipped_bit_is_found_out() {
        let sealed = seal("id", 3, b"some bytes");
        assert_eq!(unseal("id", 3, sealed.clone()), Some(Bytes::from_static(b"some bytes")));
        assert_eq!(unseal("id", 4, sealed.clone()), None);
        assert_eq!(unseal("other", 3, sealed.clone()), None);
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unseal("id", 3, flipped.into()), None, "bit {bit}");
        }
        assert_eq!(unseal("id", 3, Bytes::from_static(b"short")), None);
        assert_eq!(unseal("id", 0, seal("id", 0, b"")), Some(Bytes::new()));
        assert_eq!(unchecked(sealed), Some(Bytes::from_static(b"some bytes")));
        assert_eq!(unchecked(Bytes::from_static(b"short")), None);
    }
}
