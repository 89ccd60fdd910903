//! Which queries are the same for a cache.

mod no_vary_search;
mod pairs;
mod policy;
#[cfg(test)]
mod tests;

pub use no_vary_search::NoVarySearch;
pub use policy::{QueryKey, QueryOrder, QueryParams};
