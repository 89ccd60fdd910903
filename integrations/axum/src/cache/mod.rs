//! The response cache for axum: what [the core has](tower_keep::cache), a layer that knows nested routers, and parts of responses by
//! which handlers say how theirs is cached.
//!
//! ```
//! use axum::{Router, routing::get, response::IntoResponse, http::header::CACHE_CONTROL};
//! use tower_keep_axum::cache::{CacheLayer, CacheTags, HttpCache};
//! use tower_keep_axum::store::Store;
//!
//! async fn product() -> impl IntoResponse {
//!     (CacheTags::new(["product:17"]), [(CACHE_CONTROL, "max-age=60")], "a lamp")
//! }
//!
//! # fn app() -> Result<Router, Box<dyn std::error::Error>> {
//! let cache = HttpCache::new(Store::in_memory())?;
//! Ok(Router::new().route("/lamp", get(product)).layer(CacheLayer::new(cache)))
//! # }
//! ```

mod layer;
mod parts;

pub use layer::{CacheLayer, CacheService};
pub use parts::{CacheTags, NoStore, StoreFor};
pub use tower_keep::cache::{
    CacheBody, CacheBodyError, CacheConfigError, CacheError, CachePolicy, HttpCache, HttpCacheBuilder,
    Purging, ResponseFuture, SessionRule, UnkeyedInput, rules,
};
