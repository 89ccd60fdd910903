//! Waiting for what comes true.

use std::time::Duration;

/// Asks again until it is so, for at least 30 s: a busy machine is no failure.
///
/// # Panics
///
/// When it is not so by then.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..6_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never came true: {what}");
}
