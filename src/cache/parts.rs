//! What handlers say about their responses, as extensions of the response.

use std::time::Duration;

/// What a response can be purged by, beside the tags of the policy and `Cache-Groups`. At most 64 of them, each up to 256 bytes; a
/// response with more is not stored.
///
/// ```
/// use tower_keep::cache::CacheTags;
///
/// let mut response = http::Response::new("the shop's front page");
/// response.extensions_mut().insert(CacheTags::new(["shop", "product:17"]));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheTags(pub(super) Vec<String>);

impl CacheTags {
    /// These tags.
    #[must_use]
    pub fn new<T: Into<String>>(tags: impl IntoIterator<Item = T>) -> Self {
        Self(tags.into_iter().map(Into::into).collect())
    }
}

/// This response is not stored, whatever its fields say. Unlike `Cache-Control: no-store` nobody else hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoStore;

/// The lifetime of this response in our store, whatever its `Cache-Control` says to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreFor(pub Duration);
