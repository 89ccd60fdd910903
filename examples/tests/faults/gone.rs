//! Redis is away, and comes back: empty, with its data, or without its scripts.

use std::time::{Duration, Instant};

use keep_testing::RedisServer;

use crate::load::Load;
use crate::program::eventually;
use crate::row::{ALL, Row, lasting, ms};
use crate::seen::Route;
use crate::world::{HANGS, World, usual};

/// Connections of both stores' pools.
const POOLS: u64 = 2 * 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f02_killed_and_started_again_without_its_data() {
    let mut world = World::direct().await;
    let load = Load::start(&world.sites).await;
    load.meets(|| world.server.stop()).await;
    tokio::time::sleep(lasting(1_000, 3_000)).await;
    load.turns("starts").await;
    world.server.restart();
    let back = Instant::now();
    let recovered = load.recovers(back).await;
    let (received, within) = (world.server.received(), back.elapsed());
    let report = load.stop().await;
    report.during("before").is_well();
    let (fault, after) = (report.during("fault"), report.during("after"));
    fault.of(&Route::UNTOUCHED).is_well();
    fault.of(&Route::REFUSED).has_only(&[200, 503]);
    after.has_only(&[200]);
    assert_eq!(
        after.of(&[Route::Me]).strangers(),
        after.of(&[Route::Me]).len(),
        "sessions are gone, which is no error"
    );
    // Two are the administrator's: the one that waited for the start, and the one that asks.
    let connects = received - 2;
    assert!(connects <= 2 * POOLS, "{connects} connects");
    Row::new(2, "Killed (`SIGKILL`), started empty 3 s later", ALL, "first success ≤ 1 s after the start; connects ≤ twice the pools' size; nobody hears of a lost script")
        .saw(format!("while it was down: 503 where a session or a closed limit is needed, 200 elsewhere ({}); then 200, signed out", fault.told()))
        .figure(format!("first success after {}", ms(recovered)))
        .figure(format!("{connects} connects within {} for two pools of 4", ms(within)))
        .write();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f03_a_closed_port() {
    let mut world = World::proxied(usual).await;
    let load = Load::start(&world.sites).await;
    load.meets(|| {
        world.server.tell_slowly(&["SHUTDOWN", "NOSAVE"]).join().unwrap();
        world.server.stop();
    })
    .await;
    load.phase("stops");
    tokio::time::sleep(Duration::from_millis(500)).await;
    load.phase("fault");
    let (down, before) = (Instant::now(), world.accepted());
    tokio::time::sleep(lasting(2_000, 10_000)).await;
    let (connects, while_down) = (world.accepted() - before, down.elapsed());
    load.turns("starts").await;
    world.server.restart();
    load.recovers(Instant::now()).await;
    let report = load.stop().await;
    let fault = report.during("fault");
    fault.of(&Route::UNTOUCHED).is_well();
    fault.of(&Route::REFUSED).has_only(&[503]);
    assert!(fault.longest() < HANGS);
    let per_second = connects as f64 / while_down.as_secs_f64() / 2.0;
    // A probe each 250 ms or a little more, and room for one that began just before.
    assert!(per_second <= 6.0, "{per_second} connects a second for each store");
    Row::new(
        3,
        "Port closed: `SHUTDOWN`, started again 10 s later",
        ALL,
        "adds < 5 ms (p99); ≤ 5 connects a second while down",
    )
    .saw(format!("503 at once where a session or a closed limit is needed, 200 elsewhere ({})", fault.told()))
    .figure(format!("p99 of all requests {}", ms(fault.at(990))))
    .figure(format!("{per_second:.1} connects a second for each store"))
    .write();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f11_lost_scripts() {
    let world = World::direct().await;
    let load = Load::start(&world.sites).await;
    load.phase("fault");
    world.server.reset_calls();
    let (begun, lasts) = (Instant::now(), lasting(2_000, 10_000));
    let mut flushes = 0;
    while begun.elapsed() < lasts {
        world.server.tell("SCRIPT FLUSH");
        flushes += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let calls = world.server.calls();
    let report = load.stop().await;
    report.during("fault").is_well();
    report.adds_up().await;
    let (by_hash, in_full) = (calls["evalsha"], calls.get("eval").copied().unwrap_or_default());
    assert!(in_full > 0 && in_full <= by_hash, "at most one more round trip: {calls:?}");
    Row::new(11, "Scripts lost: `SCRIPT FLUSH` each 20 ms", ALL, "no error; at most one more round trip")
        .saw("200 everywhere, every increment once")
        .figure(format!(
            "{flushes} flushes, {by_hash} scripts by hash, {in_full} of them sent once more in full"
        ))
        .write();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f16_loading_its_data() {
    let server = RedisServer::start_with(&["--loading-process-events-interval-bytes", "1024"]);
    let mut world = World::on(server, usual).await;
    let load = Load::start(&world.sites).await;
    ["DEBUG POPULATE 20000 filler 50", "SAVE"].iter().for_each(|line| world.server.tell(line));
    load.meets(|| world.server.restart_with(&["--key-load-delay", "150"])).await;
    load.phase("restarts");
    tokio::time::sleep(Duration::from_millis(500)).await;
    load.phase("fault");
    tokio::time::sleep(lasting(1_000, 3_000)).await;
    load.turns("ends").await;
    let connects = world.server.received();
    world.server.tell("CONFIG SET key-load-delay 0");
    eventually("it is loaded", async || {
        world.server.cmd::<String>("INFO", "persistence").contains("loading:0")
    })
    .await;
    let recovered = load.recovers(Instant::now()).await;
    let report = load.stop().await;
    let fault = report.during("fault");
    fault.of(&Route::UNTOUCHED).is_well();
    fault.of(&Route::REFUSED).has_only(&[503]);
    report.during("after").is_well();
    let seconds = lasting(1_000, 3_000).as_secs_f64() + 0.5;
    assert!((connects as f64) < 12.0 * seconds + 2.0 * POOLS as f64, "{connects} connects in {seconds} s");
    Row::new(
        16,
        "Loading: restart with `--key-load-delay`",
        ALL,
        "no storm of connects; success ≤ 500 ms after the load's end",
    )
    .saw(format!(
        "503 where a session or a closed limit is needed, 200 elsewhere ({}); then signed in as before",
        fault.told()
    ))
    .figure(format!("{connects} connects of both stores in {seconds:.1} s"))
    .figure(format!("recovered after {}", ms(recovered)))
    .write();
}
