//! Keeping the map up to date: nodes are asked what they know, and whoever knows the latest configuration counts.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::Cluster;
use super::map::Map;
use super::view::View;
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::health::StoreStatus;
use crate::store::redis::connect::dial;
use crate::store::redis::link::Link;
use crate::store::redis::login::Purpose;
use crate::store::redis::monitor::jittered;
use crate::store::redis::node::Node;
use crate::store::redis::send::ask;
use crate::store::redis::target::Address;
use crate::store::wire::{Class, Reply, desync};

/// How often nodes are asked while all is well.
const CALM: Duration = Duration::from_secs(10);
/// How often while something is not.
const TROUBLE: Duration = Duration::from_millis(100);
/// Those who find within this time that the map is wrong are served by one look.
const GATHER: Duration = Duration::from_millis(50);
/// How long a node may take to answer.
const ANSWER: Duration = Duration::from_millis(500);
/// How many nodes are asked at a time.
const ASKED: usize = 3;
/// For how long a view counts that nobody confirms: one who was cut off from the others does not know of the latest failover.
const RECENT: Duration = Duration::from_secs(3);

/// As long as there is somebody who uses the Cluster.
pub(super) async fn follow(cluster: Weak<Cluster>, look: Arc<Notify>) {
    loop {
        let Some(cluster) = cluster.upgrade().filter(|cluster| !cluster.connector.is_closed()) else {
            return;
        };
        let pause = if cluster.look_around().await { CALM } else { TROUBLE };
        drop(cluster);
        // However it ends, it is time to look.
        let _ = timeout(jittered(pause), look.notified()).await;
        sleep(jittered(GATHER)).await;
    }
}

impl Cluster {
    /// Asks some nodes. Whether all is well.
    async fn look_around(&self) -> bool {
        let known = self.members.known();
        let nodes = known.as_ref().map(|map| map.nodes()).unwrap_or_default();
        // The others are probed already.
        let nodes: Vec<_> = nodes.iter().filter(|node| node.status() != StoreStatus::Down).collect();
        let first = self.members.turn() % nodes.len().max(1);
        let some = nodes.iter().cycle().skip(first).take(ASKED.min(nodes.len()));
        let asked = join_all(some.map(async |node| self.take_in(ask_node(node, self).await))).await;
        // By the nodes' clocks a late request is known. What fails here is the probe's business.
        join_all(nodes.iter().map(async |node| drop(node.0.ask_time(Instant::now() + ANSWER).await))).await;
        if asked.iter().all(Result::is_err) {
            let seeds = self.members.seeds().iter();
            let asked = join_all(seeds.map(async |seed| self.take_in(self.ask_seed(seed).await))).await;
            if let Some(Err(error)) =
                asked.into_iter().find(Result::is_err).filter(|_| self.members.known().is_none())
                && self.members.fall_silent(error.clone())
            {
                let error = tracing::field::display(error);
                tracing::warn!(
                    error,
                    "redis is unavailable: no node of the cluster answers; requests follow their failure policy until one does"
                );
            }
        }
        self.is_well()
    }

    fn is_well(&self) -> bool {
        self.members.known().is_some_and(|map| {
            map.is_whole() && map.nodes().iter().all(|node| node.status() == StoreStatus::Up)
        })
    }

    /// Takes over what a node says, if it knows the latest configuration, or nobody does who spoke lately.
    fn take_in(&self, view: Result<View, StoreError>) -> Result<(), StoreError> {
        let view = view?;
        let mut adopted = self.adopted.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match *adopted {
            Some((version, at)) if view.version < version && now.duration_since(at) < RECENT => return Ok(()),
            _ => *adopted = Some((view.version, now)),
        }
        let before = self.members.known();
        if before.as_ref().is_none_or(|before| before.view != view) {
            let open = |place: &_| {
                let connector = self.connector.to(self.members.address(place));
                Node::new(connector, self.settings.clone(), self.runtime.clone())
            };
            let map = Map::new(view, before.as_deref(), open);
            map.aim_probes(&self.settings.prefix);
            if self.members.become_known(Arc::new(map)) {
                tracing::warn!("redis answers again");
            }
            self.up.send_replace(true);
        }
        Ok(())
    }

    async fn ask_seed(&self, seed: &Address) -> Result<View, StoreError> {
        let host = seed.place().map(|(host, _)| host).unwrap_or_default();
        let asked = async {
            let login = &self.connector.target.login;
            let (requests, link) = dial(&self.connector, seed, None).await?;
            self.connector.logins.greeting(login, Purpose::Probe).await?.say(&requests).await?;
            self.ask_link(&link, &host).await
        };
        timeout(self.settings.connect_timeout, asked).await?
    }

    async fn ask_link(&self, link: &Link, host: &str) -> Result<View, StoreError> {
        let answers = ask(link, &["CLUSTER", "NODES"]).await?;
        let text = answers.read(|replies| replies.next().ok_or_else(desync)?.and_then(Reply::text))?;
        View::read(&text, host, self.members.names())
    }
}

async fn ask_node(node: &Node, cluster: &Cluster) -> Result<View, StoreError> {
    let until = Instant::now() + ANSWER;
    let host = node.0.place().map(|(host, _)| host).unwrap_or_default();
    let link = node.0.link(Class::Read, until).await?;
    let asked = timeout_at(until, cluster.ask_link(&link, &host)).await;
    let view = asked.unwrap_or(Err(StoreErrorKind::Timeout.into()));
    view.inspect_err(|error| node.0.judge(&link, error.kind()))
}
