//! A Cluster: each command goes to the node that has its slot, wherever that is at the moment.

mod failover;
mod resharding;
mod routing;

use std::time::Duration;

use keep_testing::RedisCluster;
use tower_keep::store::{Store, StoreBuilder};

use crate::fixture::*;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| n.to_string()).collect()
}

async fn start() -> RedisCluster {
    tokio::task::spawn_blocking(RedisCluster::start).await.unwrap()
}

async fn start_replicated() -> RedisCluster {
    tokio::task::spawn_blocking(RedisCluster::start_replicated).await.unwrap()
}

async fn connected(cluster: &RedisCluster, builder: StoreBuilder) -> Store {
    let store = builder.connect(&cluster.url()).unwrap();
    eventually("it serves", async || serves(&store).await).await;
    store
}

/// Time enough on a busy machine.
fn calm() -> StoreBuilder {
    patient().deadline(Duration::from_secs(5))
}
