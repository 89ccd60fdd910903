//! Stores and values to talk about.

use std::time::Duration;

use keep_testing::RedisServer;
use serde::{Deserialize, Serialize};
use tower_keep::kv::{KeyValue, Ttl};
use tower_keep::store::Store;

pub const LONG: Duration = Duration::from_secs(30);
pub const HOUR: Ttl = Ttl::After(Duration::from_secs(3600));

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cart {
    pub items: Vec<String>,
}

pub fn cart(item: &str) -> Cart {
    Cart { items: vec![item.to_owned()] }
}

pub fn on_redis(server: &RedisServer) -> Store {
    Store::builder().deadline(LONG).without_self_check().connect(&server.url()).unwrap()
}

/// Both stores, one after the other.
pub async fn on_both(test: impl AsyncFn(Store)) {
    test(Store::in_memory()).await;
    let server = RedisServer::start();
    test(on_redis(&server)).await;
}

pub fn carts(store: &Store) -> KeyValue<Cart> {
    KeyValue::new(store.clone(), "carts").unwrap()
}
