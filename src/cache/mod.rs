//! Response caching by the rules of HTTP, shared by all visitors and all processes.

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
mod parts;
mod policy;
mod publish;
mod purge;
mod record;
pub mod rules;
mod url;
mod validity;

pub use builder::HttpCacheBuilder;
pub use engine::HttpCache;
#[cfg(feature = "test-util")]
#[doc(hidden)]
pub use entry::read_entry;
pub use error::{CacheConfigError, CacheError};
pub use layer::{CacheBody, CacheBodyError, CacheLayer, CacheService, ResponseFuture};
pub use parts::{CacheTags, NoStore, StoreFor};
pub use policy::{CachePolicy, SessionRule, UnkeyedInput};
pub use purge::Purging;
