//! Finding what is stored for a request, in one round trip if this process has seen it before.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::engine::{Engine, HttpCache};
use super::entry::{Entry, unseal};
use super::known::{Variants, What};
use super::rules::{Forward, VaryNames};
use super::url::UrlKey;
use super::validity::{Validity, validity};
use crate::store::StoreError;
use crate::store::key::Key;
use crate::store::op::cache::{Fetch, Forget, PurgeLog, TagVersion};
use crate::view::RequestView;

/// A request's head that can be looked at between round trips.
pub(super) type Request<'a> = &'a (dyn RequestView + Sync);

/// Whether the body's first segment is to be fetched together with the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WithBody {
    /// The answer may need none, or another part.
    No,
    First,
}

/// What is stored for a request.
#[derive(Debug)]
pub(super) enum LookUp {
    Found(Found),
    Missing(Forward, Place),
}

/// A stored response that a request selects.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) entry: Arc<Entry>,
    pub(super) place: Place,
    /// Where its head lies.
    pub(super) at: Key,
    /// It was purged softly: stale, whatever its age.
    pub(super) softly: bool,
    /// The first segment of its body, if it was asked for.
    pub(super) first: Option<Bytes>,
}

/// Where the response to a request is stored, as seen before its handler runs.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) url: UrlKey,
    pub(super) key: Key,
    /// Where it is written who fills it.
    pub(super) fill: Key,
    /// Epoch and number of the log of purges.
    pub(super) seen: Option<(String, u64)>,
    /// The variants of the URL, where the right to fill is one to a single variant.
    pub(super) variants: Option<Arc<Variants>>,
}

impl Place {
    fn new(url: &UrlKey, key: Key) -> Self {
        let fill = key.cached_fill(None);
        Self { url: url.clone(), key, fill, seen: None, variants: None }
    }
}

/// The values that were fetched so far, and the keys to be fetched next.
#[derive(Default)]
struct Have {
    wanted: SmallVec<[Key; 8]>,
    values: SmallVec<[(Key, Option<Bytes>); 8]>,
}

impl Have {
    fn want(&mut self, key: Key) {
        if !self.wanted.contains(&key) && !self.values.iter().any(|(known, _)| *known == key) {
            self.wanted.push(key);
        }
    }

    fn get(&self, key: &Key) -> Option<&Bytes> {
        self.values.iter().find(|(known, _)| known == key)?.1.as_ref()
    }

    async fn fetch(&mut self, engine: &Engine) -> Result<(), StoreError> {
        let Some(fetch) = Fetch::new(self.wanted.iter().cloned()) else { return Ok(()) };
        // In a box of its own: allocators have boxes of up to a KiB at hand.
        let values = Box::pin(engine.run(fetch)).await?;
        self.values.extend(self.wanted.drain(..).zip(values));
        Ok(())
    }
}

/// A stored response that may be the one.
struct Candidate {
    at: Key,
    entry: Arc<Entry>,
    softly: bool,
}

impl Engine {
    /// Forgets a value that must not be used any more: a head whose body is gone, or what is none of ours and in the way of what is to be
    /// stored.
    pub(super) async fn forget(&self, key: Key) {
        if let Some(forget) = Forget::new([key]) {
            drop(self.run(forget).await); // counted where it failed
        }
    }
}

impl HttpCache {
    /// Looks a request up. Up to three round trips where this process has not seen the response before, one where it has.
    pub(super) async fn look_up(
        &self,
        request: Request<'_>,
        url: &UrlKey,
        body: WithBody,
    ) -> Result<LookUp, StoreError> {
        let primary = self.engine.key(url);
        let mut have = Have::default();
        have.want(primary.clone());
        have.want(self.engine.log.clone());
        self.guess(request, &primary, body, &mut have);
        have.fetch(&self.engine).await?;

        let log = self.read_log(&have).await;
        let mut place = Place::new(url, primary);
        place.seen = log.as_ref().map(|log| (log.epoch.clone(), log.number));
        let candidate = match self.read(&have, &place.key) {
            Some(What::Entry(entry, counter)) => {
                let found = Candidate { at: place.key.clone(), entry, softly: counter != 0 };
                Some(found).filter(|found| found.entry.url == url.hash && found.entry.vary.is_empty())
            }
            Some(What::Spec(variants)) => {
                for names in &variants.fields {
                    have.want(self.variant(&place.key, &variants.generation, names, request));
                }
                have.fetch(&self.engine).await?;
                self.join(&mut place, &variants, request);
                self.latest(&have, &place, &variants, request)
            }
            None => {
                if have.get(&place.key).is_some() {
                    self.engine.forget(place.key.clone()).await;
                }
                None
            }
        };
        if let Some(found) = &candidate {
            self.want_rest(&place.key, &found.entry, body, &mut have);
            have.fetch(&self.engine).await?;
        }
        Ok(self.judge((&have, log.as_ref()), place, candidate, body))
    }

    fn read(&self, have: &Have, key: &Key) -> Option<What> {
        let what = self.engine.known.read(key, have.get(key)?);
        if what.is_none() {
            crate::metric::count("tower_keep_cache_corrupt_total", "head");
        }
        what
    }

    /// A log that cannot be read tells nothing of what was purged, so everything was.
    async fn read_log(&self, have: &Have) -> Option<PurgeLog> {
        let log = PurgeLog::parse(&self.engine.config.namespace, have.get(&self.engine.log)?);
        if log.is_none() {
            crate::metric::count("tower_keep_cache_corrupt_total", "log");
            self.engine.forget(self.engine.log.clone()).await;
        }
        log
    }

    /// What was seen last time is probably there again.
    fn guess(&self, request: Request<'_>, primary: &Key, body: WithBody, have: &mut Have) {
        match self.engine.known.guess(primary) {
            Some(What::Entry(entry, _)) => self.want_rest(primary, &entry, body, have),
            Some(What::Spec(variants)) => {
                for names in &variants.fields {
                    let key = self.variant(primary, &variants.generation, names, request);
                    if let Some(What::Entry(entry, _)) = self.engine.known.guess(&key) {
                        self.want_rest(primary, &entry, body, have);
                    }
                    have.want(key);
                }
            }
            None => {}
        }
    }

    /// What an answer from this entry needs beside its head.
    fn want_rest(&self, primary: &Key, entry: &Entry, body: WithBody, have: &mut Have) {
        entry.tags.iter().for_each(|tag| have.want(self.engine.tag(tag)));
        if body == WithBody::First && entry.body.segments() > 0 {
            have.want(primary.cached_segment(&entry.body.id, 0));
        }
    }

    /// Whoever fills a URL whose variants are known fills one of them, so that others can be filled meanwhile.
    fn join(&self, place: &mut Place, variants: &Arc<Variants>, request: Request<'_>) {
        if let Some(names) = variants.fields.first() {
            place.fill = place.key.cached_fill(Some(&self.variant_word(names, request)));
            place.variants = Some(Arc::clone(variants));
        }
    }

    /// The latest of the variants that a request selects (RFC 9111 §4.1).
    fn latest(
        &self,
        have: &Have,
        place: &Place,
        variants: &Variants,
        request: Request<'_>,
    ) -> Option<Candidate> {
        let of = |names: &VaryNames| {
            let word = self.variant_word(names, request);
            let at = place.key.cached_variant(&variants.generation, &word);
            let What::Entry(entry, counter) = self.read(have, &at)? else { return None };
            let is_ours = entry.url == place.url.hash && entry.vary == *names && *entry.variant == *word;
            is_ours.then_some(Candidate { at, entry, softly: counter != variants.counter })
        };
        variants.fields.iter().filter_map(of).max_by_key(|found| found.entry.stored.received_ms)
    }

    fn judge(
        &self,
        (have, log): (&Have, Option<&PurgeLog>),
        place: Place,
        candidate: Option<Candidate>,
        body: WithBody,
    ) -> LookUp {
        let miss = if place.variants.is_some() { Forward::VaryMiss } else { Forward::UriMiss };
        let Some(Candidate { at, entry, softly }) = candidate else { return LookUp::Missing(miss, place) };
        let version = |tag: &Arc<str>| TagVersion::parse(log?, have.get(&self.engine.tag(tag))?);
        let softly = match validity(&entry, log, entry.tags.iter().map(version)) {
            Validity::Holds => softly,
            Validity::Stale => true,
            Validity::Gone => return LookUp::Missing(miss, place),
        };
        let mut first = None;
        if body == WithBody::First && entry.body.segments() > 0 {
            let sealed = have.get(&place.key.cached_segment(&entry.body.id, 0)).cloned();
            first = sealed.and_then(|sealed| unseal(&entry.body.id, 0, sealed));
            if first.is_none() {
                crate::metric::count("tower_keep_cache_corrupt_total", "body");
                return LookUp::Missing(miss, place);
            }
        }
        LookUp::Found(Found { entry, place, at, softly, first })
    }
}
