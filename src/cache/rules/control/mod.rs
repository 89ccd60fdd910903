//! `Cache-Control` (RFC 9111 §5.2) as it really comes: any case, quotes, duplicates, nonsense.
//!
//! Where a directive can be read in two ways, the one that stores and serves less counts.

mod directive;
mod request;
mod response;
mod seconds;
#[cfg(test)]
mod tests;

pub use request::{RequestDirectives, RequestFlag};
pub use response::{ResponseDirectives, ResponseFlag};

pub(super) use response::Known;
pub(super) use seconds::{Number, number};
