//! Draws the three ways of counting under the same traffic, for `docs/rate-limits.md`. `scripts/draw-limits` writes the picture.
//!
//! Every request is put to a real limiter on the embedded store, whose clock is turned by hand: the picture shows what the code
//! does, and the test below says so when it no longer does.

#![allow(clippy::print_stdout, reason = "the picture is this program's output")]

mod picture;

use std::time::Duration;

use tower_keep_axum::clock::Clock;
use tower_keep_axum::rate_limit::{Limit, LimitConfigError, LimitError, Quota, RateLimiter};
use tower_keep_axum::store::{MemoryLimits, Store};

const AMOUNT: u64 = 6;
const PERIOD: Duration = Duration::from_secs(6);
const END_MS: u64 = 24_000;
/// How often is looked at what is left.
const STEP_MS: u64 = 50;

/// What one way of counting made of the traffic.
struct Row {
    name: &'static str,
    quota: &'static str,
    /// When each request came, and whether it was admitted.
    requests: Vec<(u64, bool)>,
    /// What was left, each [`STEP_MS`].
    left: Vec<u64>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    print!("{}", picture::svg(&rows().await?));
    Ok(())
}

async fn rows() -> Result<Vec<Row>, Box<dyn std::error::Error>> {
    let mut rows = Vec::new();
    for (name, text, quota) in [
        ("token bucket", "Quota::per(6, 6 s)", Quota::per(AMOUNT, PERIOD)),
        ("fixed window", "Quota::window(6, 6 s)", Quota::window(AMOUNT, PERIOD)),
        ("sliding window", "Quota::sliding(6, 6 s)", Quota::sliding(AMOUNT, PERIOD)),
    ] {
        let clock = Clock::manual(1_700_000_000_000);
        let (requests, left) = under_traffic(&limiter(quota, &clock)?, &clock).await?;
        rows.push(Row { name, quota: text, requests, left });
    }
    Ok(rows)
}

fn limiter(quota: Quota, clock: &Clock) -> Result<RateLimiter, LimitConfigError> {
    let store = Store::in_memory_with(MemoryLimits::default(), clock.clone());
    RateLimiter::builder(store).limit(Limit::new("drawn", quota)).build()
}

/// When requests come: one; a burst shortly before the first window ends and one shortly after; then twice what is allowed.
fn traffic() -> Vec<u64> {
    let burst = |from: u64| (0..AMOUNT).map(move |i| from + i * STEP_MS * 3);
    let steady = (10_000..22_000).step_by(500);
    std::iter::once(0).chain(burst(4_900)).chain(burst(6_100)).chain(steady).collect()
}

async fn under_traffic(
    limiter: &RateLimiter,
    clock: &Clock,
) -> Result<(Vec<(u64, bool)>, Vec<u64>), LimitError> {
    let (mut requests, mut left) = (Vec::new(), Vec::new());
    let traffic = traffic();
    for now_ms in (0..END_MS).step_by(STEP_MS as usize) {
        if traffic.contains(&now_ms) {
            requests.push((now_ms, limiter.check("visitor").await?.is_admitted()));
        }
        left.push(limiter.peek("visitor").await?.remaining().unwrap_or(0));
        clock.advance(Duration::from_millis(STEP_MS));
    }
    Ok((requests, left))
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_picture_of_the_limits_is_up_to_date() {
        let drawn = super::picture::svg(&super::rows().await.unwrap());
        let kept = include_str!("../../docs/rate-limits.svg");
        assert!(
            drawn == kept,
            "docs/rate-limits.svg is not what the code draws now; run scripts/draw-limits"
        );
    }
}
