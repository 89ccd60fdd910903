//! How long a response is fresh, and how old it is (RFC 9111 §4.2).

mod age;
mod lifetime;
mod stored;
#[cfg(test)]
mod tests;

pub use stored::{Stored, StoredFlag, StoredFlags};

pub(super) use age::initial_age_ms;
pub(super) use lifetime::{Lifetime, lifetime};
