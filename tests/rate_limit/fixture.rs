//! Stores, servers and limiters to talk about.

use std::time::Duration;

use keep_testing::RedisServer;
pub use keep_testing::eventually;
use tower_keep::rate_limit::{Limit, Quota, RateLimiter, RateLimiterBuilder};
use tower_keep::store::Store;

pub const LONG: Duration = Duration::from_secs(10);
pub const HOUR: Duration = Duration::from_secs(3600);

/// A store with time enough on a busy machine.
pub fn patient(server: &RedisServer) -> Store {
    Store::builder()
        .deadline(LONG)
        .probe_interval(Duration::from_millis(20))
        .without_self_check()
        .connect(&server.url())
        .unwrap()
}

/// A builder with time enough, too.
pub fn unhurried(store: Store) -> RateLimiterBuilder {
    RateLimiter::builder(store).deadline(LONG)
}

pub fn one(store: Store, quota: Quota) -> RateLimiter {
    unhurried(store).limit(Limit::new("only", quota)).build().unwrap()
}

/// No key is without an end, and there is none that is not ours.
pub fn all_keys_end(server: &RedisServer) {
    let keys: Vec<String> = server.cmd("KEYS", "*");
    for key in keys {
        let ttl: i64 = server.cmd("PTTL", &key);
        assert!(ttl > 0 || ttl == -2, "{key} has no end: {ttl}");
        assert!(key.starts_with("keep:limit:") || key.starts_with("keep:lease:"), "{key}");
    }
}
