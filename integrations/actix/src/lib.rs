#![doc = include_str!("../README.md")]

mod answered;
mod bodies;
pub mod cache;
mod extract;
mod head;
mod middleware;
mod parts;
mod rate_limits;
mod sessions;

pub use cache::CacheMiddleware;
pub use extract::{Named, OptionalSession, RequiredSession, Session, SessionName, Typed};
pub use extract::{RateLimitRejection, RateLimitStatus, SessionProblem, SessionRejection};
pub use parts::{ResponderExt, With, share};
pub use rate_limits::{RateLimitMiddleware, by_client, by_route};
pub use sessions::SessionMiddleware;
pub use tower_keep;
pub use tower_keep::{body, clock, fields, kv, lock, pubsub, rate_limit, session, store, view};
