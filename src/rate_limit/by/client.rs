//! Counting by the client's address.

use std::net::IpAddr;

use super::By;
use super::find::NoKey;
use crate::rate_limit::warnings::Warnings;
use crate::rate_limit::{AddressSource, ClientAddress, Grouping, TrustedProxies};
use crate::view::RequestView;

/// Where a server keeps the peer's address.
pub(super) type Peer = fn(&dyn RequestView) -> Option<IpAddr>;

/// Counts by the client's address: the peer's, or what trusted proxies say. IPv6 by `/64` unless [`grouping`](Self::grouping) says
/// otherwise.
///
/// The peer's address is [`RequestView::peer`] unless [`peer`](Self::peer) says otherwise: where nobody put it there, every request is one
/// [without a key](super::super::WithoutKey).
#[derive(Clone, Debug)]
#[must_use]
pub struct ByClient {
    proxies: TrustedProxies,
    grouping: Grouping,
    peer: Peer,
}

impl ByClient {
    pub(super) fn new(proxies: TrustedProxies) -> Self {
        Self { proxies, grouping: Grouping::default(), peer: |request| request.peer() }
    }

    /// How many addresses count as one client.
    pub const fn grouping(mut self, grouping: Grouping) -> Self {
        self.grouping = grouping;
        self
    }

    /// Where the peer's address is found, for frameworks that keep it somewhere of their own.
    pub const fn peer(mut self, peer: fn(&dyn RequestView) -> Option<IpAddr>) -> Self {
        self.peer = peer;
        self
    }

    /// Another rule where the client is unknown. See [`By::or`].
    pub fn or(self, other: impl Into<By>) -> By {
        By::from(self).or(other)
    }

    /// The client, and a warning where the setting looks wrong.
    pub(in crate::rate_limit) fn find(
        &self,
        request: &dyn RequestView,
        warnings: &Warnings,
    ) -> Result<ClientAddress, NoKey> {
        let peer = (self.peer)(request);
        match self.proxies.client(&request, peer) {
            Ok(client) => {
                if client.source() == AddressSource::PeerDespiteHeader {
                    warnings.untrusted_header(client.address());
                }
                Ok(client.address())
            }
            Err(unknown) => {
                warnings.no_client(unknown.reason());
                Err(NoKey::Client(unknown.reason()))
            }
        }
    }

    pub(super) const fn grouped_by(&self) -> Grouping {
        self.grouping
    }
}
