//! The limits: a token bucket, a fixed window, and two limits at once.

use std::time::Duration;

use serde_json::{Value, json};
use tower_keep::rate_limit::{FailurePolicy, Limit, LimitConfigError, Quota, RateLimiter, RateLimits};
use tower_keep::store::Store;

/// What the limited routes count by.
#[derive(Clone, Debug)]
pub struct Limiters {
    /// Of `/limited`.
    pub bucket: RateLimiter,
    /// Of `/window`.
    pub window: RateLimiter,
    /// Of `/both`.
    pub both: RateLimiter,
}

impl Limiters {
    /// On this store, which may take as long as `deadline` before this process counts by itself.
    ///
    /// # Errors
    ///
    /// Settings that cannot work; these can.
    pub fn new(store: &Store, deadline: Duration) -> Result<Self, LimitConfigError> {
        let limiter = |namespace: &str, limits: &[Limit]| {
            let mut builder = RateLimiter::builder(store.clone()).namespace(namespace).deadline(deadline);
            for limit in limits {
                // While the store is away, this process goes on counting by itself.
                builder = builder.limit(limit.clone().on_failure(FailurePolicy::Local));
            }
            builder.build()
        };
        let both = [Limit::new("second", Quota::per_second(3)), Limit::new("minute", Quota::per_minute(20))];
        Ok(Self {
            bucket: limiter("limited", &[Limit::new("bucket", Quota::per_second(1).burst(5))])?,
            window: limiter("window", &[Limit::new("window", Quota::window(10, Duration::from_secs(10)))])?,
            both: limiter("both", &both)?,
        })
    }
}

/// What is left of the limit that is closest to exhaustion.
#[must_use]
pub fn remaining(limits: &RateLimits) -> Value {
    json!({ "remaining": limits.remaining() })
}
