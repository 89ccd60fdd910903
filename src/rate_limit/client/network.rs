//! A range of addresses, as CIDR writes it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network (RFC 4632 §3.1, RFC 4291 §2.3): `192.0.2.0/24`, `2001:db8::/32`, or one address.
///
/// An IPv4-mapped network such as `::ffff:10.0.0.0/104` is the IPv4 network that it stands for. So `::/0` holds no IPv4
/// address; name `0.0.0.0/0` as well if you mean both.
///
/// ```
/// use tower_keep::rate_limit::Network;
///
/// let network: Network = "10.0.0.0/8".parse()?;
/// assert!(network.contains("10.1.2.3".parse()?));
/// assert!(network.contains("::ffff:10.1.2.3".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    base: IpAddr,
    prefix: u8,
}

/// Why a network cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// Neither an address nor an address with a prefix length.
    #[error("write a network as an address, a slash and a prefix length, such as 192.0.2.0/24")]
    Syntax,
    /// The prefix is longer than the address, or too short for what it is used for.
    #[error(
        "a prefix length is at most 32 for IPv4 and 128 for IPv6, and at least 1 where clients are grouped"
    )]
    PrefixLength,
    /// The address has bits beyond the prefix. They may be a typing error in either.
    #[error("a network begins with its first address: set the bits behind the prefix to zero")]
    HostBits,
}

impl Network {
    /// Checks a network.
    ///
    /// # Errors
    ///
    /// [`NetworkError::PrefixLength`] and [`NetworkError::HostBits`].
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, NetworkError> {
        if prefix > bits(address) {
            return Err(NetworkError::PrefixLength);
        }
        if masked(address, prefix) != address {
            return Err(NetworkError::HostBits);
        }
        Ok(match (address, address.to_canonical()) {
            (IpAddr::V6(_), base @ IpAddr::V4(_)) if prefix >= 96 => Self { base, prefix: prefix - 96 },
            _ => Self { base: address, prefix },
        })
    }

    /// The network of this length that holds an address. A prefix beyond the address's length is all of it.
    pub(super) fn around(address: IpAddr, prefix: u8) -> Self {
        let prefix = prefix.min(bits(address));
        Self { base: masked(address, prefix), prefix }
    }

    /// The same as `Display`: a key is made of it for each request, so the usual form is written without the formatter.
    pub(in crate::rate_limit) fn to_text(self) -> Vec<u8> {
        let (IpAddr::V4(ip), 32) = (self.base, self.prefix) else { return self.to_string().into_bytes() };
        let mut text = Vec::with_capacity("255.255.255.255".len());
        for octet in ip.octets() {
            if !text.is_empty() {
                text.push(b'.');
            }
            if octet >= 100 {
                text.push(b'0' + octet / 100);
            }
            if octet >= 10 {
                text.push(b'0' + octet / 10 % 10);
            }
            text.push(b'0' + octet % 10);
        }
        text
    }

    /// Whether an address is in the network. An IPv4-mapped IPv6 address is the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.base.is_ipv4() && masked(address, self.prefix) == self.base
    }

    /// The first address.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.base
    }

    /// The number of bits that all its addresses share.
    #[must_use]
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Syntax)?;
        let Some(prefix) = prefix else { return Self::new(address, bits(address)) };
        if prefix.is_empty() || prefix.len() > 3 || !prefix.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NetworkError::Syntax);
        }
        Self::new(address, prefix.parse().map_err(|_| NetworkError::PrefixLength)?)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == bits(self.base) {
            return self.base.fmt(f);
        }
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address with all bits behind the prefix set to zero. A shift by the whole width, for `/0`, leaves no mask.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let behind = u32::from(bits(address).saturating_sub(prefix));
    match address {
        IpAddr::V4(ip) => {
            Ipv4Addr::from_bits(ip.to_bits() & u32::MAX.checked_shl(behind).unwrap_or(0)).into()
        }
        IpAddr::V6(ip) => {
            Ipv6Addr::from_bits(ip.to_bits() & u128::MAX.checked_shl(behind).unwrap_or(0)).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_checked_and_shown() {
        for (text, shown) in [
            ("10.0.0.0/8", Ok("10.0.0.0/8")),
            ("192.0.2.1", Ok("192.0.2.1")),
            ("192.0.2.1/32", Ok("192.0.2.1")),
            ("0.0.0.0/0", Ok("0.0.0.0/0")),
            ("2001:db8::/32", Ok("2001:db8::/32")),
            ("::1", Ok("::1")),
            ("::/0", Ok("::/0")),
            ("::ffff:10.0.0.0/104", Ok("10.0.0.0/8")),
            ("::ffff:192.0.2.1", Ok("192.0.2.1")),
            ("::ffff:0:0/96", Ok("0.0.0.0/0")),
            ("10.0.0.1/8", Err(NetworkError::HostBits)),
            ("2001:db8::1/64", Err(NetworkError::HostBits)),
            ("10.0.0.0/33", Err(NetworkError::PrefixLength)),
            ("::/129", Err(NetworkError::PrefixLength)),
            ("::/999", Err(NetworkError::PrefixLength)),
            ("10.0.0.0/", Err(NetworkError::Syntax)),
            ("10.0.0.0/+8", Err(NetworkError::Syntax)),
            ("10.0.0.0/8/8", Err(NetworkError::Syntax)),
            ("10.0.0/8", Err(NetworkError::Syntax)),
            ("010.0.0.0/8", Err(NetworkError::Syntax)),
            ("", Err(NetworkError::Syntax)),
            ("localhost", Err(NetworkError::Syntax)),
        ] {
            let network = text.parse::<Network>().map(|network| network.to_string());
            assert_eq!(network, shown.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn a_network_tells_its_first_address_and_its_length_and_is_one_text() {
        for (text, address, prefix) in [
            ("203.0.113.9", "203.0.113.9", 32),
            ("100.10.99.255", "100.10.99.255", 32),
            ("198.51.100.0/24", "198.51.100.0", 24),
            ("2001:db8::7", "2001:db8::7", 128),
            ("2001:db8::/64", "2001:db8::", 64),
        ] {
            let network: Network = text.parse().unwrap();
            assert_eq!((network.address(), network.prefix()), (address.parse().unwrap(), prefix));
            assert_eq!((network.to_text(), network.to_string()), (text.as_bytes().to_vec(), text.to_owned()));
        }
    }

    #[test]
    fn families_are_apart_and_mapped_addresses_are_ipv4() {
        let holds =
            |network: &str, ip: &str| network.parse::<Network>().unwrap().contains(ip.parse().unwrap());
        assert!(holds("10.0.0.0/8", "10.255.255.255"));
        assert!(holds("10.0.0.0/8", "::ffff:10.0.0.1"));
        assert!(!holds("10.0.0.0/8", "11.0.0.0"));
        assert!(holds("0.0.0.0/0", "203.0.113.1"));
        assert!(!holds("0.0.0.0/0", "2001:db8::1"));
        assert!(!holds("::/0", "::ffff:203.0.113.1"));
        assert!(!holds("::/0", "203.0.113.1"));
        assert!(holds("fd00::/8", "fdff::1"));
        // A translator's clients are not the proxies whose addresses they are translated from.
        assert!(!holds("10.0.0.0/8", "64:ff9b::10.0.0.1"));
    }
}
