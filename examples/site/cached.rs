//! The cached pages, and purging by tag.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use tower_keep::cache::{CachePolicy, CacheTags, HttpCache, Purging};
use tower_keep::store::Store;

use crate::Failure;

const MAX_KIB: usize = 10_240;
/// For how long [`page`] may be used.
pub const FRESH: &str = "max-age=10, stale-while-revalidate=30";
/// For how long [`big`] may be used.
pub const FRESH_BIG: &str = "max-age=60";

/// # Errors
///
/// Settings that cannot work; these can.
pub(crate) fn cache(store: &Store) -> Result<HttpCache, Box<dyn Error>> {
    let policy = CachePolicy::new().max_body((MAX_KIB as u64) << 10);
    Ok(HttpCache::builder(store.clone()).policy(policy).build()?)
}

/// For how long a handler takes.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Slow {
    #[serde(default)]
    ms: u64,
}

/// Says how often the handlers of this process ran: the same number twice is the same response.
pub async fn page(name: &str, slow: Slow) -> (CacheTags, String) {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    tokio::time::sleep(Duration::from_millis(slow.ms.min(5000))).await;
    let run = RUNS.fetch_add(1, Ordering::Relaxed) + 1;
    (CacheTags::new(["demo".to_owned(), format!("name:{name}")]), format!("{name}: run {run}\n"))
}

/// A body of this size.
///
/// # Errors
///
/// 400 for more than 10,240 KiB.
pub fn big(kib: usize) -> Result<Bytes, Failure> {
    if kib > MAX_KIB {
        return Err(StatusCode::BAD_REQUEST.into());
    }
    let line = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n";
    Ok(Bytes::from(line.repeat(kib * 16)))
}

/// What is to be purged.
#[derive(Clone, Debug, Deserialize)]
pub struct Tag {
    tag: String,
}

/// Purges a tag.
///
/// # Errors
///
/// The store's failure.
pub async fn purge(cache: &HttpCache, Tag { tag }: Tag) -> Result<(), Failure> {
    Ok(cache.purge(Purging::tags([tag])).await?)
}
