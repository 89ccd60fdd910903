//! What this process has seen of stored responses, so that their bodies and tags can be asked for together with them, and that they need
//! not be read again. The store's answer alone decides.

use std::sync::Arc;

use bytes::Bytes;
use quick_cache::sync::Cache;

use super::entry::Entry;
use super::rules::VaryNames;
use crate::store::key::Key;
use crate::store::op::cache::{Head, Kind, Spec};

/// A bounded memory of heads by their keys.
pub(super) struct KnownHeads(Cache<Key, Known>);

/// A value of the store, and what it says.
#[derive(Clone)]
pub(super) struct Known {
    raw: Bytes,
    pub(super) what: What,
}

#[derive(Clone)]
pub(super) enum What {
    Entry(Arc<Entry>, u32),
    Spec(Arc<Variants>),
}

/// Which variants of a URL there are.
#[derive(Debug)]
pub(super) struct Variants {
    pub(super) counter: u32,
    pub(super) generation: String,
    /// The sets of fields by which they differ, the latest first.
    pub(super) fields: Vec<VaryNames>,
}

impl KnownHeads {
    pub(super) fn new(most: usize) -> Self {
        Self(Cache::new(most))
    }

    /// What was last seen under a key.
    pub(super) fn guess(&self, key: &Key) -> Option<What> {
        self.0.get(key).map(|known| known.what)
    }

    /// What a value says, read again only if it is another one than was seen. `None` when it is none of ours.
    pub(super) fn read(&self, key: &Key, raw: &Bytes) -> Option<What> {
        if let Some(known) = self.0.get(key)
            && known.raw == raw
        {
            return Some(known.what);
        }
        let what = What::parse(raw)?;
        // A copy: the value may be a part of a long reply, which must not be kept for it.
        self.0.insert(key.clone(), Known { raw: Bytes::copy_from_slice(raw), what: what.clone() });
        Some(what)
    }
}

impl What {
    fn parse(raw: &Bytes) -> Option<Self> {
        let (head, rest) = Head::split(raw)?;
        match head.kind {
            Kind::Entry => Some(Self::Entry(Arc::new(Entry::parse(&rest)?), head.counter)),
            Kind::Spec => {
                let spec = Spec::parse(&rest)?;
                let names = |line: &String| VaryNames::from_names(line.split(',')).ok();
                let fields = spec.fields.iter().map(names).collect::<Option<_>>()?;
                Some(Self::Spec(Arc::new(Variants {
                    counter: head.counter,
                    generation: spec.generation,
                    fields,
                })))
            }
        }
    }
}

impl std::fmt::Debug for KnownHeads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KnownHeads").field("len", &self.0.len()).finish()
    }
}
