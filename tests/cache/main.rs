//! The response cache from outside: through HTTP services, on the embedded store and on real Redis servers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod bodies;
mod citizen;
mod corruption;
mod costs;
#[cfg(feature = "metrics")]
mod counters;
mod eviction;
mod failures;
mod fixture;
mod fleet;
mod invalidation;
mod keys;
mod leaks;
mod model;
mod model_run;
mod patience;
mod purges;
mod races;
mod revalidation;
mod segments;
mod sessions;
mod stale;
mod stampede;
mod status;
mod time;
mod variants;
mod wakes;
