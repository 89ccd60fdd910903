//! What handlers say about their responses.

use std::convert::Infallible;
use std::time::Duration;

use axum_core::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use tower_keep::cache as core;

/// What this response can be purged by; see [`core::CacheTags`](tower_keep::cache::CacheTags).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheTags(pub core::CacheTags);

impl CacheTags {
    /// These tags.
    #[must_use]
    pub fn new<T: Into<String>>(tags: impl IntoIterator<Item = T>) -> Self {
        Self(core::CacheTags::new(tags))
    }
}

/// This response is not stored, whatever its fields say; see [`core::NoStore`](tower_keep::cache::NoStore).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoStore;

/// The lifetime of this response in our store; see [`core::StoreFor`](tower_keep::cache::StoreFor).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreFor(pub Duration);

macro_rules! parts {
    ($($name:ty, $this:ident => $extension:expr;)+) => {$(
        impl IntoResponseParts for $name {
            type Error = Infallible;

            fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
                let $this = self;
                parts.extensions_mut().insert($extension);
                Ok(parts)
            }
        }

        impl IntoResponse for $name {
            fn into_response(self) -> Response {
                (self, ()).into_response()
            }
        }
    )+};
}

parts! {
    CacheTags, this => this.0;
    NoStore, _this => core::NoStore;
    StoreFor, this => core::StoreFor(this.0);
}
