//! [tower-keep](tower_keep) for axum: extractors for the session that its layer gives each request and for what rate limit layers
//! decided, and rules by which they count.
//!
//! ```
//! use axum::{Router, routing::get};
//! use tower_keep_axum::{Session, SessionProblem};
//! use tower_keep_axum::session::{SessionLayer, Sessions};
//! use tower_keep_axum::store::Store;
//!
//! async fn visits(session: Session) -> Result<String, SessionProblem> {
//!     Ok(format!("visit {}", session.increment("visits", 1).await?))
//! }
//!
//! # fn app() -> Router {
//! let sessions = Sessions::new(Store::in_memory());
//! Router::new().route("/", get(visits)).layer(SessionLayer::new(sessions))
//! # }
//! ```
//!
//! The extractors load the session (at most one round trip, and one for all extractors of a request together); after that
//! its accessors are synchronous. They work behind `Router::layer`, `route_layer`, nested routers and in
//! `middleware::from_fn`, as long as the layer is outside of them.
//!
//! | extractor | store fails | no session layer |
//! |---|---|---|
//! | [`Session`], [`Typed<T>`], [`Named<N>`] | as the layer's policy says | 500, and the log names the layer |
//! | [`RequiredSession`] | 503 with `Retry-After` | 500 |
//! | [`OptionalSession`] | anonymous and read-only | 500 |
//! | `Option<Session>` | as the layer's policy says | `None` |
//!
//! For apps with several session layers, each session is found by its layer's namespace:
//!
//! ```
//! # use tower_keep_axum::{Named, SessionName};
//! struct Admin;
//! impl SessionName for Admin {
//!     const NAMESPACE: &'static str = "admin";
//! }
//! async fn handler(session: Named<Admin>) -> String {
//!     session.principal().unwrap_or_default()
//! }
//! ```
//!
//! For rate limits there are [`RateLimitStatus`], [`by_client`] and [`by_route`]; for the response cache, [`cache`] with parts of
//! responses.

pub mod cache;
mod extract;
mod rate_limits;

pub use extract::{Named, OptionalSession, RequiredSession, Session, SessionName, Typed};
pub use extract::{RateLimitRejection, RateLimitStatus, SessionProblem, SessionRejection};
pub use rate_limits::{by_client, by_route};
pub use tower_keep;
pub use tower_keep::{body, clock, fields, kv, lock, pubsub, rate_limit, session, store, view};

/// The README and the guides whose code needs axum are compiled as doc tests.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../../../README.md")]
    mod readme {}
    #[doc = include_str!("../../../docs/handlers.md")]
    mod handlers {}
    #[doc = include_str!("../../../docs/sessions.md")]
    mod sessions {}
    #[doc = include_str!("../../../docs/rate-limits.md")]
    mod rate_limits {}
    #[doc = include_str!("../../../docs/proxies.md")]
    mod proxies {}
    #[doc = include_str!("../../../docs/caching.md")]
    mod caching {}
    #[doc = include_str!("../../../docs/purging.md")]
    mod purging {}
    #[doc = include_str!("../../../docs/caching-and-sessions.md")]
    mod caching_and_sessions {}
    #[doc = include_str!("../../../docs/migration.md")]
    mod migration {}
}
