//! The Redis backend: one server, or the masters of a Cluster.

use std::sync::Arc;
use std::time::Duration;

use smallvec::{SmallVec, smallvec};
use tokio::runtime::Handle;

use super::cluster::Cluster;
use super::link::Link;
use super::manager::Connector;
use super::node::{Node, Settings, Until};
use super::send::{Answers, Outgoing};
use super::target::{Address, Target};
use super::{ForeignPool, subscriber};
use crate::clock::Clock;
use crate::store::channels::{Channels, Listener, Topic};
use crate::store::error::{ConfigError, StoreError, StoreErrorKind};
use crate::store::health::{PoolCounts, StoreStatus};
use crate::store::wire::Command;

/// The Redis backend. Clones share everything.
#[derive(Clone)]
pub(in crate::store) struct Redis {
    servers: Servers,
    settings: Arc<Settings>,
    runtime: Handle,
    /// What opens connections outside of pools; a pool that is not ours keeps that to itself.
    connector: Option<Arc<Connector>>,
    /// Who listens to messages in this process.
    channels: Channels,
}

#[derive(Clone)]
enum Servers {
    One(Node),
    Cluster(Arc<Cluster>),
}

/// The connections that gave the replies of a batch.
pub(in crate::store) type Links = SmallVec<[Link; 1]>;

/// The replies to a batch, and the connections that gave them.
pub(in crate::store) struct Used {
    pub(in crate::store) answers: Answers,
    pub(in crate::store) links: Links,
}

impl Redis {
    pub(in crate::store) fn new(
        target: Target,
        settings: Settings,
        runtime: Handle,
    ) -> Result<Self, ConfigError> {
        let connector = Connector::new(target, &settings)?;
        let servers = match &connector.target.address {
            Address::Cluster(members) => {
                let members = Arc::clone(members);
                Servers::Cluster(Cluster::new(&connector, members, &settings, &runtime))
            }
            _ => Servers::One(Node::new(connector.clone(), settings.clone(), runtime.clone())),
        };
        Ok(Self::with(servers, settings, runtime, Some(connector)))
    }

    pub(in crate::store) fn from_pool(
        pool: Arc<dyn ForeignPool>,
        settings: Settings,
        runtime: Handle,
    ) -> Self {
        let node = Node::from_pool(pool, settings.clone(), runtime.clone());
        Self::with(Servers::One(node), settings, runtime, None)
    }

    fn with(servers: Servers, settings: Settings, runtime: Handle, connector: Option<Connector>) -> Self {
        let connector = connector.map(Arc::new);
        Self { servers, settings: Arc::new(settings), runtime, connector, channels: Channels::default() }
    }

    /// All commands within the deadline: one round trip, and on a Cluster one to each node concerned, side by side. `deadline`: the
    /// caller's own, if it is shorter than the store's.
    pub(in crate::store) async fn execute(
        &self,
        commands: &[Command],
        deadline: Option<Duration>,
    ) -> Result<Used, StoreError> {
        let until = Until::within(&self.settings, deadline);
        match &self.servers {
            Servers::One(node) => {
                let used = node.execute(Outgoing::All(commands), until).await?;
                Ok(Used { answers: used.answers, links: smallvec![used.link] })
            }
            // One server's future need not have room for it.
            Servers::Cluster(cluster) => Box::pin(cluster.execute(commands, until)).await,
        }
    }

    /// A reply did not belong to its request: nobody may trust these connections again.
    pub(in crate::store) fn desynchronised(&self, links: &[Link]) {
        for link in links {
            match &self.servers {
                Servers::One(node) => node.0.judge(link, StoreErrorKind::Desync),
                Servers::Cluster(cluster) => cluster.desynchronised(link),
            }
        }
    }

    pub(in crate::store) const fn is_cluster(&self) -> bool {
        matches!(&self.servers, Servers::Cluster(_))
    }

    /// The server that has a key, or any where there is none.
    pub(super) async fn node_of(&self, key: Option<&[u8]>) -> Result<Node, StoreError> {
        match &self.servers {
            Servers::One(node) => Ok(node.clone()),
            Servers::Cluster(cluster) => cluster.node_of(key, Until::within(&self.settings, None)).await,
        }
    }

    /// Each server that holds keys.
    pub(super) async fn all_nodes(&self) -> Result<Vec<Node>, StoreError> {
        match &self.servers {
            Servers::One(node) => Ok(vec![node.clone()]),
            Servers::Cluster(cluster) => cluster.all_nodes(Until::within(&self.settings, None)).await,
        }
    }

    /// A server answered that it does not have a slot.
    pub(super) fn look(&self) {
        if let Servers::Cluster(cluster) = &self.servers {
            cluster.look();
        }
    }

    /// Listens to a topic from the moment on in which this returns.
    pub(in crate::store) async fn listen(
        &self,
        topic: Topic,
        capacity: usize,
    ) -> Result<Listener, StoreError> {
        let connector = self.connector.as_ref().ok_or(StoreErrorKind::Unsupported)?;
        let limit = self.settings.connect_timeout + self.settings.deadline;
        subscriber::listen(connector, &self.channels, &self.runtime, limit, topic, capacity).await
    }

    /// How many connections gave a reply that did not belong to its request.
    pub(in crate::store) fn desyncs(&self) -> u64 {
        match &self.servers {
            Servers::One(node) => node.desyncs(),
            Servers::Cluster(cluster) => cluster.desyncs(),
        }
    }

    pub(in crate::store) fn counts(&self) -> PoolCounts {
        match &self.servers {
            Servers::One(node) => node.counts(),
            Servers::Cluster(cluster) => cluster.counts(),
        }
    }

    pub(in crate::store) fn status(&self) -> StoreStatus {
        match &self.servers {
            Servers::One(node) => node.status(),
            Servers::Cluster(cluster) => cluster.status(),
        }
    }

    /// The time that a `TIME` takes, the check-out included, past the breaker; on a Cluster that of the slowest node.
    pub(in crate::store) async fn latency(&self) -> Result<Duration, StoreError> {
        match &self.servers {
            Servers::One(node) => node.latency().await,
            Servers::Cluster(cluster) => cluster.latency(Until::within(&self.settings, None)).await,
        }
    }

    /// The runtime on which connections live.
    pub(in crate::store) const fn runtime(&self) -> &Handle {
        &self.runtime
    }

    fn ahead_ms(&self) -> Option<i64> {
        match &self.servers {
            Servers::One(node) => node.0.clock.ahead_ms(),
            Servers::Cluster(cluster) => cluster.ahead_ms(),
        }
    }

    /// The server's clock as last seen, in milliseconds since the Unix epoch; on a Cluster that of the fastest one.
    pub(in crate::store) fn now_ms(&self) -> u64 {
        Clock::system().now_ms().saturating_add_signed(self.ahead_ms().unwrap_or(0))
    }

    /// The server's time at the deadline of a request that begins now.
    pub(in crate::store) fn not_after_ms(&self) -> Option<u64> {
        let deadline_ms = u64::try_from(self.settings.deadline.as_millis()).unwrap_or(u64::MAX);
        let ahead = self.ahead_ms()?;
        Some(Clock::system().now_ms().saturating_add_signed(ahead).saturating_add(deadline_ms))
    }

    /// Takes note of the server's time in a reply.
    pub(in crate::store) fn observe(&self, now_ms: u64) {
        match &self.servers {
            Servers::One(node) => node.0.clock.observe(now_ms),
            Servers::Cluster(cluster) => cluster.observe(now_ms, self.now_ms()),
        }
    }
}

/// Says nothing of who signs in.
impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis")
            .field("settings", &self.settings)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
