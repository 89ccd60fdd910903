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
use super::record::LINGER_MS;
use super::rules::{ToStore, cache_groups};
use crate::store::op::cache::{Admission, Prolong, Published};
use crate::view::RequestView;

impl HttpCache {
    /// Stores a head anew for a body that lies there already, and gives the body the time that it needs.
    pub(super) async fn freshened(
        &self,
        mut fill: Box<Fill>,
        found: &Found,
        to_store: ToStore,
        variant: String,
    ) {
        let entry = &found.entry;
        let (status, tags) = (entry.status, entry.tags.clone());
        let head = Head { status, to_store, tags, variant };
        let landing = match self.store_head(&mut fill, found, &head).await {
            Some(Published::Stored) => Landing::Stored,
            _ => Landing::NotForOthers,
        };
        fill.land(landing);
    }

    async fn store_head(&self, fill: &mut Fill, found: &Found, head: &Head) -> Option<Published> {
        let body = &found.entry.body;
        let ttl_ms = head.ttl_ms(&self.engine) + LINGER_MS;
        let prolong: Vec<Prolong> = body.keys(&fill.place.key).map(|key| Prolong { key, ttl_ms }).collect();
        let (kept, admission) = self.engine.run((prolong, admit(fill, &head.tags)?)).await;
        let whole = kept.into_iter().all(|kept| kept.unwrap_or(false));
        let Ok(Admission::Admitted(epoch)) = admission else { return None };
        if !whole {
            return None;
        }
        publish(fill, head, &epoch, body.clone()).await.ok()
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
