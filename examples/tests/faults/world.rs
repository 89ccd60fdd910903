//! A Redis and both sites on it.

use std::time::Duration;

use keep_testing::{Fault, Proxy, RedisServer};
use tower_keep::store::StoreBuilder;

use crate::row::has_default_deadlines;
use crate::site::{PATIENT, Site};

/// Beyond any deadline here: what takes longer hangs.
pub const HANGS: Duration = Duration::from_secs(5);

pub struct World {
    pub server: RedisServer,
    /// Of axum, and of actix-web; none where the sites connect directly.
    pub proxies: Vec<Proxy>,
    pub sites: [Site; 2],
}

/// The defaults for the table. Else a deadline that other tests on the same machine do not reach.
pub fn usual(builder: StoreBuilder) -> StoreBuilder {
    if has_default_deadlines() { builder } else { builder.deadline(PATIENT) }
}

impl World {
    /// Sites that connect directly.
    pub async fn direct() -> Self {
        Self::on(RedisServer::start(), usual).await
    }

    /// The same on a server with settings of its own, by stores with settings of their own.
    pub async fn on(server: RedisServer, tune: impl Fn(StoreBuilder) -> StoreBuilder) -> Self {
        let sites = Site::both([server.url(), server.url()], tune).await;
        Self { server, proxies: Vec::new(), sites }
    }

    /// Sites that connect each by a proxy of its own.
    pub async fn proxied(tune: impl Fn(StoreBuilder) -> StoreBuilder) -> Self {
        let server = RedisServer::start();
        let proxies = vec![Proxy::start(server.port()).await, Proxy::start(server.port()).await];
        let sites = Site::both([proxies[0].url(), proxies[1].url()], tune).await;
        Self { server, proxies, sites }
    }

    /// Does it to the connections of both.
    pub fn set(&self, fault: Fault) {
        self.proxies.iter().for_each(|proxy| proxy.set(fault));
    }

    /// Connections that both opened so far.
    pub fn accepted(&self) -> u64 {
        self.proxies.iter().map(Proxy::accepted).sum()
    }

    /// Each site and its proxy.
    pub fn pairs(&self) -> impl Iterator<Item = (&Site, &Proxy)> {
        self.sites.iter().zip(&self.proxies)
    }
}
