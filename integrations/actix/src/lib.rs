#![doc = include_str!("../README.md")]

mod answered;
mod bodies;
pub mod cache;
mod head;
mod middleware;
mod parts;
mod problem;
mod rate_limits;
mod session_extract;
mod sessions;

pub use cache::CacheMiddleware;
pub use parts::{ResponderExt, With, share};
pub use problem::{RateLimitRejection, SessionProblem, SessionRejection};
pub use rate_limits::{RateLimitMiddleware, RateLimitStatus, by_client, by_route};
pub use session_extract::{Named, OptionalSession, RequiredSession, Session, SessionName, Typed};
pub use sessions::SessionMiddleware;
pub use tower_keep;
pub use tower_keep::{body, clock, fields, rate_limit, session, store, view};
