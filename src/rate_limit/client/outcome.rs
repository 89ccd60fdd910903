//! Who a request's client is, and why it may be unknown.

use super::address::ClientAddress;

/// A request's client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    address: ClientAddress,
    source: AddressSource,
}

impl Client {
    pub(super) const fn new(address: ClientAddress, source: AddressSource) -> Self {
        Self { address, source }
    }

    /// The address, which the client could not choose.
    #[must_use]
    pub const fn address(&self) -> ClientAddress {
        self.address
    }

    /// Where it comes from.
    #[must_use]
    pub const fn source(&self) -> AddressSource {
        self.source
    }
}

/// Where a client's address comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressSource {
    /// The peer of the connection.
    Peer,
    /// The peer of the connection, although the request carries a forwarding header: the peer is not trusted to send one, so the
    /// header was not read. Where this is seen often, a proxy is not named in [`TrustedProxies`](super::TrustedProxies), and
    /// everybody behind it counts as one client.
    PeerDespiteHeader,
    /// The forwarding header of a trusted proxy.
    Header,
}

/// Nobody who is trusted said who the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NoClient {
    reason: NoClientReason,
    last_verified: Option<ClientAddress>,
}

impl NoClient {
    pub(super) fn new(reason: NoClientReason, last_verified: Option<std::net::IpAddr>) -> Self {
        Self { reason, last_verified: last_verified.map(ClientAddress::new) }
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> NoClientReason {
        self.reason
    }

    /// The last proxy on the way to the client whose address is certain, if any. To count by it puts everybody behind that proxy
    /// into one bucket.
    #[must_use]
    pub const fn last_verified(&self) -> Option<ClientAddress> {
        self.last_verified
    }
}

/// Why a client is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum NoClientReason {
    /// The connection has no peer address: a Unix socket, or a server that does not pass it on.
    #[error(
        "the connection has no peer address; have the server pass it on (with axum: `by_client` and \
         `into_make_service_with_connect_info`), or name a number of proxies instead of their addresses"
    )]
    NoPeer,
    /// A trusted proxy sent no forwarding header, or an empty one.
    #[error("a trusted proxy sent no forwarding header; have it send the one that is configured")]
    HeaderMissing,
    /// A single-value header came in several lines: who wrote which?
    #[error("a forwarding header of one value came more than once; have the proxy replace what it is sent")]
    Repeated,
    /// A node is not an address.
    #[error("a node in the forwarding header is not an address; have the proxy send addresses")]
    Unparsable,
    /// A proxy hides the node: `unknown`, an obfuscated identifier (RFC 7239 §6.2, §6.3), or an element without `for`.
    #[error("a trusted proxy hides the address of its client; have it send the address")]
    Hidden,
    /// Every node is trusted, or there are fewer than proxies.
    #[error(
        "the forwarding header names trusted proxies only, or fewer nodes than there are proxies; check both"
    )]
    ChainExhausted,
    /// More trusted nodes than [`MAX_HOPS`](super::MAX_HOPS) stand one behind the other.
    #[error("the forwarding header names too many trusted proxies; check which networks are trusted")]
    TooManyHops,
    /// The part of the header that is looked at, [`MAX_HEADER_BYTES`](super::MAX_HEADER_BYTES) from its end, holds no client.
    #[error("the forwarding header is too long; have the first proxy replace what it is sent")]
    HeaderTooLong,
}
