//! Finding what is stored for a request, in one round trip if this process has seen it before.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::engine::{Engine, HttpCache};
use super::entry::{self, BodyRef};
use super::known::{Known, Ready, SeatOf, Variants, What};
use super::rules::{Forward, VaryNames};
use super::validity::{Validity, validity};
use crate::store::key::Key;
use crate::store::op::cache::{Fetch, Forget, PurgeLog, TagVersion, Values, Wanted};
use crate::store::{StoreError, StoreKind};
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
    pub(super) entry: Arc<Ready>,
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
    pub(super) key: Key,
    /// What was purged by then.
    pub(super) log: Option<Arc<PurgeLog>>,
    /// The variants of the URL, and the word of the one that is filled, where the right to fill is one to a single variant.
    pub(super) variants: Option<(Arc<Variants>, String)>,
    /// What is there, whether or not it may be used: where its head lies, and its body.
    pub(super) old: Option<(Key, BodyRef)>,
}

impl Place {
    /// Where it is written who fills it.
    pub(super) fn fill(&self) -> Key {
        self.key.cached_fill(self.variants.as_ref().map(|(_, word)| &**word))
    }
}

/// A look-up under way: what it has fetched so far, and what it is to fetch next.
struct Look<'a> {
    request: Request<'a>,
    key: &'a Key,
    body: WithBody,
    /// What was under the key last time, which is the first that is wanted.
    known: Option<What>,
    wanted: SmallVec<[Wanted; 4]>,
    /// The values of those that were fetched, in the same order.
    values: Values,
}

impl Look<'_> {
    fn want(&mut self, key: Key, seen: Option<Bytes>) {
        if self.wanted.iter().all(|wanted| wanted.key != key) {
            self.wanted.push(Wanted { key, seen });
        }
    }

    fn wants_more(&self) -> bool {
        self.values.len() < self.wanted.len()
    }

    fn get(&self, key: &Key) -> Option<&Bytes> {
        let place = self.wanted.iter().position(|wanted| wanted.key == *key)?;
        self.values.get(place)?.as_ref()
    }

    /// What an answer from this entry needs beside its head.
    fn want_rest(&mut self, entry: &Ready) {
        entry.tag_keys.iter().for_each(|tag| self.want(tag.clone(), None));
        if let (WithBody::First, Some(first)) = (self.body, &entry.first) {
            self.want(first.clone(), None);
        }
    }
}

/// A stored response that may be the one.
struct Candidate {
    at: Key,
    entry: Arc<Ready>,
    softly: bool,
}

impl Engine {
    /// Fetches what is wanted beyond what there are values of.
    async fn fetch(&self, wanted: &[Wanted], values: &mut Values) -> Result<(), StoreError> {
        let Some(fetch) = Fetch::new(wanted.get(values.len()..).unwrap_or_default()) else { return Ok(()) };
        let fetched = match self.store.fetch_in_process(fetch) {
            Some(fetched) => fetched,
            // In a box of its own: allocators have boxes of up to a KiB at hand.
            None => Box::pin(self.run(fetch)).await?,
        };
        values.extend(fetched);
        Ok(())
    }

    /// The bytes of a segment, if it is the one that was written. What lies in this process' own memory is.
    pub(super) fn unseal(&self, id: &str, number: u32, sealed: Bytes) -> Option<Bytes> {
        match self.store.kind() {
            StoreKind::Memory => entry::unchecked(sealed),
            StoreKind::Redis => entry::unseal(id, number, sealed),
        }
    }

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
        key: &Key,
        body: WithBody,
    ) -> Result<LookUp, StoreError> {
        let mut look = self.begin(request, key, body);
        let mut foreign = Vec::new();
        // Each turn wants keys that none before did: those of the URL, of its variants, and of what is found.
        loop {
            self.engine.fetch(&look.wanted, &mut look.values).await?;
            if let Some(looked) = self.conclude(&mut look, &mut foreign) {
                for key in foreign {
                    Box::pin(self.engine.forget(key)).await;
                }
                return Ok(looked);
            }
        }
    }

    /// What was seen last time is probably there again.
    fn begin<'a>(&self, request: Request<'a>, key: &'a Key, body: WithBody) -> Look<'a> {
        let engine = &self.engine;
        let known = engine.known.head(SeatOf { url: key, variant: None });
        let (wanted, values) = (SmallVec::new(), Values::new());
        let (raw, known) = known.map(|Known { raw, what }| (raw, what)).unzip();
        let mut look = Look { request, key, body, known: None, wanted, values };
        look.want(key.clone(), raw);
        look.want(engine.log.clone(), engine.known.log().map(|known| known.raw));
        match &known {
            Some(What::Entry(entry, _)) => look.want_rest(entry),
            Some(What::Spec(variants)) => {
                for names in &variants.fields {
                    let (word, at) = self.variant(key, &variants.generation, names, request);
                    let known = engine.known.head(SeatOf { url: key, variant: Some(&word) });
                    if let Some(What::Entry(entry, _)) = known.as_ref().map(|known| &known.what) {
                        look.want_rest(entry);
                    }
                    look.want(at, known.map(|known| known.raw));
                }
            }
            None => {}
        }
        look.known = known;
        look
    }

    /// What the values say; `None` when more are needed. Values that are `foreign` stand in the way.
    fn conclude(&self, look: &mut Look<'_>, foreign: &mut Vec<Key>) -> Option<LookUp> {
        let mut place = Place { key: look.key.clone(), log: None, variants: None, old: None };
        let candidate = match self.read_primary(look) {
            Some(What::Entry(entry, counter)) => {
                let is_ours = *entry.url == *look.key.hash_tag() && entry.vary.is_empty();
                is_ours.then(|| Candidate { at: look.key.clone(), entry, softly: counter != 0 })
            }
            Some(What::Spec(variants)) => {
                for names in &variants.fields {
                    let (_, at) = self.variant(look.key, &variants.generation, names, look.request);
                    look.want(at, None);
                }
                if look.wants_more() {
                    return None;
                }
                let candidate = self.latest(look, &variants);
                // Whoever fills a URL whose variants are known fills one of them, so that others can be filled meanwhile.
                let word = variants.fields.first().map(|names| self.variant_word(names, look.request));
                place.variants = word.map(|word| (variants, word));
                candidate
            }
            None => {
                foreign.extend(look.get(look.key).map(|_| look.key.clone()));
                None
            }
        };
        if let Some(found) = &candidate {
            look.want_rest(&found.entry);
            if look.wants_more() {
                return None;
            }
            place.old = Some((found.at.clone(), found.entry.body.clone()));
        }
        place.log = self.read_log(look, foreign);
        Some(self.judge(look, place, candidate))
    }

    fn read_primary(&self, look: &Look<'_>) -> Option<What> {
        let value = look.values.first()?.as_ref()?;
        match &look.known {
            Some(known) if look.wanted.first()?.seen.as_ref() == Some(value) => Some(known.clone()),
            _ => self.read(look, look.key, None),
        }
    }

    fn read(&self, look: &Look<'_>, at: &Key, variant: Option<&str>) -> Option<What> {
        let what = self.engine.read_head(SeatOf { url: look.key, variant }, look.get(at)?);
        if what.is_none() {
            crate::metric::count("tower_keep_cache_corrupt_total", "head");
        }
        what
    }

    /// A log that cannot be read tells nothing of what was purged, so everything was.
    fn read_log(&self, look: &Look<'_>, foreign: &mut Vec<Key>) -> Option<Arc<PurgeLog>> {
        let log = self.engine.read_log(look.get(&self.engine.log)?);
        if log.is_none() {
            crate::metric::count("tower_keep_cache_corrupt_total", "log");
            foreign.push(self.engine.log.clone());
        }
        log
    }

    /// The latest of the variants that a request selects (RFC 9111 §4.1).
    fn latest(&self, look: &Look<'_>, variants: &Variants) -> Option<Candidate> {
        let of = |names: &VaryNames| {
            let (word, at) = self.variant(look.key, &variants.generation, names, look.request);
            let What::Entry(entry, counter) = self.read(look, &at, Some(&word))? else { return None };
            let is_ours =
                *entry.url == *look.key.hash_tag() && entry.vary == *names && *entry.variant == *word;
            is_ours.then_some(Candidate { at, entry, softly: counter != variants.counter })
        };
        variants.fields.iter().filter_map(of).max_by_key(|found| found.entry.stored.received_ms)
    }

    fn judge(&self, look: &Look<'_>, place: Place, candidate: Option<Candidate>) -> LookUp {
        let miss = if place.variants.is_some() { Forward::VaryMiss } else { Forward::UriMiss };
        let Some(Candidate { at, entry, softly }) = candidate else { return LookUp::Missing(miss, place) };
        let log = place.log.as_deref();
        let version = |tag: &Key| TagVersion::parse(log?, look.get(tag)?);
        let softly = match validity(&entry, log, entry.tag_keys.iter().map(version)) {
            Validity::Holds => softly,
            Validity::Stale => true,
            Validity::Gone => return LookUp::Missing(miss, place),
        };
        let mut first = None;
        if let (WithBody::First, Some(key)) = (look.body, &entry.first) {
            first = look.get(key).and_then(|sealed| self.engine.unseal(&entry.body.id, 0, sealed.clone()));
            if first.is_none() {
                crate::metric::count("tower_keep_cache_corrupt_total", "body");
                return LookUp::Missing(miss, place);
            }
        }
        LookUp::Found(Found { entry, place, at, softly, first })
    }
}
