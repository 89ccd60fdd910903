//! What this process has seen of stored responses, so that their bodies and tags can be asked for together with them, and that they need
//! not be read again. The store's answer alone decides.

use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use http::header::{ACCEPT_RANGES, AGE, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, StatusCode};
use quick_cache::Equivalent;
use quick_cache::sync::Cache;

use super::engine::Engine;
use super::entry::Entry;
use super::rules::{CacheStatus, VaryNames};
use crate::store::key::Key;
use crate::store::op::cache::{Head, Kind, PurgeLog, Spec};

/// A bounded memory of heads, and of the namespace's log.
pub(super) struct Memory {
    heads: Cache<Seat, Known>,
    log: RwLock<Option<KnownLog>>,
}

/// What a head is remembered for: a URL, or one variant of it in whatever generation. So the next generation takes the place of the last
/// one, which would otherwise stay until the memory is full.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Seat {
    url: Key,
    variant: Option<Box<str>>,
}

/// The same, borrowed.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct SeatOf<'a> {
    /// The URL's key.
    pub(super) url: &'a Key,
    /// The word of the variant, where it is one.
    pub(super) variant: Option<&'a str>,
}

impl Equivalent<Seat> for SeatOf<'_> {
    fn equivalent(&self, seat: &Seat) -> bool {
        *self.url == seat.url && self.variant == seat.variant.as_deref()
    }
}

impl From<SeatOf<'_>> for Seat {
    fn from(of: SeatOf<'_>) -> Self {
        Self { url: of.url.clone(), variant: of.variant.map(Box::from) }
    }
}

/// A value of the store, and what it says.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) raw: Bytes,
    pub(super) what: What,
}

/// The same of a log.
#[derive(Clone)]
pub(super) struct KnownLog {
    pub(super) raw: Bytes,
    pub(super) log: Arc<PurgeLog>,
}

#[derive(Clone)]
pub(super) enum What {
    Entry(Arc<Ready>, u32),
    Spec(Arc<Variants>),
}

/// A stored response's head, and what an answer from it takes, worked out once.
#[derive(Debug)]
pub(super) struct Ready {
    entry: Entry,
    /// Where the versions of its tags lie.
    pub(super) tag_keys: Vec<Key>,
    /// Where the first segment of its body lies, if it has one.
    pub(super) first: Option<Key>,
    /// The fields of an answer with the whole body, but for its age, which has a place already.
    pub(super) whole: HeaderMap,
}

/// Which variants of a URL there are.
#[derive(Debug)]
pub(super) struct Variants {
    pub(super) counter: u32,
    pub(super) generation: String,
    /// The sets of fields by which they differ, the latest first.
    pub(super) fields: Vec<VaryNames>,
}

impl Memory {
    pub(super) fn new(most: usize) -> Self {
        Self { heads: Cache::new(most), log: RwLock::new(None) }
    }

    /// What was last seen there.
    pub(super) fn head(&self, of: SeatOf<'_>) -> Option<Known> {
        self.heads.get(&of)
    }

    pub(super) fn log(&self) -> Option<KnownLog> {
        self.log.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Engine {
    /// What a head says; read again only if it is not what was seen last. `None` when it is none of ours.
    pub(super) fn read_head(&self, of: SeatOf<'_>, raw: &Bytes) -> Option<What> {
        if let Some(known) = self.known.head(of)
            && known.raw == raw
        {
            return Some(known.what);
        }
        let what = self.parse(of.url, raw)?;
        // A copy: the value may be a part of a long reply, which must not be kept for it.
        let known = Known { raw: Bytes::copy_from_slice(raw), what: what.clone() };
        self.known.heads.insert(of.into(), known);
        Some(what)
    }

    /// The namespace's log, read again only if it is another one than was seen. `None` when it is none of ours.
    pub(super) fn read_log(&self, raw: &Bytes) -> Option<Arc<PurgeLog>> {
        if let Some(known) = self.known.log()
            && known.raw == raw
        {
            return Some(known.log);
        }
        let log = Arc::new(PurgeLog::parse(&self.config.namespace, raw)?);
        let known = KnownLog { raw: Bytes::copy_from_slice(raw), log: Arc::clone(&log) };
        *self.known.log.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
        Some(log)
    }

    fn parse(&self, url: &Key, raw: &Bytes) -> Option<What> {
        let (head, rest) = Head::split(raw)?;
        match head.kind {
            Kind::Entry => {
                let entry = Entry::parse(&rest)?;
                Some(What::Entry(Arc::new(Ready::new(self, url, entry)), head.counter))
            }
            Kind::Spec => {
                let spec = Spec::parse(&rest)?;
                let names = |line: &String| VaryNames::from_names(line.split(',')).ok();
                let fields = spec.fields.iter().map(names).collect::<Option<_>>()?;
                let (counter, generation) = (head.counter, spec.generation);
                Some(What::Spec(Arc::new(Variants { counter, generation, fields })))
            }
        }
    }
}

impl Ready {
    fn new(engine: &Engine, url: &Key, entry: Entry) -> Self {
        let tag_keys = entry.tags.iter().map(|tag| engine.tag(tag)).collect();
        let first = (entry.body.segments() > 0).then(|| url.cached_segment(&entry.body.id, 0));
        let whole = whole_fields(&entry.headers, entry.status, entry.body.length);
        Self { entry, tag_keys, first, whole }
    }
}

/// The fields of an answer with the whole body, with places for its age and for `Cache-Status`.
pub(super) fn whole_fields(stored: &HeaderMap, status: StatusCode, length: u64) -> HeaderMap {
    let mut fields = stored.clone();
    if status != StatusCode::NO_CONTENT {
        fields.insert(CONTENT_LENGTH, length.into());
    }
    if status == StatusCode::OK && !fields.contains_key(ACCEPT_RANGES) {
        fields.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
    fields.insert(AGE, HeaderValue::from_static("0"));
    CacheStatus::keep_place_in(&mut fields);
    fields
}

impl Deref for Ready {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.entry
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").field("heads", &self.heads.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::key::KeyPrefix;

    #[test]
    fn a_seat_is_found_by_what_it_is_of() {
        let memory = Memory::new(9);
        let urls = ["one", "two"].map(|url| Key::cached(&KeyPrefix::default(), "pages", url));
        let all = || {
            urls.iter().flat_map(|url| [None, Some("en"), Some("")].map(|variant| SeatOf { url, variant }))
        };
        for (n, of) in all().enumerate() {
            assert!(memory.head(of).is_none(), "{of:?}");
            let variants = Variants { counter: n as u32, generation: String::new(), fields: Vec::new() };
            let known = Known { raw: Bytes::new(), what: What::Spec(Arc::new(variants)) };
            memory.heads.insert(of.into(), known);
        }
        for (n, of) in all().enumerate() {
            let Some(Known { what: What::Spec(variants), .. }) = memory.head(of) else { panic!("{of:?}") };
            assert_eq!(variants.counter, n as u32, "{of:?}");
        }
    }
}
