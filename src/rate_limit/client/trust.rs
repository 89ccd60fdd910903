//! Which proxies are believed, and what they say about the client.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderName;
use http::header::FORWARDED;

use super::address::ClientAddress;
use super::chain::{Chain, Syntax};
use super::network::{Network, NetworkError};
use super::outcome::{AddressSource, Client, NoClient, NoClientReason};
use super::{forwarded, node};
use crate::view::RequestView;

/// How many nodes of a forwarding header are looked at, from the right: 32.
pub const MAX_HOPS: usize = 32;
/// How many networks of proxies may be named: 1,024.
pub const MAX_NETWORKS: usize = 1024;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The header in which proxies say who their client is. Exactly one is read: with several, whoever can set the one that a proxy does not
/// replace chooses an address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyHeader {
    /// `X-Forwarded-For`: a list to which each proxy adds its peer at the right end.
    XForwardedFor,
    /// `Forwarded` (RFC 7239), the same with a grammar.
    Forwarded,
    /// A header with one address, which the proxy replaces: `CF-Connecting-IP`, `True-Client-IP`, `Fly-Client-IP`, `X-Real-IP`. The
    /// address may have a port; IPv6 with a port needs brackets.
    Single(HeaderName),
}

impl ProxyHeader {
    fn name(&self) -> &HeaderName {
        match self {
            Self::XForwardedFor => &X_FORWARDED_FOR,
            Self::Forwarded => &FORWARDED,
            Self::Single(name) => name,
        }
    }
}

/// Which proxies are trusted to say who the client is. Default: none; the client is the peer of the connection.
///
/// # What it promises
///
/// Whoever is not trusted cannot change the result by any header. Lists are read from the right, where trusted proxies add, up to the
/// first node that is not one of them: that is the client. What stands left of it is never looked at.
///
/// # What it does not do
///
/// It guesses nothing: where a trusted proxy does not say who its client is, the result is a [`NoClient`] with the reason, and not the
/// proxy's address, which would count everybody behind it as one.
///
/// ```
/// use http::Request;
/// use tower_keep::rate_limit::{ProxyHeader, TrustedProxies};
///
/// let proxies = TrustedProxies::networks(ProxyHeader::XForwardedFor, ["10.0.0.0/8", "fd00::/8"])?;
/// let request = Request::builder().header("x-forwarded-for", "1.2.3.4, 203.0.113.7, 10.0.0.2").body(())?;
/// let peer = Some("10.0.0.1".parse()?);
/// assert_eq!(proxies.client(&request, peer)?.address().to_string(), "203.0.113.7");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct TrustedProxies(Trust);

#[derive(Clone, Debug, Default)]
enum Trust {
    #[default]
    Nobody,
    Networks(ProxyHeader, Arc<[Network]>),
    Hops(ProxyHeader, usize),
}

/// Why proxies cannot be trusted as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// A network is not one.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// No network, or more than [`MAX_NETWORKS`].
    #[error("name 1 to 1024 networks of proxies; where there is no proxy, use TrustedProxies::none()")]
    Networks,
    /// A number of proxies outside of 1 to [`MAX_HOPS`].
    #[error("name 1 to 32 proxies; where there is no proxy, use TrustedProxies::none()")]
    Hops,
}

impl TrustedProxies {
    /// Trusts no proxy. No header is read: the client is the peer.
    pub fn none() -> Self {
        Self::default()
    }

    /// Trusts the proxies in these networks. Behind a Unix socket, where there is no peer address, use [`hops`](Self::hops).
    ///
    /// # Errors
    ///
    /// [`ProxyError::Network`] for a text that is not a network, [`ProxyError::Networks`] for none or too many.
    pub fn networks<N: AsRef<str>>(
        header: ProxyHeader,
        networks: impl IntoIterator<Item = N>,
    ) -> Result<Self, ProxyError> {
        let read = |text: N| text.as_ref().parse::<Network>();
        let networks =
            networks.into_iter().take(MAX_NETWORKS + 1).map(read).collect::<Result<Arc<[_]>, _>>()?;
        if networks.is_empty() || networks.len() > MAX_NETWORKS {
            return Err(ProxyError::Networks);
        }
        Ok(Self(Trust::Networks(header, networks)))
    }

    /// Trusts every connection to come through this number of proxies, each of which adds one node: the client is the node that the
    /// first of them added. A [`ProxyHeader::Single`] is taken as it is. The peer address is not looked at.
    ///
    /// Only right where nobody can reach this server past the proxies: who can chooses an address.
    ///
    /// # Errors
    ///
    /// [`ProxyError::Hops`] unless `proxies` is 1 to [`MAX_HOPS`].
    pub fn hops(header: ProxyHeader, proxies: usize) -> Result<Self, ProxyError> {
        if !(1..=MAX_HOPS).contains(&proxies) {
            return Err(ProxyError::Hops);
        }
        Ok(Self(Trust::Hops(header, proxies)))
    }

    /// Who the client of a request is. `peer` is the address at the other end of the connection.
    ///
    /// # Errors
    ///
    /// [`NoClient`] with the reason, when nobody who is trusted says so.
    pub fn client(&self, request: &impl RequestView, peer: Option<IpAddr>) -> Result<Client, NoClient> {
        let (header, trusted) = match &self.0 {
            Trust::Nobody => return from_peer(request, &[&X_FORWARDED_FOR, &FORWARDED, &X_REAL_IP], peer),
            Trust::Networks(header, networks) => {
                if !peer.is_some_and(|peer| holds(networks, peer)) {
                    return from_peer(request, &[header.name()], peer);
                }
                (header, Trusted::In(networks))
            }
            Trust::Hops(header, proxies) => (header, Trusted::Count(*proxies)),
        };
        let chain = Chain::read(request, header.name().as_str());
        let found = match header {
            ProxyHeader::Single(_) => single(&chain).map_err(|reason| (reason, None)),
            ProxyHeader::XForwardedFor => trusted.walk(&chain, Syntax::Plain),
            ProxyHeader::Forwarded => trusted.walk(&chain, Syntax::Quoted),
        };
        found
            .map(|ip| Client::new(ClientAddress::new(ip), AddressSource::Header))
            .map_err(|(reason, verified)| NoClient::new(reason, verified.or(peer)))
    }
}

fn holds(networks: &[Network], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(address))
}

fn from_peer(
    request: &dyn RequestView,
    names: &[&HeaderName],
    peer: Option<IpAddr>,
) -> Result<Client, NoClient> {
    let peer = peer.ok_or_else(|| NoClient::new(NoClientReason::NoPeer, None))?;
    let forwarded = names.iter().any(|name| request.has_header(name));
    let source = if forwarded { AddressSource::PeerDespiteHeader } else { AddressSource::Peer };
    Ok(Client::new(ClientAddress::new(peer), source))
}

fn single(chain: &Chain) -> Result<IpAddr, NoClientReason> {
    match (chain.lines(), chain.value()) {
        (0, _) | (1, []) => Err(NoClientReason::HeaderMissing),
        (1, value) => node::address(value),
        _ => Err(NoClientReason::Repeated),
    }
}

/// Why there is no client, and the last node that a trusted proxy vouched for.
type Lost = (NoClientReason, Option<IpAddr>);

enum Trusted<'a> {
    In(&'a [Network]),
    Count(usize),
}

impl Trusted<'_> {
    fn walk(&self, chain: &Chain, syntax: Syntax) -> Result<IpAddr, Lost> {
        let mut verified = None;
        let mut seen = 0;
        for element in chain.elements(syntax) {
            seen += 1;
            if matches!(self, Self::Count(proxies) if seen < *proxies) {
                continue;
            }
            let address = read(element, syntax).map_err(|reason| (reason, verified))?;
            match self {
                Self::In(networks) if holds(networks, address) => verified = Some(address),
                _ => return Ok(address),
            }
            if seen >= MAX_HOPS {
                return Err((NoClientReason::TooManyHops, verified));
            }
        }
        Err((chain.end(seen), verified))
    }
}

fn read(element: &[u8], syntax: Syntax) -> Result<IpAddr, NoClientReason> {
    match syntax {
        Syntax::Plain => node::address(element),
        Syntax::Quoted => node::address(&forwarded::node(element)?),
    }
}
