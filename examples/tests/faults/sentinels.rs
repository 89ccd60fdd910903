//! Sentinels name the primary, another one, or nothing.

use std::time::{Duration, Instant};

use keep_testing::SentinelGroup;
use tower_keep::store::{StoreBuilder, StoreConfig};

use crate::load::{Load, Visitor};
use crate::row::{ALL, Row, lasting, ms};
use crate::seen::Route;
use crate::site::Site;
use crate::world::usual;

/// What the stores do within when the primary changes.
const TOGETHER: Duration = Duration::from_secs(1);

async fn sites(group: &SentinelGroup, tune: impl Fn(StoreBuilder) -> StoreBuilder) -> [Site; 2] {
    Site::both([group.url(), group.url()], tune).await
}

/// Runs what waits for Sentinels where it blocks nobody.
async fn aside(group: SentinelGroup, run: impl FnOnce(&SentinelGroup) + Send + 'static) -> SentinelGroup {
    tokio::task::spawn_blocking(move || {
        run(&group);
        group
    })
    .await
    .unwrap()
}

/// Visitors of both sites, and whether they were told that they are signed out.
async fn sign_out(visitors: &mut [Visitor]) -> Vec<(Visitor, bool)> {
    let mut told = Vec::new();
    for visitor in visitors {
        let before = visitor.clone();
        let answer = visitor.browser.post("/logout").await;
        assert!([200, 503].contains(&answer.status.as_u16()), "{answer:?}");
        told.push((before, answer.status == 200));
    }
    told
}

/// How many of those who were told so are signed in all the same.
async fn came_back(told: Vec<(Visitor, bool)>) -> (usize, usize) {
    let (mut acknowledged, mut back) = (0, 0);
    for (mut visitor, was_told) in told {
        if was_told {
            acknowledged += 1;
            back += usize::from(visitor.browser.get("/me").await.body == visitor.name);
        }
    }
    (acknowledged, back)
}

async fn crowd(sites: &[Site; 2], name: &str) -> Vec<Visitor> {
    let mut visitors = Vec::new();
    for n in 0..10 {
        for site in sites {
            visitors.push(Visitor::at(site, &format!("{name}{n}")).await);
        }
    }
    visitors
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f27_a_failover_by_command() {
    let group = SentinelGroup::start();
    let sites = sites(&group, usual).await;
    let load = Load::start(&sites).await;
    let (mut early, mut late) = (crowd(&sites, "early").await, crowd(&sites, "late").await);
    // What was written so far has reached the replica.
    let _: u64 = group.first.cmd("WAIT", &["1", "5000"]);
    load.meets(|| {}).await;
    let begun = Instant::now();
    let failing = tokio::spawn(aside(group, SentinelGroup::fail_over));
    let early = sign_out(&mut early).await;
    let group = failing.await.unwrap();
    let switched = begun.elapsed();
    tokio::time::sleep(TOGETHER).await;
    load.phase("switched");
    let late = sign_out(&mut late).await;
    tokio::time::sleep(lasting(1_000, 5_000)).await;
    load.recovers(Instant::now()).await;
    let (report, (early, early_back), (late, late_back)) =
        (load.stop().await, came_back(early).await, came_back(late).await);
    drop(group);
    assert!(
        late == 20 && late_back == 0,
        "a second after the change no sign-out is lost: {late_back} of {late}"
    );
    report.during("before").is_well();
    report.during("switched").is_well();
    let fault = report.during("fault");
    fault.of(&Route::UNTOUCHED).is_well();
    fault.has_only(&[200, 503]);
    Row::new(27, "Failover: `SENTINEL FAILOVER`", ALL, "no sign-out is acknowledged and lost from 1 s after the change on")
        .saw(format!("until the change is known 503 where the old primary refuses ({}); from 1 s after it 200", fault.told()))
        .figure(format!("the change took {}; sign-outs lost of those acknowledged: {early_back} of {early} while it happened, {late_back} of {late} from 1 s after it", ms(switched)))
        .instead("what the old primary acknowledged while nobody had named another one is lost with it unless it asks for replicas (`min-replicas-to-write`), as with any client")
        .write();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f28_a_frozen_primary() {
    let group = SentinelGroup::start();
    let sites = sites(&group, usual).await;
    let load = Load::start(&sites).await;
    load.meets(|| group.first.freeze()).await;
    let frozen = Instant::now();
    let group = aside(group, SentinelGroup::await_second).await;
    let named = frozen.elapsed();
    for visitor in load.others() {
        visitor.site.served_after(frozen, &visitor.browser).await;
    }
    let written = frozen.elapsed();
    tokio::time::sleep(lasting(500, 3_000)).await;
    load.phase("settled");
    tokio::time::sleep(lasting(500, 2_000)).await;
    load.phase("thawed");
    group.first.thaw();
    tokio::time::sleep(lasting(1_000, 5_000)).await;
    let report = load.stop().await;
    let fault = report.during("fault");
    fault.of(&Route::UNTOUCHED).is_well();
    fault.has_only(&[200, 503]);
    report.during("settled").is_well();
    report.during("thawed").is_well();
    Row::new(28, "The primary freezes for 5 s; another one is named; the old one thaws", ALL, "writes are back ≤ `down-after` (0.5 s here) + 2 s after; the thawed one is left alone")
        .saw(format!("as F1 until another one is named ({}); 200 from then on, also when the old one is back", fault.told()))
        .figure(format!("another one named after {}, written after {}", ms(named), ms(written)))
        .instead("Sentinels elect before they name: `down-after` is when they begin, and how long it takes is theirs; from the naming on it is ours")
        .write();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f29_sentinels_that_stop() {
    let group = SentinelGroup::start();
    let sites = sites(&group, usual).await;
    let load = Load::start(&sites).await;
    load.phase("fault");
    for stopped in 1..=3 {
        group.freeze_sentinels(stopped);
        tokio::time::sleep(lasting(700, 2_000)).await;
    }
    // The primary that was named last is good enough for new connections.
    load.turns("killed").await;
    group.first.kill_clients();
    load.recovers(Instant::now()).await;
    let report = load.stop().await;
    report.during("before").is_well();
    report.during("fault").is_well();
    report.during("killed").has_only(&[200, 503]);
    report.during("after").is_well();
    Row::new(
        29,
        "One, two, then all three Sentinels stop; then all connections are killed",
        ALL,
        "no error while the primary is well",
    )
    .saw("200 everywhere; new connections go to the primary that was named last")
    .figure(format!("0 errors in {} requests", report.during("fault").len()))
    .write();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f41_replicas_are_never_read() {
    let group = SentinelGroup::start();
    let sites = sites(&group, usual).await;
    let load = Load::start(&sites).await;
    group.second.reset_calls();
    load.phase("fault");
    tokio::time::sleep(lasting(1_000, 3_000)).await;
    let report = load.stop().await;
    report.during("fault").is_well();
    let calls = group.second.calls();
    let asked: u64 =
        ["hgetall", "mget", "get", "evalsha", "eval"].iter().filter_map(|name| calls.get(*name)).sum();
    assert_eq!(asked, 0, "nobody asks the replica: {calls:?}");
    // There is no setting for it, and a file that names one is refused.
    let setting =
        serde_json::from_str::<StoreConfig>(r#"{"url": "redis://localhost", "read_from_replicas": true}"#);
    assert!(setting.is_err());
    // Whoever takes a replica for the server may read there, and is refused to write.
    let replica = Site::both([group.second.url(), group.second.url()], usual);
    let refused = tokio::time::timeout(Duration::from_secs(3), replica).await;
    assert!(refused.is_err(), "a store on a replica is never up");
    Row::new(41, "Replicas that lag", ALL, "sessions, limits and locks never read replicas; a setting for it is refused")
        .saw("200; each answer comes from the primary")
        .figure(format!("{asked} commands at the replica in {} requests; an unknown setting is refused; a store whose URL is a replica is `read_only`", report.during("fault").len()))
        .write();
}
