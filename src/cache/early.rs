//! Refreshing before the end.

use super::engine::HttpCache;
use super::lookup::Found;

impl HttpCache {
    /// Whether this request is the one that comes early: the closer the end and the longer the handler takes, the likelier.
    pub(super) fn refreshes_early(&self, found: &Found, ttl_ms: i64) -> bool {
        let Some(eagerness) = self.policy.early_refresh else { return false };
        let Ok(bytes) = crate::random::bytes() else { return false };
        comes_early(u64::from_le_bytes(bytes), eagerness, found.entry.took_ms, ttl_ms)
    }
}

/// `random` is uniform over all values.
#[expect(clippy::cast_precision_loss, reason = "a probability needs no more")]
fn comes_early(random: u64, eagerness: f64, took_ms: u64, ttl_ms: i64) -> bool {
    // Never 0, whose logarithm is none.
    let uniform = ((random >> 11) as f64 + 1.0) / (1u64 << 53) as f64;
    -(took_ms.max(1) as f64) * eagerness * uniform.ln() >= ttl_ms as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(took_ms: u64, ttl_ms: i64) -> f64 {
        let early = (0..1000u64).filter(|i| comes_early(i * (u64::MAX / 1000), 1.0, took_ms, ttl_ms)).count();
        early as f64 / 1000.0
    }

    #[test]
    fn the_closer_the_end_and_the_slower_the_handler_the_likelier() {
        assert!(share(100, 100_000) < 0.01);
        assert!((0.3..0.45).contains(&share(100, 100)), "{}", share(100, 100)); // 1/e
        assert!(share(100, 10) > share(100, 100) && share(1000, 100) > share(100, 100));
        assert!(comes_early(0, 0.0, 100, 0) && !comes_early(0, 0.0, 100, 1));
    }
}
