//! Random words and pauses.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The operating system gave no random bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoRandomness;

pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map(|()| bytes).map_err(|_| NoRandomness)
}

/// 128 random bits, as 22 characters of base64url.
pub(crate) fn token() -> Result<Arc<str>, NoRandomness> {
    Ok(URL_SAFE_NO_PAD.encode(bytes::<16>()?).into())
}

/// Anything up to `most`; half of it without randomness, which is good enough to keep apart.
pub(crate) fn up_to(most: Duration) -> Duration {
    let share = bytes::<4>().map_or(0.5, |bytes| f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX));
    most.mul_f64(share)
}
