//! Rate limits: who a client is, by what it is counted, and what it is told. Pure rules, which decide nothing about quotas.
//!
//! # What a limit counts by
//!
//! [`TrustedProxies`] finds the client's address where the client cannot choose it; [`LimitKey`] makes one key out of several parts.
//!
//! ```
//! use http::Request;
//! use tower_keep::rate_limit::{KeyPart, LimitKey, ProxyHeader, TrustedProxies};
//!
//! let proxies = TrustedProxies::networks(ProxyHeader::XForwardedFor, ["10.0.0.0/8"])?;
//! let request = Request::post("/login").header("x-forwarded-for", "203.0.113.7").body(())?;
//! let client = proxies.client(&request, Some("10.0.0.1".parse()?))?;
//! let key = LimitKey::from((client.address(), KeyPart::path("/login")));
//! assert_eq!(key.as_str(), "ip=203.0.113.7,path=%2Flogin");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a client is told
//!
//! [`ResponseFields`] writes a [`LimitReport`] as `RateLimit` fields and `Retry-After`; [`RefusalForm`] is the answer to a request that
//! is over a limit, for HTTP and gRPC clients.

mod client;
mod fields;
mod key;
mod refusal;

pub use client::{
    AddressSource, Client, ClientAddress, Grouping, MAX_HEADER_BYTES, MAX_HOPS, MAX_NETWORKS, Network,
    NetworkError, NoClient, NoClientReason, ProxyError, ProxyHeader, TrustedProxies,
};
pub use fields::{
    FieldsDraft, LegacyFields, LimitReport, MAX_POLICIES_SENT, PartitionKey, PolicyName, PolicyReport,
    PolicyState, QuotaUnit, ReportError, ResponseFields,
};
pub use key::{KeyPart, LimitKey};
pub use refusal::{RefusalForm, RefusalReason};
