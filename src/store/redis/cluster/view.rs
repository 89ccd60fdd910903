//! What a node says about its Cluster: the text of `CLUSTER NODES`.

use std::ops::RangeInclusive;

use super::slot::SLOTS;
use crate::store::error::StoreError;
use crate::store::wire::desync;

/// The most nodes that a Cluster is recommended to have (Redis Cluster specification).
const MOST: usize = 1000;

/// Where a node is.
pub(super) type Place = (String, u16);

/// What one node knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    /// The latest configuration among those that it knows. Each failover and each slot that has moved makes one.
    pub(super) version: u64,
    /// In the order of their slots; those without any come last.
    pub(super) masters: Vec<Master>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Master {
    pub(super) place: Place,
    pub(super) slots: Vec<RangeInclusive<u16>>,
}

/// Which name of a node to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    Addresses,
    /// What it announces as its host name, where it does: certificates are made out to names.
    Hosts,
}

impl View {
    /// Reads what a node said that was reached at `host`.
    pub(super) fn read(text: &str, host: &str, names: Names) -> Result<Self, StoreError> {
        let (mut version, mut masters) = (0, Vec::new());
        for line in text.lines().filter(|line| !line.is_empty()) {
            let words: Vec<_> = line.split(' ').collect();
            let [_, place, flags, _, _, _, epoch, _, slots @ ..] = &words[..] else { return Err(desync()) };
            let flag = |name| flags.split(',').any(|flag| flag == name);
            if !flag("master") || flag("noaddr") || flag("handshake") {
                continue;
            }
            version = version.max(epoch.parse().map_err(|_| desync())?);
            let place = read_place(place, host, names).ok_or_else(desync)?;
            // In brackets stand slots that are on their way.
            let owned = slots.iter().filter(|slots| !slots.starts_with('['));
            let slots = owned.map(|slots| read_range(slots)).collect::<Option<_>>().ok_or_else(desync)?;
            // One that is gone, and whose slots others have, does not come back as it was.
            if !flag("fail") || !Vec::is_empty(&slots) {
                masters.push(Master { place, slots });
            }
        }
        if masters.is_empty() || masters.len() > MOST {
            return Err(desync());
        }
        let first = |master: &Master| master.slots.first().map_or(u16::MAX, |slots| *slots.start());
        masters.sort_by_cached_key(|master| (first(master), master.place.clone()));
        Ok(Self { version, masters })
    }
}

/// `ip:port@bus-port,name`. A node that nobody ever called by its address does not know it.
fn read_place(text: &str, host: &str, names: Names) -> Option<Place> {
    let mut words = text.split(',');
    let address = words.next()?.split('@').next()?;
    let name = words.next().filter(|name| !name.is_empty() && !name.contains('='));
    let (ip, port) = address.rsplit_once(':')?;
    let known = if ip.is_empty() { host } else { ip };
    let name = name.filter(|_| names == Names::Hosts).unwrap_or(known);
    Some((name.to_owned(), port.parse().ok()?))
}

fn read_range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && usize::from(last) < SLOTS).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
        07c3 127.0.0.1:30004@31004,hostname4 slave e7d1 0 1426238317239 4 connected\n\
        67ed 127.0.0.1:30002@31002,hostname2 master - 0 1426238316232 2 connected 5461-10922\n\
        292f :30003@31003 master,fail - 0 1426238318243 7 connected 10923-16383\n\
        1f2e 127.0.0.1:30006@31006 master,fail - 0 1426238318243 6 disconnected\n\
        824f 127.0.0.1:30005@31005,,shard-id=1 master - 0 1426238318243 5 connected\n\
        6ec2 [::1]:1@2 master,handshake - 0 0 0 connected\n\
        e7d1 ::1:30001@31001,hostname1 myself,master - 0 0 1 connected 0-5459 5460 [93-<-292f] [77->-e7d1]\n";

    fn places(view: &View) -> Vec<(&str, u16)> {
        view.masters.iter().map(|master| (&*master.place.0, master.place.1)).collect()
    }

    #[test]
    fn masters_are_read_in_the_order_of_their_slots() {
        let view = View::read(TEXT, "seed", Names::Addresses).unwrap();
        assert_eq!(view.version, 7);
        let expected = [("::1", 30001), ("127.0.0.1", 30002), ("seed", 30003), ("127.0.0.1", 30005)];
        assert_eq!(places(&view), expected);
        assert_eq!(view.masters[0].slots, [0..=5459, 5460..=5460]);
        assert_eq!(view.masters[3].slots, []);
        let view = View::read(TEXT, "seed", Names::Hosts).unwrap();
        let expected = [("hostname1", 30001), ("hostname2", 30002), ("seed", 30003), ("127.0.0.1", 30005)];
        assert_eq!(places(&view), expected);
    }

    #[test]
    fn what_is_no_such_text_is_refused() {
        for text in [
            "",
            "\n",
            "OK",
            "a 127.0.0.1:1@2 slave - 0 0 1 connected",
            "a 127.0.0.1:1@2 master - 0 0 x connected",
            "a 127.0.0.1 master - 0 0 1 connected",
            "a 127.0.0.1:70000@2 master - 0 0 1 connected",
            "a 127.0.0.1:1@2 master - 0 0 1 connected 16384",
            "a 127.0.0.1:1@2 master - 0 0 1 connected 5-4",
            "a 127.0.0.1:1@2 master - 0 0 1",
        ] {
            assert!(View::read(text, "seed", Names::Addresses).is_err(), "{text}");
        }
    }
}
