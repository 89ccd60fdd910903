//! A Cluster: slots that move, masters that end, and keys that must lie together.

use std::time::{Duration, Instant};

use keep_testing::RedisCluster;

use crate::load::Load;
use crate::row::{ALL, Row, either, lasting, ms};
use crate::seen::Route;
use crate::site::Site;
use crate::world::usual;

/// Runs what waits for a Cluster where it blocks nobody.
async fn aside<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(run).await.unwrap()
}

async fn sites(cluster: &RedisCluster) -> [Site; 2] {
    Site::both([cluster.url(), cluster.url()], usual).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f30_slots_move() {
    let cluster = aside(RedisCluster::start).await;
    let sites = sites(&cluster).await;
    let load = Load::start(&sites).await;
    load.meets(|| {}).await;
    let slots = either(1_000, 5_461);
    let begun = Instant::now();
    let cluster = aside(move || {
        cluster.reshard(0, 1, slots);
        cluster.reshard(1, 2, slots);
        cluster
    })
    .await;
    let took = begun.elapsed();
    load.recovers(Instant::now()).await;
    let report = load.stop().await;
    for phase in ["before", "fault", "after"] {
        report.during(phase).is_well();
    }
    report.adds_up().await;
    drop(cluster);
    Row::new(
        30,
        "`redis-cli --cluster reshard` of all slots of two masters in turn",
        ALL,
        "no error that a user sees",
    )
    .saw("200 everywhere")
    .figure(format!(
        "0 errors in {} requests while {} slots moved in {}",
        report.during("fault").len(),
        2 * slots,
        ms(took)
    ))
    .write();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f31_a_master_dies() {
    let mut cluster = aside(RedisCluster::start_replicated).await;
    cluster.masters.iter().chain(&cluster.replicas).for_each(|server| {
        server.tell("CONFIG SET cluster-require-full-coverage no");
    });
    let sites = sites(&cluster).await;
    let load = Load::start(&sites).await;
    // What was written so far has reached the replicas.
    tokio::time::sleep(Duration::from_millis(500)).await;
    load.meets(|| cluster.masters[1].stop()).await;
    let begun = Instant::now();
    let cluster = aside(move || {
        cluster.await_promotion(1);
        cluster
    })
    .await;
    let promoted = begun.elapsed();
    load.recovers(Instant::now()).await;
    let recovered = begun.elapsed();
    tokio::time::sleep(lasting(500, 3_000)).await;
    let report = load.stop().await;
    drop(cluster);
    report.during("before").is_well();
    let fault = report.during("fault");
    fault.of(&Route::UNTOUCHED).is_well();
    fault.has_only(&[200, 503]);
    report.during("after").is_well();
    Row::new(
        31,
        "A master of three is killed; its replica takes over",
        ALL,
        "its slots alone fail; back within the failover time + 1 s",
    )
    .saw(format!(
        "503 for sessions and limits that lie on the dead master, until its replica has taken over ({})",
        fault.told()
    ))
    .figure(format!(
        "the replica took over after {}, all routes were served after {}",
        ms(promoted),
        ms(recovered)
    ))
    .write();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f32_keys_of_several_slots() {
    let cluster = aside(RedisCluster::start).await;
    let sites = sites(&cluster).await;
    let load = Load::start(&sites).await;
    load.meets(|| {}).await;
    tokio::time::sleep(lasting(1_000, 5_000)).await;
    load.recovers(Instant::now()).await;
    let report = load.stop().await;
    for phase in ["before", "fault", "after"] {
        report.during(phase).is_well();
    }
    for master in &cluster.masters {
        let errors: String = master.cmd("INFO", "errorstats");
        assert!(!errors.contains("CROSSSLOT") && !errors.contains("non local key"), "{errors}");
    }
    Row::new(32, "Keys of several slots in one command", ALL, "impossible by construction")
        .saw("200 everywhere")
        .figure(format!("no `CROSSSLOT` in {} requests on three masters; the acceptance suite passes there too, and `scripts/cluster` runs the core's other suites where a server refuses it", report.during("fault").len()))
        .write();
}
