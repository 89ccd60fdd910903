//! Masters that end, and replicas that take over.

use tower_keep::store::op::RemoveSession;
use tower_keep::store::{Replicas, StoreErrorKind as Kind, StoreStatus};

use super::*;

/// A session on each master.
async fn one_on_each(cluster: &RedisCluster, store: &Store) -> Vec<String> {
    let on =
        |master| names(100).into_iter().find(|name| cluster.master_of(&session_key(name)) == master).unwrap();
    let names: Vec<_> = (0..3).map(on).collect();
    for name in &names {
        make(store, name, "x").await;
    }
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_master_dies_its_slots_alone_fail_until_its_replica_has_them() {
    let mut cluster = start_replicated().await;
    let store = connected(&cluster, hasty().deadline(Duration::from_secs(1))).await;
    let names = one_on_each(&cluster, &store).await;
    for master in cluster.masters.iter().chain(&cluster.replicas) {
        master.tell("CONFIG SET cluster-require-full-coverage no");
    }
    // What was acknowledged has arrived at the replica before its master ends.
    let (admin, wait) = (&mut cluster.masters[1].admin(), redis::cmd("WAIT").arg(1).arg(10_000).clone());
    let _: () = redis::cmd("SET").arg(session_key(&names[1]) + "x").arg(1).query(admin).unwrap_or(());
    let _: u64 = wait.query(admin).unwrap();
    cluster.masters[1].stop();
    let mut refused = 0;
    while let Err(error) = read(&store, &names[1]).await {
        let kind = error.kind();
        let expected =
            [Kind::Refused, Kind::Disconnected, Kind::Timeout, Kind::Unavailable, Kind::ClusterDown];
        assert!(expected.contains(&kind), "{kind:?}");
        refused += 1;
        for other in [&names[0], &names[2]] {
            assert_eq!(read(&store, other).await.unwrap().as_deref(), Some("x"));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(refused > 0);
    assert_eq!(read(&store, &names[1]).await.unwrap().as_deref(), Some("x"), "the replica has it");
    for name in &names {
        done(store.run(change(name, count())).await.unwrap());
    }
    eventually("all is well again", async || store.health().await.status == StoreStatus::Up).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_master_holds_up_its_own_slots_alone_and_its_return_disturbs_nobody() {
    let cluster = start_replicated().await;
    let store = connected(&cluster, hasty()).await;
    let names = one_on_each(&cluster, &store).await;
    for master in cluster.masters.iter().chain(&cluster.replicas) {
        master.tell("CONFIG SET cluster-require-full-coverage no");
    }
    cluster.masters[0].freeze();
    assert!(read(&store, &names[0]).await.is_err());
    assert!(read(&store, &names[1]).await.is_ok() && read(&store, &names[2]).await.is_ok());
    let cluster = tokio::task::spawn_blocking(move || {
        cluster.await_promotion(0);
        cluster
    })
    .await
    .unwrap();
    eventually("the replica serves", async || read(&store, &names[0]).await.is_ok()).await;
    let sums = store.run(change(&names[0], count())).await.unwrap();
    assert_eq!(done(sums), [1]);
    cluster.masters[0].thaw();
    for expected in 2..50 {
        assert_eq!(done(store.run(change(&names[0], count())).await.unwrap()), [expected]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_by_command_goes_unnoticed() {
    let cluster = start_replicated().await;
    let store = connected(&cluster, calm()).await;
    let names = one_on_each(&cluster, &store).await;
    cluster.replicas[2].tell("CLUSTER FAILOVER");
    let mut expected = 0;
    while !cluster.replicas[2].cmd::<String>("INFO", "replication").contains("role:master") {
        expected += 1;
        assert_eq!(done(store.run(change(&names[2], count())).await.unwrap()), [expected]);
    }
    for _ in 0..100 {
        expected += 1;
        assert_eq!(done(store.run(change(&names[2], count())).await.unwrap()), [expected]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_with_a_slot_that_nobody_has_serves_the_others_if_it_may() {
    let mut cluster = start().await;
    let store = connected(&cluster, hasty().deadline(Duration::from_secs(1))).await;
    let names = one_on_each(&cluster, &store).await;
    cluster.masters.iter().for_each(|master| master.tell("CONFIG SET cluster-require-full-coverage no"));
    cluster.masters[0].stop();
    assert!(read(&store, &names[0]).await.is_err());
    for _ in 0..20 {
        assert!(read(&store, &names[1]).await.is_ok() && read(&store, &names[2]).await.is_ok());
    }
    eventually("it is told", async || store.health().await.status == StoreStatus::Partial).await;
    assert!(!store.health().await.is_up());
    cluster.masters[0].restart();
    eventually("it serves again", async || read(&store, &names[0]).await.is_ok()).await;
}

/// A session that ended does not come back with a replica that takes over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_replicas_confirmed_outlives_its_master() {
    let mut cluster = start_replicated().await;
    for server in cluster.masters.iter().chain(&cluster.replicas) {
        server.tell("CONFIG SET cluster-require-full-coverage no");
    }
    let builder = calm().replicas(Replicas::at_least(1).within(Duration::from_secs(2)));
    let store = connected(&cluster, builder).await;
    let on_first = |name: &String| cluster.master_of(&session_key(name)) == 0;
    let names: Vec<_> = names(60).into_iter().filter(on_first).collect();
    for name in &names {
        make(&store, name, "x").await;
    }
    // While the replica hears nothing, nobody is told that a session has ended.
    cluster.replicas[0].freeze();
    assert_eq!(refusal(store.run(RemoveSession(session(&names[0]))).await), Kind::Unreplicated);
    cluster.replicas[0].thaw();
    for name in &names {
        eventually("it is confirmed", async || store.run(RemoveSession(session(name))).await.is_ok()).await;
    }
    cluster.masters[0].stop();
    cluster = tokio::task::spawn_blocking(move || {
        cluster.await_promotion(0);
        cluster
    })
    .await
    .unwrap();
    for name in &names {
        assert_eq!(cluster.replicas[0].cmd::<u64>("EXISTS", session_key(name)), 0, "{name}");
    }
    eventually("the replica serves", async || read(&store, &names[0]).await.is_ok()).await;
    let removed = store.run(RemoveSession(session(&names[0]))).await;
    assert_eq!(refusal(removed), Kind::Unreplicated, "it has no replica itself");
}
