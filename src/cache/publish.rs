//! Making a response visible: first asked whether nothing was purged meanwhile, then stored by who still holds the right.

use std::sync::Arc;

use http::StatusCode;

use super::engine::Engine;
use super::entry::{BodyRef, Entry};
use super::fill::Fill;
use super::lookup::Place;
use super::rules::{Stored, StoredFlag, ToStore, VaryNames};
use super::write::LINGER_MS;
use crate::clock::millis;
use crate::random;
use crate::store::StoreError;
use crate::store::key::Key;
use crate::store::op::cache::{Admit, Publish, Published, VariantOf};

/// What is to be stored beside the body.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) to_store: ToStore,
    pub(super) tags: Vec<Arc<str>>,
    /// Which variant it is, as a word; empty where the response does not vary.
    pub(super) variant: String,
}

impl Head {
    /// For how long it is stored, in milliseconds.
    pub(super) fn ttl_ms(&self, engine: &Engine) -> u64 {
        ttl_ms(&self.to_store.stored, engine)
    }

    /// Where it lies beside the other variants of its URL, if it is one and they are known.
    pub(super) fn variant_key(&self, place: &Place) -> Option<Key> {
        let (variants, _) = place.variants.as_ref().filter(|_| !self.to_store.vary.is_empty())?;
        Some(place.key.cached_variant(&variants.generation, &self.variant))
    }

    /// Whether it answers nobody without being validated first.
    pub(super) fn must_be_validated(&self) -> bool {
        let stored = &self.to_store.stored;
        let lives_ms = stored.lifetime_ms.saturating_add(stored.stale_while_revalidate_ms);
        stored.flags.has(StoredFlag::NoCache) || lives_ms <= stored.age_ms
    }
}

fn ttl_ms(stored: &Stored, engine: &Engine) -> u64 {
    let (keep, most) = (millis(engine.config.keep_stale), millis(engine.config.retention));
    stored.keep_ms(engine.store.now_ms(), keep).clamp(1, most)
}

/// The question whether a response with these tags may be stored. `None` without random bytes.
pub(super) fn admit(fill: &Fill, tags: &[Arc<str>]) -> Option<Admit> {
    let engine = &fill.engine;
    Some(Admit {
        namespace: engine.config.namespace.clone(),
        log: engine.log.clone(),
        tags: tags.iter().map(|tag| engine.tag(tag)).collect(),
        seen: fill.place.log.as_ref().map(|log| (log.epoch.clone(), log.number)),
        fresh: random::token().ok()?.to_string(),
        ttl_ms: millis(engine.config.retention).saturating_add(LINGER_MS),
    })
}

/// Stores a head, whose body lies there already, and wakes up who waits in other processes. The right to fill is used up.
pub(super) async fn publish(
    fill: &mut Fill,
    head: &Head,
    epoch: &str,
    body: BodyRef,
) -> Result<Published, StoreError> {
    let (engine, place) = (Arc::clone(&fill.engine), &fill.place);
    let entry = Entry {
        url: place.key.hash_tag().into(),
        target: Arc::clone(&fill.target),
        status: head.status,
        headers: head.to_store.headers.clone(),
        stored: head.to_store.stored,
        vary: head.to_store.vary.clone(),
        variant: head.variant.as_str().into(),
        tags: head.tags.clone(),
        epoch: epoch.into(),
        number: place.log.as_ref().map_or(0, |log| log.number),
        took_ms: millis(fill.began.elapsed()),
        body,
    };
    let Ok(fresh) = random::token() else { return Ok(Published::Lost) };
    let variants = place.variants.as_ref().map(|(variants, _)| variants);
    let publish = Publish {
        url: place.key.clone(),
        fill: fill.key.clone(),
        token: fill.token.to_string(),
        ttl_ms: head.ttl_ms(&engine),
        stored: entry.to_bytes().into(),
        expected: variants.map(|variants| (variants.counter, variants.generation.clone())),
        variant: (!entry.vary.is_empty()).then(|| {
            let seen = variants.map(|variants| variants.generation.clone());
            let generation = seen.unwrap_or_else(|| fresh.to_string());
            VariantOf {
                key: place.key.cached_variant(&generation, &head.variant),
                generation,
                fields: line(&entry.vary),
                most: engine.config.max_variants,
            }
        }),
    };
    let (published, woken) = engine.run((publish, fill.wake())).await;
    drop(woken); // who is not woken looks by itself
    fill.used();
    published
}

/// A set of fields as one line.
fn line(names: &VaryNames) -> String {
    names.iter().collect::<Vec<_>>().join(",")
}
