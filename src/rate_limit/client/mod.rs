//! Who the client of a request is: its address, brought into one form, from a source that the client cannot choose.

mod address;
mod chain;
mod forwarded;
mod network;
mod node;
mod outcome;
#[cfg(test)]
mod tests;
mod trust;

pub use address::{ClientAddress, Grouping};
pub use chain::MAX_HEADER_BYTES;
pub use network::{Network, NetworkError};
pub use outcome::{AddressSource, Client, NoClient, NoClientReason};
pub use trust::{MAX_HOPS, MAX_NETWORKS, ProxyError, ProxyHeader, TrustedProxies};
