//! Rate limits: exact on Redis, several at once in one round trip, with an explicit answer to "the store is down".
//!
//! ```
//! use std::time::Duration;
//! use tower_keep::rate_limit::{Ask, FailurePolicy, Limit, Quota, RateLimiter};
//! use tower_keep::store::Store;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let limiter = RateLimiter::builder(Store::in_memory()) // or Store::connect("redis://127.0.0.1")?
//!     .namespace("api")
//!     .limit(Limit::new("burst", Quota::per_second(2)))
//!     .limit(Limit::new("daily", Quota::window(1000, Duration::from_secs(86_400))).on_failure(FailurePolicy::Local))
//!     .build()?;
//!
//! assert!(limiter.check("alice").await?.is_admitted());
//! let decision = limiter.check(Ask::new("alice").cost(2)).await?;
//! let refused: Vec<_> = decision.refused().map(|status| &*status.name).collect();
//! assert_eq!(refused, ["burst"]); // and the refused request was charged to neither
//! assert!(decision.retry_after() <= Some(Duration::from_millis(500)));
//! # Ok(()) }
//! ```
//!
//! # How it works
//!
//! Each limit of a subject is one short string in the store, under a key that names the limit and its quota. One script reads the states
//! of all limits of a request, decides by the server's clock in whole numbers, and charges all limits or none. A refusal comes with the
//! state that refused, so this process knows until when it holds and does not ask again: a flood from one key costs Redis
//! nothing. See [`Quota`] for the ways of counting and [`FailurePolicy`] for the store's failures.
//!
//! # What a limit counts by, and what a client is told
//!
//! [`TrustedProxies`] finds the client's address where the client cannot choose it; [`LimitKey`] makes one key out of several parts.
//! [`ResponseFields`] writes a [`LimitReport`] as `RateLimit` fields and `Retry-After`; [`RefusalForm`] is the answer to a request that
//! is over a limit, for HTTP and gRPC clients.
//!
//! ```
//! use http::Request;
//! use tower_keep::rate_limit::{KeyPart, LimitKey, ProxyHeader, TrustedProxies};
//!
//! let proxies = TrustedProxies::networks(ProxyHeader::XForwardedFor, ["10.0.0.0/8"])?;
//! let request = Request::post("/login").header("x-forwarded-for", "203.0.113.7").body(())?;
//! let client = proxies.client(&request, Some("10.0.0.1".parse()?))?;
//! let key = LimitKey::from((client.address(), KeyPart::path("/login")));
//! assert_eq!(key.as_str(), "ip=203.0.113.7,path=%2Flogin");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Around a service
//!
//! [`RateLimitLayer`] asks about each request before the inner service is called: [`By`] says by what it counts, [`WithoutKey`] what
//! becomes of a request without a key, [`Settle`] what it costs when its response is there. A limit can be tried out in
//! [shadow](Limit::shadow) mode.
//!
//! # Warnings
//!
//! Settings that look wrong are logged, once for each limiter, with a link to here or to the guide on proxies:
//!
//! - *a peer that is not trusted sent a forwarding header*: if the peer is your proxy, name it in [`TrustedProxies`]; if not, somebody
//!   tried, and it had no effect.
//! - *all requests come from one peer that forwards them*: a thousand in a row. Everybody behind that proxy shares one count until it is
//!   named in [`TrustedProxies`].
//! - *requests have no peer address*: have the server put [`PeerAddr`](crate::view::PeerAddr) into requests. With axum, use `by_client` of
//!   the adapter, and serve with `into_make_service_with_connect_info::<SocketAddr>()`. Until then each request is one
//!   [without a key](WithoutKey).
//! - *who the client is is unknown*: with the reason; a trusted proxy does not say it.
//! - *no session layer is outside of it*: add the session layer after the limit's, so that it is the outer one.
//! - *a limit cannot be asked*: a question names an unknown limit, or a plan has an impossible quota.
//! - *dropped without having seen a request*: the layer stands around no route that was called; with axum, `Router::layer` covers the
//!   routes that were added before it.
//!
//! # What it does not do
//!
//! It does not queue, unless a layer is told to let requests [wait](RateLimitLayerBuilder::wait) for a while: a refused request is
//! answered, with the time after which it would be admitted. A charge that ended with a
//! time-out may have been counted; it is never sent twice. Refunds and resets of another process reach this one's remembered
//! refusals when the promised time has come. What Redis evicts or loses is not limited: set its
//! `maxmemory-policy` to `noeviction`.
//!
//! # Redis
//!
//! | call | round trips |
//! |---|---|
//! | [`check`](RateLimiter::check), [`peek`](RateLimiter::peek), [`refund`](RateLimiter::refund), [`penalise`](RateLimiter::penalise), [`ban`](RateLimiter::ban), however many limits | 1: `EVALSHA` |
//! | [`check`](RateLimiter::check) while a refusal is remembered, or within what was [charged ahead](RateLimiterBuilder::charge_ahead) | 0 |
//! | [`RateLimitLayer`] | as [`check`](RateLimiter::check); one more to find a session, and one to correct a charge |
//! | limits in [shadow](Limit::shadow) mode | the same round trip: one `EVALSHA` more for each |
//! | [`reset`](RateLimiter::reset) | 1: `DEL` |
//! | [`Concurrency`]: take, renew, release | 1: `EVALSHA` |
//!
//! Needs `GET SET DEL TIME EVALSHA EVAL SCRIPT|LOAD`, and for [`Concurrency`] `ZADD ZREM ZSCORE ZCARD ZRANGE ZRANGEBYSCORE
//! ZREMRANGEBYSCORE PEXPIRE`.

mod ahead;
mod ask;
mod builder;
mod by;
mod check;
mod client;
mod concurrency;
mod decision;
mod engine;
mod error;
mod event;
mod fields;
mod key;
mod layer;
mod limit;
mod quota;
mod refusal;
mod refusals;
mod warnings;

pub use crate::store::key::Slot;
pub use crate::store::op::{Standing, Verdict};
pub use ask::Ask;
pub use builder::RateLimiterBuilder;
pub use by::{By, ByClient, NoKey};
pub use check::{Answers, Check, Questions};
pub use client::{
    AddressSource, Client, ClientAddress, Grouping, MAX_HEADER_BYTES, MAX_HOPS, MAX_NETWORKS, Network,
    NetworkError, NoClient, NoClientReason, ProxyError, ProxyHeader, TrustedProxies,
};
pub use concurrency::{Acquired, Concurrency, Kept, Permit, Renewed};
pub use decision::{Decision, LimitStatus, Source};
pub use engine::RateLimiter;
pub use error::{LimitConfigError, LimitError};
pub use event::LimitEvent;
pub use fields::{
    FieldsDraft, LegacyFields, LimitReport, MAX_POLICIES_SENT, PartitionKey, PolicyName, PolicyReport,
    PolicyState, QuotaUnit, ReportError, ResponseFields,
};
pub use key::{KeyPart, LimitKey};
pub use layer::{
    Cost, NotCounted, RateLimitBody, RateLimitLayer, RateLimitLayerBuilder, RateLimitService, RateLimits,
    RefusalCause, Refused, ResponseFuture, Settle, WithoutKey,
};
#[doc(hidden)]
pub use layer::{Gate, Step};
pub use limit::{FailurePolicy, Limit, LimitMode};
pub use quota::{Quota, QuotaError};
pub use refusal::{RefusalForm, RefusalReason};
