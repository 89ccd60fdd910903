//! The nodes of a Cluster, as far as they are known, and where to begin.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;
use tokio::time::timeout_at;

use super::map::Map;
use super::view::{Names, Place};
use crate::store::error::{ConfigError, StoreError, StoreErrorKind};
use crate::store::redis::attempt::Until;
use crate::store::redis::target::Address;

/// The most places to begin with.
const MOST_SEEDS: usize = 64;

#[derive(Debug)]
pub(in crate::store::redis) struct Members {
    seeds: Vec<Address>,
    standing: watch::Sender<Standing>,
    turn: AtomicUsize,
}

#[derive(Clone, Debug)]
pub(super) enum Standing {
    /// Nobody has been asked yet.
    Unknown,
    /// Nobody answered.
    Silent(StoreError),
    Known(Arc<Map>),
}

impl Members {
    /// The nodes to begin with: all by TCP, or all by TLS.
    pub(in crate::store::redis) fn new(seeds: Vec<Address>) -> Result<Self, ConfigError> {
        let alike = |address: &Address| {
            let first = seeds.first().map(std::mem::discriminant);
            address.place().is_some() && first == Some(std::mem::discriminant(address))
        };
        if seeds.is_empty() || seeds.len() > MOST_SEEDS || !seeds.iter().all(alike) {
            return Err(ConfigError::Url);
        }
        Ok(Self { seeds, standing: watch::channel(Standing::Unknown).0, turn: AtomicUsize::new(0) })
    }

    pub(super) fn seeds(&self) -> &[Address] {
        &self.seeds
    }

    /// Whether nodes are called by what they announce as their host name.
    pub(super) fn names(&self) -> Names {
        match self.seeds.first() {
            Some(Address::Tcp { .. }) | None => Names::Addresses,
            Some(_) => Names::Hosts,
        }
    }

    /// The address of a node: by the same means as the first ones.
    pub(super) fn address(&self, (host, port): &Place) -> Address {
        match self.seeds.first() {
            #[cfg(feature = "tls")]
            Some(Address::Tls { .. }) => Address::Tls { host: host.clone(), port: *port },
            _ => Address::Tcp { host: host.clone(), port: *port },
        }
    }

    /// Any node, each time another one.
    pub(in crate::store::redis) fn any(&self) -> Option<Address> {
        let turn = self.turn();
        let known = self.known().and_then(|map| {
            let masters = &map.view.masters;
            masters.get(turn % masters.len().max(1)).map(|master| self.address(&master.place))
        });
        known.or_else(|| self.seeds.get(turn % self.seeds.len().max(1)).cloned())
    }

    /// Counts up; for those who take turns.
    pub(super) fn turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn known(&self) -> Option<Arc<Map>> {
        match &*self.standing.borrow() {
            Standing::Known(map) => Some(Arc::clone(map)),
            Standing::Unknown | Standing::Silent(_) => None,
        }
    }

    /// Whether nobody answered before.
    pub(super) fn become_known(&self, map: Arc<Map>) -> bool {
        matches!(self.standing.send_replace(Standing::Known(map)), Standing::Silent(_))
    }

    /// Nobody answered. What was known before stays. Whether nobody was asked before.
    pub(super) fn fall_silent(&self, error: StoreError) -> bool {
        self.standing.send_if_modified(|standing| {
            let first = matches!(standing, Standing::Unknown);
            if !matches!(standing, Standing::Known(_)) {
                *standing = Standing::Silent(error);
            }
            first
        })
    }

    /// The map, as soon as somebody has answered; an error as soon as nobody did.
    pub(super) async fn map(&self, until: Until) -> Result<Arc<Map>, StoreError> {
        if let Some(map) = self.known() {
            return Ok(map);
        }
        let mut standing = self.standing.subscribe();
        let told = standing.wait_for(|standing| !matches!(standing, Standing::Unknown));
        match &*timeout_at(until.at, told).await?.map_err(|_| StoreErrorKind::Unavailable)? {
            Standing::Known(map) => Ok(Arc::clone(map)),
            Standing::Silent(error) => Err(error.clone()),
            Standing::Unknown => Err(StoreErrorKind::Unavailable.into()),
        }
    }

    /// Waits for another map than `before`.
    pub(super) async fn another_than(&self, before: &Arc<Map>) {
        let is_other = |standing: &Standing| match standing {
            Standing::Known(map) => !Arc::ptr_eq(map, before),
            Standing::Unknown | Standing::Silent(_) => false,
        };
        // An error: the store is gone, and so is who waits.
        let _ = self.standing.subscribe().wait_for(is_other).await;
    }
}

/// As a URL says it, without who signs in.
impl std::fmt::Display for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.names() == Names::Hosts { "rediss" } else { "redis" };
        let urls = self.seeds.iter().filter_map(Address::place).map(|(host, port)| {
            if host.contains(':') {
                format!("{scheme}://[{host}]:{port}")
            } else {
                format!("{scheme}://{host}:{port}")
            }
        });
        write!(f, "cluster:{}", urls.collect::<Vec<_>>().join(","))
    }
}
