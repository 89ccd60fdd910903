//! The masters of a Redis Cluster: each has connections and a breaker of its own, and each command goes to the one that has its slot.
//!
//! ```text
//! execute: map -> one node has all ----------------------------> its replies
//!              -> cut by slot, to each node what it has, at once -> MOVED, ASK, TRYAGAIN: again -> replies in order
//! follow:  ask some nodes what they know -> the latest configuration -> map
//! ```
//!
//! Replicas are never asked: they are behind, and sessions, limits and locks must not be.

mod delivery;
mod follow;
mod map;
mod members;
mod redirect;
mod scan;
mod slot;
mod view;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use smallvec::smallvec;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout_at};

use self::delivery::{Delivery, Route, route};
use self::map::Map;
pub(super) use self::members::Members;
pub(super) use self::redirect::Redirect;
use self::slot::slot;
use super::attempt::{self, Until};
use super::backend::{Links, Used};
use super::link::Link;
use super::manager::Connector;
use super::monitor::jittered;
use super::node::{Node, Settings};
use super::send::{Answers, Outgoing, owned};
use super::supervise::supervise;
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::health::{PoolCounts, StoreStatus};
use crate::store::wire::Command;

/// The pause before a batch that was redirected is sent for the third time; each further one is longer by as much, until the deadline.
const PAUSE: Duration = Duration::from_millis(2);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// Servers' clocks that differ by more from what was seen are looked at again.
const STEP_MS: u64 = 1000;

pub(super) struct Cluster {
    members: Arc<Members>,
    /// How a node is connected to.
    connector: Connector,
    settings: Settings,
    runtime: Handle,
    /// Somebody found that the map may be wrong.
    look: Arc<Notify>,
    /// The version of the map, and when a node last confirmed it.
    adopted: Mutex<Option<(u64, Instant)>>,
    up: watch::Sender<bool>,
}

/// What goes to one node in one round trip: the numbers of the pieces.
struct Parcel {
    node: Node,
    pieces: Vec<usize>,
    asking: bool,
}

impl Cluster {
    pub(super) fn new(
        connector: &Connector,
        members: Arc<Members>,
        settings: &Settings,
        runtime: &Handle,
    ) -> Arc<Self> {
        let look = Arc::<Notify>::default();
        let cluster = Arc::new(Self {
            members,
            connector: connector.clone(),
            settings: settings.clone(),
            runtime: runtime.clone(),
            look: Arc::clone(&look),
            adopted: Mutex::default(),
            up: watch::Sender::new(false),
        });
        let weak = Arc::downgrade(&cluster);
        supervise(runtime, "cluster", move |_| follow::follow(weak.clone(), Arc::clone(&look)));
        cluster
    }

    /// Carries a batch out. When all of it fails, so does the batch; else what belongs to a node that failed has that error.
    pub(super) async fn execute(&self, commands: &[Command], until: Until) -> Result<Used, StoreError> {
        let map = self.members.map(until).await?;
        if let Some(node) = only(&map, commands) {
            let used = node.execute(Outgoing::All(commands), until).await.inspect_err(|_| self.look())?;
            let (links, is_replicated): (Links, _) = (smallvec![used.link], used.is_replicated);
            if used.answers.errors().all(|error| !is_about_slots(error.kind())) {
                return Ok(Used { answers: used.answers, links, is_replicated });
            }
            let mut delivery = Delivery::of(commands);
            let pieces = (0..commands.len()).collect();
            let parcel = Parcel { node: node.clone(), pieces, asking: false };
            self.distribute(&map, &mut delivery, &parcel, used.answers);
            return self.deliver(delivery, links, is_replicated, map, until).await;
        }
        self.deliver(Delivery::of(commands), Links::new(), true, map, until).await
    }

    /// Sends what is pending until all of it has a reply, or the deadline has passed: keys may be on their way for as long as that.
    /// `links` and `is_replicated`: of what was sent before.
    async fn deliver(
        &self,
        mut delivery: Delivery<'_>,
        mut links: Links,
        mut is_replicated: bool,
        mut map: Arc<Map>,
        until: Until,
    ) -> Result<Used, StoreError> {
        let mut failed = None;
        for round in 0.. {
            let (parcels, astray) = sort(&map, &delivery);
            if parcels.is_empty() && astray.is_empty() {
                break;
            }
            if !astray.is_empty() {
                self.look();
            }
            for number in astray {
                drop(delivery.take(number, Err(StoreErrorKind::ClusterDown.into())));
            }
            for (parcel, result) in self.carry(&delivery, parcels, until).await {
                match result {
                    Ok(used) => {
                        self.distribute(&map, &mut delivery, &parcel, used.answers);
                        links.push(used.link);
                        is_replicated &= used.is_replicated;
                    }
                    Err(error) => {
                        self.look();
                        for number in parcel.pieces {
                            drop(delivery.take(number, Err(error.clone())));
                        }
                        failed = Some(error);
                    }
                }
            }
            if delivery.pending().next().is_some() && !self.pause(round, &map, until).await {
                break;
            }
            map = self.members.map(until).await?;
        }
        delivery.give_up(&StoreErrorKind::ClusterDown.into());
        match failed {
            Some(error) if links.is_empty() => Err(error),
            _ => {
                let answers = Answers::Read(delivery.replies(map.nodes().len()));
                Ok(Used { answers, links, is_replicated })
            }
        }
    }

    /// Sends each node what is for it, all at once.
    async fn carry(
        &self,
        delivery: &Delivery<'_>,
        parcels: Vec<Parcel>,
        until: Until,
    ) -> Vec<(Parcel, Result<attempt::Used, StoreError>)> {
        join_all(parcels.into_iter().map(async |parcel| {
            let pieces = parcel.pieces.iter().filter_map(|number| delivery.pieces.get(*number));
            let commands: Vec<&Command> = pieces.map(|piece| &*piece.command).collect();
            let outgoing = match &commands[..] {
                [command] if parcel.asking => Outgoing::Asking(command),
                commands => Outgoing::Some(commands),
            };
            let result = parcel.node.execute(outgoing, until).await;
            (parcel, result)
        }))
        .await
    }

    /// Gives each piece its reply, and learns from what a node says about its slots.
    fn distribute(&self, map: &Map, delivery: &mut Delivery<'_>, parcel: &Parcel, answers: Answers) {
        answers.read(|replies| {
            for (number, reply) in parcel.pieces.iter().zip(replies) {
                if reply.as_ref().is_err_and(|error| is_about_slots(error.kind())) {
                    self.look();
                }
                if let Some(Redirect::Moved { slot, to: (host, port) }) = delivery.take(*number, owned(reply))
                {
                    let own = || parcel.node.0.place().map(|(host, _)| host).unwrap_or_default();
                    let host = if host.is_empty() { own() } else { host };
                    map.learn(slot, &(host, port)); // a node that is not known yet comes with the next look
                }
            }
        });
    }

    /// Before a batch is sent again: at first at once, then after a while or with a new map. `false`: there is no time left.
    async fn pause(&self, round: u32, map: &Arc<Map>, until: Until) -> bool {
        if round == 0 {
            return true;
        }
        let pause = sleep(jittered(PAUSE.saturating_mul(round).min(LONGEST_PAUSE)));
        let other = self.members.another_than(map);
        timeout_at(until.at, crate::race::race(pause, other)).await.is_ok()
    }

    /// The node that has a key, or any.
    pub(super) async fn node_of(&self, key: Option<&[u8]>, until: Until) -> Result<Node, StoreError> {
        let map = self.members.map(until).await?;
        let node = match key {
            Some(key) => map.owner(slot(key)),
            None => map.nodes().get(self.members.turn() % map.nodes().len().max(1)),
        };
        node.cloned().ok_or_else(|| StoreErrorKind::ClusterDown.into())
    }

    pub(super) async fn all_nodes(&self, until: Until) -> Result<Vec<Node>, StoreError> {
        Ok(self.members.map(until).await?.nodes().to_vec())
    }

    /// The map may be wrong: it is looked at soon.
    pub(super) fn look(&self) {
        self.look.notify_one();
    }

    /// Turns true with the first node that answers.
    pub(super) fn when_up(&self) -> watch::Receiver<bool> {
        self.up.subscribe()
    }

    /// Lets nobody in any more, and ends what goes on in the background.
    pub(super) fn close(&self) {
        self.connector.close();
        self.nodes().iter().for_each(Node::close);
    }

    pub(super) fn desynchronised(&self, link: &Link) {
        if link.mark_out_of_step() {
            self.connector.desyncs.found();
        }
        link.mark_broken();
    }

    pub(super) fn desyncs(&self) -> u64 {
        self.connector.desyncs.count()
    }

    fn nodes(&self) -> Vec<Node> {
        self.members.known().map(|map| map.nodes().to_vec()).unwrap_or_default()
    }

    pub(super) fn counts(&self) -> PoolCounts {
        self.nodes().iter().map(Node::counts).fold(PoolCounts::default(), |sum, counts| PoolCounts {
            connections: sum.connections + counts.connections,
            idle: sum.idle + counts.idle,
            waiting: sum.waiting + counts.waiting,
        })
    }

    pub(super) fn status(&self) -> StoreStatus {
        let mut statuses = self.nodes().into_iter().map(|node| node.status());
        let Some(first) = statuses.next() else { return StoreStatus::Down };
        if statuses.all(|status| status == first) { first } else { StoreStatus::Partial }
    }

    pub(super) async fn latency(&self, until: Until) -> Result<Duration, StoreError> {
        self.members.map(until).await?;
        let latencies = join_all(self.nodes().iter().map(Node::latency)).await;
        latencies
            .into_iter()
            .try_fold(Duration::ZERO, |most, latency| latency.map(|latency| most.max(latency)))
    }

    /// That of the clock that is ahead of the others: what it calls late is late for all.
    pub(super) fn ahead_ms(&self) -> Option<i64> {
        self.members.known()?.nodes().iter().filter_map(|node| node.0.clock.ahead_ms()).max()
    }

    /// A reply told some server's time, `now_ms`, where `known_ms` was expected.
    pub(super) fn observe(&self, now_ms: u64, known_ms: u64) {
        if now_ms.abs_diff(known_ms) > STEP_MS {
            self.look();
        }
    }
}

/// Whether a node says that it cannot serve a slot, now or any longer.
const fn is_about_slots(kind: StoreErrorKind) -> bool {
    matches!(kind, StoreErrorKind::Moved | StoreErrorKind::ClusterDown)
}

/// The node that has all that a batch is about, if there is one.
fn only<'m>(map: &'m Map, commands: &[Command]) -> Option<&'m Node> {
    let owner = |command| match route(command)? {
        Route::Slot(slot) => map.owner(slot),
        Route::Number(_) | Route::Ahead(_) => None,
    };
    let mut owners = commands.iter().map(owner);
    let first = owners.next()??;
    owners.all(|owner| owner.is_some_and(|owner| owner.is(first))).then_some(first)
}

/// What is pending, by the node to which it must go, and what has nowhere to go.
fn sort(map: &Map, delivery: &Delivery<'_>) -> (Vec<Parcel>, Vec<usize>) {
    let (mut parcels, mut astray) = (Vec::<Parcel>::new(), Vec::new());
    for (number, piece) in delivery.pending() {
        let (node, asking) = match &piece.route {
            Route::Slot(slot) => (map.owner(*slot), false),
            Route::Number(number) => (map.nodes().get(*number), false),
            Route::Ahead(place) => match map.at(place) {
                Some(node) => (Some(node), true),
                // Not known yet: the one that has the slot will say so again.
                None => (map.owner(piece.slot()), false),
            },
        };
        let Some(node) = node else {
            astray.push(number);
            continue;
        };
        let fits = |parcel: &&mut Parcel| !parcel.asking && !asking && parcel.node.is(node);
        match parcels.iter_mut().find(fits) {
            Some(parcel) => parcel.pieces.push(number),
            None => parcels.push(Parcel { node: node.clone(), pieces: vec![number], asking }),
        }
    }
    (parcels, astray)
}

/// For fuzzing: how many masters a text tells of, and between which slots theirs lie.
#[cfg(feature = "test-util")]
pub(in crate::store) fn read_cluster_nodes(text: &str) -> Option<(usize, Vec<u16>)> {
    drop(Redirect::read(text));
    let view = view::View::read(text, "host", view::Names::Hosts).ok()?;
    let slots = view.masters.iter().flat_map(|master| &master.slots);
    let ends = slots.flat_map(|slots| [*slots.start(), *slots.end()]).collect();
    Some((view.masters.len(), ends))
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("members", &self.members).finish_non_exhaustive()
    }
}
