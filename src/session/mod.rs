//! Sessions that survive races: a late save never brings a revoked session back, and parallel writes are not lost.
//!
//! ```
//! use http::{Request, Response};
//! use tower::{Layer, Service, ServiceExt, service_fn};
//! use tower_keep::session::{SessionLayer, SessionSet, Sessions};
//! use tower_keep::store::Store;
//!
//! # type BoxError = Box<dyn std::error::Error + Send + Sync>;
//! async fn visits(request: Request<String>) -> Result<Response<String>, BoxError> {
//!     let set = request.extensions().get::<SessionSet>().cloned().ok_or("no session layer")?;
//!     let session = set.innermost().load().await?;
//!     Ok(Response::new(session.increment("visits", 1).await?.to_string()))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! let sessions = Sessions::new(Store::in_memory());
//! let mut app = SessionLayer::new(sessions).layer(service_fn(visits));
//! let response = app.ready().await?.call(Request::new(String::new())).await?;
//! assert!(response.headers()["set-cookie"].to_str()?.starts_with("__Host-session="));
//! # Ok(()) }
//! ```
//!
//! With axum, the adapter `tower-keep-axum` has extractors. Without any middleware, the engine is the API:
//!
//! ```
//! # use tower_keep::session::{SessionError, Sessions};
//! # use tower_keep::store::Store;
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), SessionError> {
//! let sessions = Sessions::new(Store::in_memory());
//! let session = sessions.start();
//! let handle = session.login("alice")?;
//! session.save().await?;
//! assert_eq!(sessions.list("alice").await?.len(), 1);
//! assert!(sessions.revoke(&handle).await?);
//! assert!(sessions.open(&handle).await?.is_none());
//! # Ok(()) }
//! ```
//!
//! # How it works
//!
//! The cookie is `handle.secret`. The store holds a hash under `{prefix}:session:{handle}` with one field for each entry and the hash
//! of the secret: a dump of the store logs nobody in, and deleting that one key ends the session. Changes are recorded, and one
//! script applies them if the session still lives and the presented secret still opens it. A sign-in changes the secret in
//! place; the cookie from before is dead.
//!
//! # What it does not do
//!
//! It keeps no copy in the process, so that a revocation holds at the next request. It does not authenticate: the app decides who
//! may [`login`](Session::login). It saves after the handler, whatever the status; changes that a response's body or a task makes later need
//! [`save`](Session::save).
//!
//! # Redis
//!
//! | request | round trips |
//! |---|---|
//! | no cookie, or not of the form, or nobody loads the session | 0 |
//! | read | 1: `HGETALL` |
//! | write, sign-in (with index), rotation, sign-out | 1 more, in all |
//! | timers: touch (at most each 1/20 of the idle time), renewal | 1 more, now and then |
//!
//! Needs `HGETALL HGET HSET HDEL HKEYS HLEN HMGET HINCRBY EXISTS DEL PEXPIRE PEXPIREAT TIME EVALSHA EVAL SCRIPT|LOAD ZADD ZREM ZSCORE ZCARD
//! ZRANGE ZREMRANGEBYSCORE`.

mod admin;
mod auth;
mod builder;
mod cookie;
mod engine;
mod error;
mod event;
mod extract;
mod finish;
mod future;
mod handle;
mod layer;
mod lazy;
mod lifecycle;
mod origin;
mod plan;
mod save;
mod service;
mod state;
mod token;
mod typed;
mod watch;

pub use admin::SessionInfo;
pub use auth::Login;
pub use builder::SessionsBuilder;
pub use cookie::{CookieError, SameSite, SessionCookie, SessionCookieBuilder, cookie_values};
pub use engine::{CookieLifetime, CorruptEntry, FailurePolicy, Sessions};
pub use error::{SessionConfigError, SessionError};
pub use event::SessionEvent;
pub use extract::NoSession;
#[doc(hidden)]
pub use extract::extract;
pub use finish::Finish;
pub use future::ResponseFuture;
pub use handle::Session;
pub use layer::SessionLayer;
pub use lazy::{Identity, LazySession, SessionSet};
pub use lifecycle::Lifetimes;
pub use origin::{CrossOrigin, OriginCheck};
pub use service::SessionService;
pub use token::SessionHandle;
pub use typed::TypedSession;
pub(crate) use watch::SessionWatch;
