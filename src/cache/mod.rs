//! Response caching by the rules of HTTP, shared by all visitors and all processes.
//!
//! [`CacheLayer`] keeps responses in the [`Store`](crate::store::Store) and answers later requests from there (RFC 9111, as a shared
//! cache at the origin). Responses say with `Cache-Control` for how long they may be used; a route's [`CachePolicy`] can say more. Each
//! response tells in `Cache-Status` (RFC 9211) what became of its request, and why.
//!
//! ```
//! use http::{Request, Response, header::CACHE_CONTROL};
//! use http_body_util::Full;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_keep::cache::{CacheLayer, HttpCache, Purging};
//! use tower_keep::store::Store;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cache = HttpCache::new(Store::in_memory())?; // or Store::connect("redis://127.0.0.1")?
//! let app = ServiceBuilder::new().layer(CacheLayer::new(cache.clone())).service(service_fn(|_: Request<()>| async {
//!     Response::builder().header(CACHE_CONTROL, "max-age=60").body(Full::<bytes::Bytes>::from("a page"))
//! }));
//!
//! let response = app.oneshot(Request::get("http://shop.example/").body(())?).await?;
//! assert_eq!(response.headers()["cache-status"], "tower-keep; fwd=uri-miss; stored");
//! cache.purge(Purging::url("shop.example", "/")).await?;
//! # Ok(()) }
//! ```
//!
//! # How it works
//!
//! A request is looked up by host, path, query, what the policy adds, and the fields that `Vary` names. [`rules`] decide whether what is
//! stored answers it: fresh, stale where that is allowed, after validation by the handler, or not at all. Otherwise one request at a time
//! asks the handler, in a process and by a lease in all; the others wait for its response. The body passes to the client as it comes,
//! and a copy goes to the store in segments of 128 KiB; the head is written last, by a script that lets it count only if nothing that
//! concerns it was purged since before the handler ran. [`HttpCache::purge`] raises versions instead of looking for what is stored.
//!
//! | request | round trips | commands |
//! |---|---|---|
//! | hit that this process has seen before, also one that is answered with 304 or to `HEAD` | 1 | `MGET` of head, purges, versions of tags, first segment; a 304 and a `HEAD` move no body |
//! | hit that it sees for the first time | 2, with variants 3 | `MGET`s |
//! | each further 128 KiB of a body | 1 | `MGET`, when the client has taken what was before |
//! | miss, before the handler runs | 2, first with variants 3 | `MGET`; the lease, one script |
//! | miss, after the body has passed and behind the response | 2, 1 for each full segment, and 1 where another body is replaced | `SET`s; the last `SET` with `cache_admit`; `cache_publish` with `PUBLISH`; `PEXPIRE`s |
//! | a 304 of the handler, beside look-up and lease | 2 | a `PEXPIRE` for each segment with `cache_admit`; `cache_publish` with `PUBLISH` |
//! | purge | 1 | one script, or `DEL` for a URL |
//! | unsafe request that succeeds | 1 for each URL, 1 for its groups | `DEL`, one script |
//! | bypassed, or of a method that is not cached | 0 | |
//! | hit in the embedded store | 0 | answered within the call |
//!
//! A handler that takes longer than a third of the lease costs a script each such third, to renew it, and a lease that is given up one
//! more. Who waits for the fill of another process listens for its end: one `SUBSCRIBE` for each cache, on the connection that the store has
//! for it, while anybody waits. Redis user: `MGET GET SET DEL GETRANGE SETRANGE EXISTS PTTL PEXPIRE TIME ZADD ZREM ZSCORE ZCARD ZRANGE ZRANGEBYSCORE
//! ZREMRANGEBYSCORE PUBLISH EVALSHA EVAL`, `SCRIPT LOAD`, and, where waiters are to be woken up, `SUBSCRIBE UNSUBSCRIBE PING`. When the store fails, requests go to the handler; no error of the store becomes
//! an error of the response.
//!
//! # What it does not do
//!
//! - It stores nothing that does not say, or whose policy does not say, for how long; no lifetime is guessed unless
//!   [`Rules::heuristic`](rules::Rules::heuristic) is set.
//! - It stores no response with `Set-Cookie`, none that a handler made after it looked at the session (unless [`SessionRule::Public`]),
//!   none to a request with `Authorization` that does not say that it is for others.
//! - It has no `PURGE` method and no endpoint: who may purge is yours to decide.
//! - Partial responses and responses to `HEAD` are not stored. Neither are responses to `POST`, even if they say for how long.
//! - It does not act on `No-Vary-Search`, nor on [`Rules::query_method`](rules::Rules::query_method): no key of a layer holds the content
//!   of a `QUERY`, so leave that as it is.
//! - It does not compress. Put a layer that does outside of it, or inside, with `Vary: Accept-Encoding`.
//!
//! # Warnings
//!
//! - **Session layers stand outside of the cache**, or it cannot see that a session was used.
//! - **[`CachePolicy::ttl`] speaks for all responses of its route**, also for one that was made from a cookie that the handler read by
//!   itself. Such a handler must say `Cache-Control: private`.
//! - **A hit runs no handler**, so checks of rights that stand there are skipped: put them outside.
//! - **What changes a response must be in the key**, in `Vary`, or hidden ([`UnkeyedInput::Hidden`]). The scheme is not in the key.
//! - **Endless bodies must not say that they may be stored**: who asks for the same URL waits for them.
//! - **Purge by URL with the policy of the route** ([`HttpCache::with_policy`]), or what it purges has another key.
//! - In axum use the layer of `tower-keep-axum`: the prefix of a nested router is part of its keys.

mod builder;
mod early;
mod engine;
mod entry;
mod error;
mod fill;
mod flight;
mod freshen;
mod invalidate;
mod known;
mod layer;
mod lookup;
mod pace;
mod parts;
mod policy;
mod publish;
mod purge;
mod record;
mod reputation;
pub mod rules;
mod url;
mod validity;
mod wake;
mod write;

pub use builder::HttpCacheBuilder;
pub use engine::HttpCache;
#[cfg(feature = "test-util")]
#[doc(hidden)]
pub use entry::read_entry;
pub use error::{CacheConfigError, CacheError};
#[doc(hidden)]
pub use layer::{Aside, Entrance, Next, ToHandler, Visit};
pub use layer::{CacheBody, CacheBodyError, CacheLayer, CacheService, ResponseFuture};
pub use parts::{CacheTags, NoStore, StoreFor};
pub use policy::{CachePolicy, SessionRule, UnkeyedInput};
pub use purge::Purging;
