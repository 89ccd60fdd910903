//! Which node has which slot.

use std::sync::atomic::{AtomicU16, Ordering};

use super::slot::{SLOTS, slot};
use super::view::{Master, Place, View};
use crate::store::key::KeyPrefix;
use crate::store::redis::node::{Node, probe_key};

/// No node has the slot.
const NOBODY: u16 = u16::MAX;

/// The nodes by the latest view, and what redirections have taught since.
#[derive(Debug)]
pub(super) struct Map {
    pub(super) view: View,
    /// In the order of the view's masters.
    nodes: Vec<Node>,
    owners: Box<[AtomicU16]>,
}

impl Map {
    /// The map of a view. Nodes that were there before stay, with their connections; new ones are made by `open`.
    pub(super) fn new(view: View, before: Option<&Self>, open: impl Fn(&Place) -> Node) -> Self {
        let owners: Box<[AtomicU16]> = (0..SLOTS).map(|_| AtomicU16::new(NOBODY)).collect();
        for (number, master) in (0..).zip(&view.masters) {
            for slot in master.slots.iter().cloned().flatten() {
                if let Some(owner) = owners.get(usize::from(slot)) {
                    owner.store(number, Ordering::Relaxed);
                }
            }
        }
        let node = |master: &Master| {
            let known = before.and_then(|before| before.at(&master.place).cloned());
            known.unwrap_or_else(|| open(&master.place))
        };
        let nodes = view.masters.iter().map(node).collect();
        Self { view, nodes, owners }
    }

    /// The nodes, in the order of their slots.
    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node that has a slot.
    pub(super) fn owner(&self, slot: u16) -> Option<&Node> {
        let number = self.owners.get(usize::from(slot))?.load(Ordering::Relaxed);
        self.nodes.get(usize::from(number))
    }

    /// The node at a place.
    pub(super) fn at(&self, place: &Place) -> Option<&Node> {
        let number = self.view.masters.iter().position(|master| master.place == *place)?;
        self.nodes.get(number)
    }

    /// Takes note of where a slot has moved; `false` if there is no such node.
    pub(super) fn learn(&self, slot: u16, to: &Place) -> bool {
        let number = self.view.masters.iter().position(|master| master.place == *to);
        let number = number.and_then(|number| u16::try_from(number).ok());
        let (Some(number), Some(owner)) = (number, self.owners.get(usize::from(slot))) else { return false };
        owner.store(number, Ordering::Relaxed);
        true
    }

    /// Whether each slot has an owner.
    pub(super) fn is_whole(&self) -> bool {
        self.owners.iter().all(|owner| owner.load(Ordering::Relaxed) != NOBODY)
    }

    /// Lets each node be probed by a key of its own, since it tells of others only where they lie.
    pub(super) fn aim_probes(&self, prefix: &KeyPrefix) {
        for (master, node) in self.view.masters.iter().zip(&self.nodes) {
            let owns = |slot| master.slots.iter().any(|slots| slots.contains(&slot));
            let mut keys = (0..PROBES).map(|number| probe_key(prefix, number));
            if let Some(key) = keys.find(|key| owns(slot(key.as_str().as_bytes()))) {
                node.0.probe(key);
            }
        }
    }
}

/// How many keys are tried. A node with one slot finds one among the first 16,384, usually.
const PROBES: u32 = 100_000;
