//! How many replicas must hold what must not be lost.

use std::time::Duration;

/// How many replicas must confirm a write that ends or takes something: the end of a session, a sign-out, a changed secret, a revocation of
/// all, a lock and its fencing number, a lock broken by hand. For [`StoreBuilder::replicas`](super::StoreBuilder::replicas).
///
/// ```
/// use std::time::Duration;
/// use tower_keep::store::{Replicas, Store};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), tower_keep::store::ConfigError> {
/// let replicas = Replicas::at_least(1).within(Duration::from_millis(100));
/// let store = Store::builder().replicas(replicas).connect("redis://127.0.0.1")?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Replicas {
    pub(super) least: u32,
    pub(super) within: Option<Duration>,
    pub(super) connections: u32,
}

impl Replicas {
    /// At least so many, 1 to 100.
    pub const fn at_least(replicas: u32) -> Self {
        Self { least: replicas, within: None, connections: 4 }
    }

    /// For how long a write waits for them, at least 1 ms and shorter than the store's deadline. Default: half of that.
    pub const fn within(mut self, wait: Duration) -> Self {
        self.within = Some(wait);
        self
    }

    /// How many connections such writes have, 1 to 100; default 4. Each is held for the time of a write, they are opened when they are
    /// needed, and come on top of [`pool_size`](super::StoreBuilder::pool_size).
    pub const fn connections(mut self, connections: u32) -> Self {
        self.connections = connections;
        self
    }

    /// How long to wait, where the store's deadline is this.
    pub(super) fn wait(&self, deadline: Duration) -> Duration {
        self.within.unwrap_or(deadline / 2)
    }

    /// Which setting cannot work, beside that deadline.
    pub(super) fn refused(&self, deadline: Duration) -> Option<&'static str> {
        let wait = self.wait(deadline);
        if !(1..=100).contains(&self.least) {
            Some("replicas")
        } else if wait < Duration::from_millis(1) || wait >= deadline {
            Some("replicas within")
        } else if !(1..=100).contains(&self.connections) {
            Some("replicas connections")
        } else {
            None
        }
    }
}
