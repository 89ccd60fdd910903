//! A client's address in one form, and the network by which it is counted.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use super::network::{Network, NetworkError};

/// A client's address in one form, whichever way it came: an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2) and one behind the
/// well-known NAT64 prefix `64:ff9b::/96` (RFC 6052 §2.1) are the IPv4 address that they stand for. Prefixes of an
/// operator's own NAT64 are not known and stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    /// Brings an address into its one form.
    #[must_use]
    pub const fn new(address: IpAddr) -> Self {
        let address = address.to_canonical();
        if let IpAddr::V6(ip) = address
            && let [0x64, 0xff9b, 0, 0, 0, 0, _, _] = ip.segments()
        {
            let [.., a, b, c, d] = ip.octets();
            return Self(IpAddr::V4(Ipv4Addr::new(a, b, c, d)));
        }
        Self(address)
    }

    /// The address.
    #[must_use]
    pub const fn ip(self) -> IpAddr {
        self.0
    }

    /// The network by which this client is counted.
    #[must_use]
    pub fn network(self, grouping: Grouping) -> Network {
        Network::around(self.0, if self.0.is_ipv4() { grouping.v4 } else { grouping.v6 })
    }
}

impl From<IpAddr> for ClientAddress {
    fn from(address: IpAddr) -> Self {
        Self::new(address)
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many addresses count as one client. Default: each IPv4 address by itself, and IPv6 by `/64`, since one
/// subscriber has at least that (RFC 6177 §2) and would otherwise have 2^64 keys to use up.
///
/// ```
/// use tower_keep::rate_limit::{ClientAddress, Grouping};
///
/// let client = ClientAddress::new("2001:db8:0:1:2:3:4:5".parse()?);
/// assert_eq!(client.network(Grouping::default()).to_string(), "2001:db8:0:1::/64");
/// assert_eq!(client.network(Grouping::new(32, 56)?).to_string(), "2001:db8::/56");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grouping {
    v4: u8,
    v6: u8,
}

impl Default for Grouping {
    /// `/32` and `/64`.
    fn default() -> Self {
        Self { v4: 32, v6: 64 }
    }
}

impl Grouping {
    /// Prefix lengths, 1 to 32 for IPv4 and 1 to 128 for IPv6.
    ///
    /// # Errors
    ///
    /// [`NetworkError::PrefixLength`]. Zero is refused, for it would put everybody into one bucket.
    pub fn new(v4: u8, v6: u8) -> Result<Self, NetworkError> {
        if (1..=32).contains(&v4) && (1..=128).contains(&v6) {
            return Ok(Self { v4, v6 });
        }
        Err(NetworkError::PrefixLength)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_form_and_one_network() {
        for (text, folded, network) in [
            ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"),
            ("::ffff:c000:201", "192.0.2.1", "192.0.2.1"),
            ("0:0:0:0:0:FFFF:192.0.2.1", "192.0.2.1", "192.0.2.1"),
            ("64:ff9b::192.0.2.1", "192.0.2.1", "192.0.2.1"),
            ("64:ff9b::c000:201", "192.0.2.1", "192.0.2.1"),
            ("64:ff9b:1::c000:201", "64:ff9b:1::c000:201", "64:ff9b:1::/64"),
            ("64:ff9b::1:c000:201", "64:ff9b::1:c000:201", "64:ff9b::/64"),
            // Neither the loopback nor an IPv4-compatible address is an IPv4 address.
            ("::1", "::1", "::/64"),
            ("::192.0.2.1", "::c000:201", "::/64"),
            ("2001:db8::1.2.3.4", "2001:db8::102:304", "2001:db8::/64"),
            ("2001:db8:a:b:c:d:e:f", "2001:db8:a:b:c:d:e:f", "2001:db8:a:b::/64"),
            ("fe80::1", "fe80::1", "fe80::/64"),
        ] {
            let client = ClientAddress::new(text.parse().unwrap());
            assert_eq!(client.to_string(), folded, "{text}");
            assert_eq!(client.network(Grouping::default()).to_string(), network, "{text}");
        }
    }

    #[test]
    fn groups_are_as_wide_as_they_are_told_and_never_everybody() {
        let network = |ip: &str, v4, v6| {
            ClientAddress::new(ip.parse().unwrap()).network(Grouping::new(v4, v6).unwrap()).to_string()
        };
        assert_eq!(network("192.0.2.77", 24, 64), "192.0.2.0/24");
        assert_eq!(network("::ffff:192.0.2.77", 24, 64), "192.0.2.0/24");
        assert_eq!(network("2001:db8:1:2ff::1", 32, 56), "2001:db8:1:200::/56");
        assert_eq!(network("2001:db8::1", 32, 128), "2001:db8::1");
        for (v4, v6) in [(0, 64), (32, 0), (33, 64), (32, 129)] {
            assert_eq!(Grouping::new(v4, v6), Err(NetworkError::PrefixLength));
        }
    }
}
