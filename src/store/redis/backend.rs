//! The Redis backend: one server, or the masters of a Cluster.

use std::sync::{Arc, Weak};
use std::time::Duration;

use smallvec::{SmallVec, smallvec};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::attempt::{self, Until};
use super::cluster::Cluster;
use super::link::Link;
use super::manager::Connector;
use super::node::{Node, Settings};
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
pub(in crate::store) struct Redis(Arc<Shared>);

/// The backend as long as somebody else holds it.
pub(in crate::store) struct WeakRedis(Weak<Shared>);

struct Shared {
    servers: Servers,
    settings: Settings,
    runtime: Handle,
    /// What opens connections outside of pools; a pool that is not ours keeps that to itself.
    connector: Option<Arc<Connector>>,
    /// Who listens to messages in this process.
    channels: Channels,
}

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
    /// False where replicas were to confirm it and too few did in time.
    pub(in crate::store) is_replicated: bool,
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
        Self(Arc::new(Shared { servers, settings, runtime, connector, channels: Channels::default() }))
    }

    /// All commands within the deadline: one round trip, and on a Cluster one to each node concerned, side by side. `deadline`: the
    /// caller's own, if it is shorter than the store's.
    pub(in crate::store) async fn execute(
        &self,
        commands: &[Command],
        deadline: Option<Duration>,
    ) -> Result<Used, StoreError> {
        let until = Until::within(&self.0.settings, deadline);
        match &self.0.servers {
            Servers::One(node) => {
                let used = node.execute(Outgoing::All(commands), until).await?;
                let attempt::Used { answers, link, is_replicated } = used;
                Ok(Used { answers, links: smallvec![link], is_replicated })
            }
            // One server's future need not have room for it.
            Servers::Cluster(cluster) => Box::pin(cluster.execute(commands, until)).await,
        }
    }

    /// A reply did not belong to its request: nobody may trust these connections again.
    pub(in crate::store) fn desynchronised(&self, links: &[Link]) {
        for link in links {
            match &self.0.servers {
                Servers::One(node) => node.0.judge(link, StoreErrorKind::Desync),
                Servers::Cluster(cluster) => cluster.desynchronised(link),
            }
        }
    }

    pub(in crate::store) fn is_cluster(&self) -> bool {
        matches!(&self.0.servers, Servers::Cluster(_))
    }

    /// The server that has a key, or any where there is none.
    pub(super) async fn node_of(&self, key: Option<&[u8]>) -> Result<Node, StoreError> {
        match &self.0.servers {
            Servers::One(node) => Ok(node.clone()),
            Servers::Cluster(cluster) => cluster.node_of(key, Until::within(&self.0.settings, None)).await,
        }
    }

    /// Each server that holds keys.
    pub(super) async fn all_nodes(&self) -> Result<Vec<Node>, StoreError> {
        match &self.0.servers {
            Servers::One(node) => Ok(vec![node.clone()]),
            Servers::Cluster(cluster) => cluster.all_nodes(Until::within(&self.0.settings, None)).await,
        }
    }

    /// A server answered that it does not have a slot.
    pub(super) fn look(&self) {
        if let Servers::Cluster(cluster) = &self.0.servers {
            cluster.look();
        }
    }

    /// Listens to a topic from the moment on in which this returns.
    pub(in crate::store) async fn listen(
        &self,
        topic: Topic,
        capacity: usize,
    ) -> Result<Listener, StoreError> {
        let connector = self.0.connector.as_ref().ok_or(StoreErrorKind::Unsupported)?;
        let limit = self.0.settings.connect_timeout + self.0.settings.deadline;
        subscriber::listen(connector, &self.0.channels, &self.0.runtime, limit, topic, capacity).await
    }

    /// How many connections gave a reply that did not belong to its request.
    pub(in crate::store) fn desyncs(&self) -> u64 {
        match &self.0.servers {
            Servers::One(node) => node.desyncs(),
            Servers::Cluster(cluster) => cluster.desyncs(),
        }
    }

    pub(in crate::store) fn counts(&self) -> PoolCounts {
        match &self.0.servers {
            Servers::One(node) => node.counts(),
            Servers::Cluster(cluster) => cluster.counts(),
        }
    }

    pub(in crate::store) fn status(&self) -> StoreStatus {
        match &self.0.servers {
            Servers::One(node) => node.status(),
            Servers::Cluster(cluster) => cluster.status(),
        }
    }

    /// The time that a `TIME` takes, the check-out included, past the breaker; on a Cluster that of the slowest node.
    pub(in crate::store) async fn latency(&self) -> Result<Duration, StoreError> {
        match &self.0.servers {
            Servers::One(node) => node.latency().await,
            Servers::Cluster(cluster) => cluster.latency(Until::within(&self.0.settings, None)).await,
        }
    }

    /// The runtime on which connections live.
    pub(in crate::store) fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    /// The server's clock minus ours, as last seen, ms.
    pub(in crate::store) fn ahead_ms(&self) -> Option<i64> {
        match &self.0.servers {
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
        let deadline_ms = u64::try_from(self.0.settings.deadline.as_millis()).unwrap_or(u64::MAX);
        let ahead = self.ahead_ms()?;
        Some(Clock::system().now_ms().saturating_add_signed(ahead).saturating_add(deadline_ms))
    }

    pub(in crate::store) fn downgrade(&self) -> WeakRedis {
        WeakRedis(Arc::downgrade(&self.0))
    }

    /// Turns true when a server was found well for the first time. `None` where nobody wants to know.
    pub(in crate::store) fn when_up(&self) -> Option<watch::Receiver<bool>> {
        self.0.settings.checks_itself.then(|| match &self.0.servers {
            Servers::One(node) => node.0.up.subscribe(),
            Servers::Cluster(cluster) => cluster.when_up(),
        })
    }

    /// Whether replicas must confirm what must last.
    pub(in crate::store) fn has_replicas(&self) -> bool {
        self.0.settings.replicas.is_some()
    }

    /// Lets nobody in any more, and ends what goes on in the background.
    pub(in crate::store) fn close(&self) {
        match &self.0.servers {
            Servers::One(node) => node.close(),
            Servers::Cluster(cluster) => cluster.close(),
        }
    }

    /// Takes note of the server's time in a reply.
    pub(in crate::store) fn observe(&self, now_ms: u64) {
        match &self.0.servers {
            Servers::One(node) => node.0.clock.observe(now_ms),
            Servers::Cluster(cluster) => cluster.observe(now_ms, self.now_ms()),
        }
    }
}

impl WeakRedis {
    pub(in crate::store) fn upgrade(&self) -> Option<Redis> {
        self.0.upgrade().map(Redis)
    }
}

/// Says nothing of who signs in.
impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis")
            .field("settings", &self.0.settings)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
