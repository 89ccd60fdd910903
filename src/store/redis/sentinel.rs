//! Following the primary that Sentinels name.
//!
//! After a failover an old primary that still runs goes on acknowledging writes for seconds, and loses them. So each Sentinel is asked
//! several times a second who the primary is; as soon as that changes, no request is sent over a connection to the one before.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::connect::dial;
use super::link::{Conn, Link};
use super::login::Purpose;
use super::manager::Connector;
use super::monitor::jittered;
use super::resp::{self, Replies};
use super::sentinels::Sentinels;
use super::supervise::supervise;
use super::target::Address;
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::wire::{Reply, desync};

/// How often each Sentinel is asked.
const EVERY: Duration = Duration::from_millis(200);
/// How long it may take to answer.
const ANSWER: Duration = Duration::from_millis(500);
/// For how long an answer counts: one that was cut off from the others does not know of the latest failover.
const RECENT: Duration = Duration::from_secs(3);

/// What the Sentinels say.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) sentinels: Sentinels,
    reports: Mutex<Vec<Option<(Instant, Report)>>>,
    primary: watch::Sender<Option<Report>>,
    /// Counts the primaries.
    era: Arc<AtomicU64>,
}

/// One Sentinel's word on who the primary is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// Which configuration it knows: the highest is the latest.
    epoch: u64,
    host: String,
    port: u16,
}

/// Under which primary a connection was opened.
#[derive(Debug)]
pub(super) struct Era {
    now: Arc<AtomicU64>,
    then: u64,
}

impl Era {
    pub(super) fn is_over(&self) -> bool {
        self.now.load(Ordering::Acquire) != self.then
    }
}

impl Group {
    pub(super) fn new(sentinels: Sentinels) -> Arc<Self> {
        let reports = Mutex::new(vec![None; sentinels.addresses.len()]);
        Arc::new(Self { sentinels, reports, primary: watch::channel(None).0, era: Arc::default() })
    }

    /// Where the primary is, as soon as a Sentinel has said so. The caller bounds the time.
    pub(super) async fn primary(&self) -> Result<(Address, Era), StoreError> {
        let mut primary = self.primary.subscribe();
        // Before the address: a change in between makes the connection one of the past.
        let then = self.era.load(Ordering::Acquire);
        let report = primary.wait_for(Option::is_some).await.map_err(|_| StoreErrorKind::Unavailable)?;
        let Some(Report { host, port, .. }) = report.clone() else { return Err(desync()) };
        drop(report);
        let then = if then == 0 { self.era.load(Ordering::Acquire) } else { then };
        Ok((self.sentinels.address(host, port), Era { now: Arc::clone(&self.era), then }))
    }

    /// Takes a Sentinel's word. Of those that spoke lately, the one with the latest configuration counts.
    fn hear(&self, place: usize, report: Report) {
        let now = Instant::now();
        let latest = {
            let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(slot) = reports.get_mut(place) {
                *slot = Some((now, report));
            }
            let recent = reports.iter().flatten().filter(|(at, _)| now.duration_since(*at) < RECENT);
            recent.map(|(_, report)| report).max_by_key(|report| report.epoch).cloned()
        };
        self.primary.send_if_modified(|primary| {
            let is_other = |known: &Report, latest: &Report| {
                (&known.host, known.port) != (&latest.host, latest.port) && latest.epoch != known.epoch
            };
            match (&*primary, &latest) {
                (Some(known), Some(latest)) if !is_other(known, latest) => return false,
                (_, None) => return false,
                (Some(_), _) => tracing::warn!("sentinel named another primary"),
                (None, _) => {}
            }
            *primary = latest;
            self.era.fetch_add(1, Ordering::AcqRel);
            true
        });
    }
}

/// Asks each Sentinel, as long as there is somebody to connect.
pub(super) fn follow(connector: &Arc<Connector>, runtime: &Handle) {
    if let Address::Sentinel(group) = &connector.target.address {
        for place in 0..group.sentinels.addresses.len() {
            let weak = Arc::downgrade(connector);
            supervise(runtime, "sentinel", move |_| follow_one(weak.clone(), place));
        }
    }
}

async fn follow_one(connector: Weak<Connector>, place: usize) {
    let mut line = None;
    loop {
        let Some(connector) = connector.upgrade().filter(|connector| !connector.is_closed()) else { return };
        let Address::Sentinel(group) = &connector.target.address else { return };
        match timeout(ANSWER, ask(&connector, group, place, &mut line)).await {
            Ok(Ok(report)) => group.hear(place, report),
            Ok(Err(_)) | Err(_) => line = None, // the others are asked as well
        }
        drop(connector);
        sleep(jittered(EVERY)).await;
    }
}

async fn ask(
    connector: &Connector,
    group: &Group,
    place: usize,
    line: &mut Option<Link>,
) -> Result<Report, StoreError> {
    let sentinels = &group.sentinels;
    let link = match line.take() {
        Some(link) if !link.is_broken() => link,
        _ => {
            let address = sentinels.addresses.get(place).ok_or(StoreErrorKind::Unavailable)?.clone();
            let address = sentinels.address(address.0, address.1);
            let (requests, link) = dial(connector, &address, None).await?;
            connector.logins.plain(&sentinels.own_login, Purpose::Sentinel).say(&requests).await?;
            link
        }
    };
    let Conn::Own(requests) = link.conn() else { return Err(desync()) };
    let answer = requests.send(1, |out| {
        resp::begin(out, 3);
        let words = [&b"SENTINEL"[..], b"MASTER", sentinels.master.as_bytes()];
        words.iter().for_each(|word| resp::word(out, word));
    });
    let bytes = answer.await?.bytes;
    let reply = Replies::new(&bytes).next().ok_or_else(desync)??;
    let report = read(reply)?;
    *line = Some(link);
    Ok(report)
}

/// Names and values, one after the other.
fn read(reply: Reply<'_>) -> Result<Report, StoreError> {
    let mut items = reply.array()?.into_iter();
    let (mut epoch, mut host, mut port) = (None, None, None);
    while let (Some(name), Some(value)) = (items.next(), items.next()) {
        match &*name.bytes()? {
            b"config-epoch" => epoch = value.text()?.parse().ok(),
            b"ip" => host = Some(value.text()?),
            b"port" => port = value.text()?.parse().ok(),
            _ => {}
        }
    }
    let (Some(epoch), Some(host), Some(port)) = (epoch, host, port) else { return Err(desync()) };
    Ok(Report { epoch, host, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> Arc<Group> {
        Group::new(Sentinels::new("m", ["a:1", "b:1", "c:1"]).unwrap())
    }

    fn report(epoch: u64, host: &str) -> Report {
        Report { epoch, host: host.to_owned(), port: 1 }
    }

    fn named(group: &Group) -> Option<String> {
        group.primary.borrow().as_ref().map(|report| report.host.clone())
    }

    #[tokio::test(start_paused = true)]
    async fn the_latest_configuration_of_those_that_spoke_lately_counts() {
        let group = group();
        assert_eq!(named(&group), None);
        group.hear(0, report(1, "x"));
        let (_, era) = group.primary().await.unwrap();
        assert!(!era.is_over());
        group.hear(1, report(2, "y"));
        assert_eq!(named(&group).as_deref(), Some("y"));
        assert!(era.is_over(), "connections to the old one are over");
        group.hear(0, report(1, "x"));
        assert_eq!(named(&group).as_deref(), Some("y"), "who was cut off knows less");
        tokio::time::advance(RECENT).await;
        group.hear(2, report(1, "z"));
        assert_eq!(
            named(&group).as_deref(),
            Some("z"),
            "Sentinels that were set up anew begin to count again"
        );
    }

    #[test]
    fn an_answer_without_an_address_is_none() {
        let word = |text: &str| Reply::from(text);
        let full = ["name", "m", "ip", "::1", "port", "6379", "config-epoch", "7"].map(word).to_vec();
        let expected = Report { epoch: 7, host: "::1".to_owned(), port: 6379 };
        assert_eq!(read(Reply::Array(full.clone())).unwrap(), expected);
        for cut in 0..8 {
            assert!(read(Reply::Array(full[..cut].to_vec())).is_err(), "{cut}");
        }
        assert!(read(Reply::Nil).is_err());
    }
}
