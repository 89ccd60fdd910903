//! Counters through the `metrics` facade, when that feature is on; otherwise nothing.

/// Adds one to a counter with one label. Names and reasons are a fixed set, so the number of series is bounded.
#[cfg(feature = "metrics")]
pub(crate) fn count(name: &'static str, reason: &'static str) {
    metrics::counter!(name, "reason" => reason).increment(1);
}

#[cfg(not(feature = "metrics"))]
pub(crate) fn count(_name: &'static str, _reason: &'static str) {}
