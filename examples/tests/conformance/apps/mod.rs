//! The same small app three times: on the core's layers with no framework, on axum, on actix-web.
//!
//! `/count` counts in the session, `/login` and `/logout` do that, `/who` says who is signed in, `/fails` counts and then fails with 418;
//! `/limited` has a limit of two a minute; `/page` is cached for a minute, and says how often it was made.

pub mod actix;
pub mod axum;
pub mod core;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tower_keep::cache::HttpCache;
use tower_keep::clock::Clock;
use tower_keep::rate_limit::{Limit, Quota, RateLimiter};
use tower_keep::session::{OriginCheck, SessionCookie, Sessions};
use tower_keep::store::{MemoryLimits, Store};

/// What each app stands on. The clock is the tests'.
#[derive(Clone)]
pub struct Engines {
    pub sessions: Sessions,
    pub limiter: RateLimiter,
    pub cache: HttpCache,
    runs: Arc<AtomicUsize>,
}

impl Engines {
    pub fn new(clock: &Clock) -> Self {
        let store = Store::in_memory_with(MemoryLimits::default(), clock.clone());
        let minute = Limit::new("minute", Quota::window(2, Duration::from_secs(60)));
        let cookie = SessionCookie::insecure_for_development();
        Self {
            sessions: Sessions::builder(store.clone())
                .cookie(cookie)
                .origin_check(OriginCheck::new())
                .build()
                .unwrap(),
            limiter: RateLimiter::builder(store.clone()).limit(minute).build().unwrap(),
            cache: HttpCache::new(store).unwrap(),
            runs: Arc::default(),
        }
    }

    pub fn page(&self) -> String {
        format!("a page, made {} times", self.runs.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

pub const FRESH: &str = "max-age=60";
pub const ETAG: &str = "\"v1\"";
