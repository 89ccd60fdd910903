//! What a 304 of the handler changes in the store.

use std::sync::Arc;

use http::HeaderMap;
use http::request::Parts;

use super::engine::HttpCache;
use super::fill::Fill;
use super::flight::Landing;
use super::lookup::Found;
use super::publish::{Head, admit, publish};
use super::purge::group_tag;
use super::rules::cache_groups;
use super::write::LINGER_MS;
use crate::store::StoreError;
use crate::store::op::cache::{Admission, Prolong, Published};
use crate::view::RequestView;

impl HttpCache {
    /// Stores a head anew for a body that lies there already, and gives the body the time that it needs.
    pub(super) async fn freshened(&self, mut fill: Box<Fill>, found: &Found, head: Head) {
        fill.will_store(&head);
        match self.store_head(&mut fill, found, &head).await {
            Ok(Published::Stored) => fill.land(Landing::Stored),
            Ok(_) => fill.land(Landing::Lost),
            Err(_) => fill.not_for_others(None),
        }
    }

    async fn store_head(&self, fill: &mut Fill, found: &Found, head: &Head) -> Result<Published, StoreError> {
        let body = &found.entry.body;
        let ttl_ms = head.ttl_ms(&self.engine) + LINGER_MS;
        let prolong: Vec<Prolong> = body.keys(&fill.place.key).map(|key| Prolong { key, ttl_ms }).collect();
        let Some(admit) = admit(fill, &head.tags) else { return Ok(Published::Lost) };
        let (kept, admission) = self.engine.run((prolong, admit)).await;
        let admission = admission?;
        for kept in kept {
            if !kept? {
                return Ok(Published::Lost);
            }
        }
        match admission {
            Admission::Admitted(epoch) => publish(fill, head, &epoch, body.clone()).await,
            Admission::Purged => Ok(Published::Lost),
        }
    }

    /// The groups of a response (RFC 9875), as tags. `None` when they cannot be read, or there are too many.
    pub(super) fn groups(&self, request: &Parts, headers: &HeaderMap) -> Option<Vec<Arc<str>>> {
        let groups = cache_groups(headers).ok()?;
        if groups.is_empty() {
            return Some(Vec::new());
        }
        let host = host(request);
        Some(groups.iter().map(|group| group_tag(&host, group).into()).collect())
    }
}

/// The host of a request, as it stands in keys.
pub(super) fn host(request: &dyn RequestView) -> String {
    request
        .header("host")
        .map_or_else(String::new, |host| String::from_utf8_lossy(&host).to_ascii_lowercase())
}
