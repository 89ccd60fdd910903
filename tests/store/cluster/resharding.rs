//! Slots move while requests are under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinHandle;
use tower_keep::kv::{KeyValue, Ttl, Write};
use tower_keep::store::Store;

use super::*;

/// Counts on `name` in every way in which the store writes, until it is told to stop; how often.
fn load(store: &Store, name: String, stop: &Arc<AtomicBool>) -> JoinHandle<i64> {
    let (store, stop) = (store.clone(), Arc::clone(stop));
    tokio::spawn(async move {
        let values = KeyValue::<i64>::new(store.clone(), "load").unwrap();
        let group = values.group(&name).unwrap();
        let mut counted = 0;
        while !stop.load(Ordering::Relaxed) {
            counted += 1;
            let sums = done(store.run(change(&name, count())).await.unwrap());
            assert_eq!(sums, [counted], "each write is carried out once");
            values.set(&name, &counted, Ttl::Never).await.unwrap();
            let last = counted.to_string();
            let writes = ["a", "b", &last].map(|key| Write::set(key, &counted, Ttl::Never));
            group.commit(&writes).await.unwrap();
            let read = values.get_many([&name, &name]).await.unwrap();
            assert!(read.into_iter().all(|value| value.unwrap().map(|found| found.value) == Some(counted)));
            assert_eq!(group.get("b").await.unwrap(), Some(counted));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        counted
    })
}

async fn reshard_under_load(cluster: RedisCluster, moves: &'static [(usize, usize, usize)]) {
    let store = connected(&cluster, calm()).await;
    let names = names(30);
    for name in &names {
        make(&store, name, "x").await;
    }
    let stop = Arc::<AtomicBool>::default();
    let loads: Vec<_> = names.iter().map(|name| load(&store, name.clone(), &stop)).collect();
    let cluster = tokio::task::spawn_blocking(move || {
        moves.iter().for_each(|(from, to, slots)| cluster.reshard(*from, *to, *slots));
        cluster.await_whole();
        cluster
    })
    .await
    .unwrap();
    stop.store(true, Ordering::Relaxed);
    for load in loads {
        assert!(load.await.unwrap() > 0, "no error was seen");
    }
    for (from, _, _) in moves {
        assert!(!cluster.has_slots(*from), "everything has moved");
    }
    assert!(serves(&store).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_slots_of_two_masters_move_to_the_third_and_nobody_notices() {
    let cluster = start().await;
    reshard_under_load(cluster, &[(0, 2, 5461), (1, 2, 5461)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_move_to_a_master_that_came_later() {
    let mut cluster = start().await;
    cluster = tokio::task::spawn_blocking(move || {
        cluster.add_master();
        cluster
    })
    .await
    .unwrap();
    reshard_under_load(cluster, &[(0, 3, 5461)]).await;
}

/// Some keys of a group have gone ahead of their slot, and it takes long until the others follow: who writes to all of them waits for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_is_torn_apart_is_waited_for() {
    fn writes(n: &u8) -> [Write<'_, u8>; 2] {
        ["a", "b"].map(|key| Write::set(key, n, Ttl::Never))
    }
    let cluster = start().await;
    let store = patient().connect(&cluster.url()).unwrap();
    let group = KeyValue::<u8>::new(store, "load").unwrap().group("torn").unwrap();
    group.commit(&writes(&1)).await.unwrap();
    let keys =
        (0..3).flat_map(|n| cluster.masters[n].cmd::<Vec<String>>("KEYS", "*{torn}*")).collect::<Vec<_>>();
    let from = cluster.master_of(&keys[0]);
    let to = (from + 1) % 3;
    let slot = cluster.masters[from].cmd("CLUSTER", ("KEYSLOT", &keys[0]));
    cluster.send_ahead(&keys[0], from, to);

    let write = tokio::spawn({
        let group = group.clone();
        async move { group.commit(&writes(&2)).await }
    });
    let refusals = || -> u32 {
        let info: String = cluster.masters[from].cmd("INFO", "errorstats");
        let count = info.lines().find_map(|line| line.strip_prefix("errorstat_TRYAGAIN:count="));
        count.map_or(0, |count| count.parse().unwrap())
    };
    eventually("it has tried often", async || refusals() > 30).await;
    cluster.finish(slot, from, to);
    write.await.unwrap().unwrap();
    assert_eq!((group.get("a").await.unwrap(), group.get("b").await.unwrap()), (Some(2), Some(2)));
}
