//! The site to which it happens: the same small app on axum and on actix-web, each with a store of its own on the same Redis.
//!
//! `/plain` needs no Redis. `/login/{name}`, `/logout`, `/me`, `/count` and `/note/{bytes}` have a session; `/limited` has a limit that lets
//! everybody pass without Redis, `/strict` one that then lets nobody; `/page/{name}` and `/big/{kib}` are cached for a minute.

mod actix;
mod axum;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tower_keep::cache::HttpCache;
use tower_keep::rate_limit::{FailurePolicy, Limit, Quota, RateLimiter};
use tower_keep::session::{SessionCookie, SessionHandle, Sessions};
use tower_keep::store::key::KeyPrefix;
use tower_keep::store::{Store, StoreBuilder};

use crate::client::Client;
use crate::program::eventually;
use crate::row::has_default_deadlines;

/// For how long a page may be used.
const FRESH: &str = "max-age=60";
/// More than any test asks.
const QUOTA: u64 = 1_000_000;
/// The deadline of all where other tests run at the same time.
pub const PATIENT: Duration = Duration::from_secs(1);

/// What an app stands on.
#[derive(Clone)]
pub struct Engines {
    pub sessions: Sessions,
    pub open: RateLimiter,
    pub closed: RateLimiter,
    pub cache: HttpCache,
    runs: Arc<AtomicUsize>,
}

impl Engines {
    fn new(store: &Store) -> Self {
        let limiter = |name: &str, policy| {
            let limit = Limit::new(name, Quota::window(QUOTA, Duration::from_secs(3600))).on_failure(policy);
            let limiter = RateLimiter::builder(store.clone()).namespace(name).limit(limit);
            if has_default_deadlines() { limiter } else { limiter.deadline(PATIENT) }.build().unwrap()
        };
        let cache = HttpCache::builder(store.clone());
        let cache = if has_default_deadlines() { cache } else { cache.deadline(PATIENT) };
        let cookie = SessionCookie::insecure_for_development();
        Self {
            sessions: Sessions::builder(store.clone()).cookie(cookie).build().unwrap(),
            open: limiter("open", FailurePolicy::Open),
            closed: limiter("closed", FailurePolicy::Closed),
            cache: cache.build().unwrap(),
            runs: Arc::default(),
        }
    }

    /// Says its name, so that nobody takes it for another one.
    fn page(&self, name: &str) -> String {
        format!("{name} run {}", self.runs.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

fn big(kib: usize) -> String {
    "0123456789abcdef".repeat(kib * 64)
}

/// One of the two.
#[derive(Clone)]
pub struct Site {
    pub framework: &'static str,
    pub store: Store,
    address: SocketAddr,
}

impl Site {
    /// Both, each on its URL. `tune` sets what a test needs.
    pub async fn both(urls: [String; 2], tune: impl Fn(StoreBuilder) -> StoreBuilder) -> [Self; 2] {
        let [axum, actix] = urls;
        let stores = [("axum", axum), ("actix", actix)].map(|(framework, url)| {
            let builder = Store::builder().prefix(KeyPrefix::new(framework).unwrap());
            tune(builder).connect(&url).unwrap()
        });
        let [one, other] = stores.each_ref().map(Engines::new);
        let addresses = [axum::serve(one).await, actix::serve(other).await];
        let [axum, actix] = stores;
        let sites = [
            Self { framework: "axum", store: axum, address: addresses[0] },
            Self { framework: "actix", store: actix, address: addresses[1] },
        ];
        for site in &sites {
            site.is_up().await;
        }
        sites
    }

    /// A browser without cookies.
    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A browser that has signed in.
    pub async fn signed_in(&self, name: &str) -> Client {
        let mut client = self.client();
        assert_eq!(client.post(&format!("/login/{name}")).await.status, 200);
        client
    }

    /// The key of a browser's session.
    pub fn key(&self, client: &Client) -> String {
        let handle = SessionHandle::parse(client.handle()).unwrap();
        format!("{}:session:{handle}", self.framework)
    }

    /// How often `/limited` was counted, by what it says itself; this time included.
    pub async fn counted(&self) -> u64 {
        let answer = self.client().get("/limited").await;
        let (_, rest) = answer.header("ratelimit").unwrap().split_once("r=").unwrap();
        QUOTA - rest.split(';').next().unwrap().parse::<u64>().unwrap()
    }

    /// Waits until the store answers and takes writes.
    pub async fn is_up(&self) {
        eventually("the store serves", async || self.store.health().await.is_up()).await;
    }

    /// Asks until a visitor is served again, reading and writing, and tells how long after `since` that was.
    pub async fn served_after(&self, since: Instant, visitor: &Client) -> Duration {
        eventually("a visitor is served", async || {
            let mut visitor = visitor.clone();
            visitor.get("/me").await.status == 200 && visitor.post("/count").await.status == 200
        })
        .await;
        since.elapsed()
    }
}
