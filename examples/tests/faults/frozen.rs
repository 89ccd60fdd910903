//! Redis is there and does not answer.

use std::time::{Duration, Instant};

use keep_testing::Fault;
use tower_keep::store::StoreStatus;

use crate::load::Load;
use crate::program::eventually;
use crate::row::{ALL, Row, lasting, ms};
use crate::seen::{Report, Route};
use crate::site::PATIENT;
use crate::world::{HANGS, World, usual};

const MUST: &str = "no 5xx on routes without a session; a limit and a cached page add < 2 ms (p98) and at most their deadline (p99.9); \
                    recovery within 1 s";

/// What an outage of a whole server comes to.
async fn outage(row: Row, report: &Report, recovered: Duration) -> Row {
    report.is_an_outage("fault").await;
    let fault = report.during("fault");
    assert!(fault.longest() < HANGS, "{:?}", fault.longest());
    assert!(fault.of(&Route::REFUSED).count(503) > 0, "it was noticed: {}", fault.told());
    let passing = [Route::Limited, Route::Page];
    let (passed, usual) = (fault.of(&passing), report.during("before").of(&passing));
    row.saw(format!("plain, limited and cached routes 200; routes with a session, and a limit that closes, 503 with `Retry-After` ({})", fault.told()))
        .figure(format!("limited and cached p98 {} (before {}), p99.9 {}: {} of {} waited", ms(passed.at(980)), ms(usual.at(980)), ms(passed.at(999)), passed.slow(), passed.len()))
        .figure(format!("longest request {}", ms(fault.longest())))
        .figure(format!("recovered after {}", ms(recovered)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f01_a_frozen_redis() {
    let world = World::direct().await;
    let load = Load::start(&world.sites).await;
    load.meets(|| world.server.freeze()).await;
    tokio::time::sleep(lasting(2_000, 10_000)).await;
    load.phase("thaw");
    world.server.thaw();
    let recovered = load.recovers(Instant::now()).await;
    let report = load.stop().await;
    let row = Row::new(1, "Frozen: `SIGSTOP` for 10 s, under load", ALL, MUST);
    outage(row, &report, recovered).await.write();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f04_a_paused_redis() {
    let world = World::direct().await;
    let load = Load::start(&world.sites).await;
    load.meets(|| world.server.tell("CLIENT PAUSE 1200 ALL")).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    load.phase("pauses");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let recovered = load.recovers(Instant::now()).await;
    load.turns("sleeps").await;
    let sleeping = world.server.tell_slowly(&["DEBUG", "SLEEP", "1.2"]);
    load.phase("fault");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    load.phase("wakes");
    load.recovers(Instant::now()).await;
    sleeping.join().unwrap();
    let report = load.stop().await;
    let asked = report.seen.iter().filter(|seen| seen.route == Route::Limited).count();
    for site in &world.sites {
        let counted = site.counted().await;
        assert!(counted <= asked as u64 + 1, "each request is counted at most once: {counted} of {asked}");
    }
    let row = Row::new(
        4,
        "Paused: `CLIENT PAUSE 1200 ALL`, then `DEBUG SLEEP 1.2`",
        ALL,
        "as F1; a write that timed out counts as unclear; a limit counts a request at most once",
    );
    let row = outage(row, &report, recovered).await;
    row.saw("no increment was lost or done twice")
        .instead(
            "these are two outages of 1.1 s each. In the first 0.1 to 0.2 s of one, until the probe has been without an answer for as long as they \
             would wait, a limit waits for 50 ms and a page for 100 ms: that is more than 2 % of so short an outage",
        )
        .write();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f05_paused_writes() {
    let world = World::direct().await;
    let load = Load::start(&world.sites).await;
    load.meets(|| world.server.tell("CLIENT PAUSE 60000 WRITE")).await;
    load.phase("begins");
    let paused = Instant::now();
    for site in &world.sites {
        let known = async || site.store.health().await.status == StoreStatus::ReadOnly;
        eventually("it is known that writes are paused", known).await;
    }
    let known = paused.elapsed();
    tokio::time::sleep(PATIENT).await; // requests that began before are over
    load.phase("fault");
    tokio::time::sleep(lasting(1_000, 3_000)).await;
    let (report, recovered) = load.ends(|| world.server.tell("CLIENT UNPAUSE")).await;
    let (begins, fault) = (report.during("begins"), report.during("fault"));
    let reads = begins.of(&[Route::Me]);
    reads.is_well();
    fault.of(&[Route::Me]).is_well();
    fault.of(&[Route::Count]).has_only(&[503]);
    Row::new(5, "Writes paused: `CLIENT PAUSE WRITE`", ALL, "the breaker is by class: all reads succeed")
        .saw(format!("sessions read 200, written 503; limited and cached routes 200 ({})", fault.told()))
        .figure(format!(
            "known after {}; until then reads: {}, the slowest {}",
            ms(known),
            reads.told(),
            ms(reads.longest())
        ))
        .figure(format!("recovered after {}", ms(recovered)))
        .write();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f07_a_black_hole() {
    let world = World::proxied(usual).await;
    let load = Load::start(&world.sites).await;
    let before = world.accepted();
    load.meets(|| world.set(Fault::BlackHole)).await;
    tokio::time::sleep(lasting(2_000, 10_000)).await;
    load.phase("ends");
    world.set(Fault::None);
    let recovered = load.recovers(Instant::now()).await;
    let report = load.stop().await;
    assert!(world.accepted() > before, "what did not answer was replaced");
    let row = Row::new(
        7,
        "Black hole: a proxy passes nothing on, sockets stay open",
        ALL,
        "as F1; what timed out is dropped, the pool is whole ≤ 1 s after",
    );
    let row = outage(row, &report, recovered).await;
    row.figure(format!("{} connections replaced or tried", world.accepted() - before)).write();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f17_a_script_that_never_ends() {
    let world = World::direct().await;
    world.server.tell("CONFIG SET busy-reply-threshold 100");
    let load = Load::start(&world.sites).await;
    let mut script = None;
    load.meets(|| script = Some(world.server.tell_slowly(&["EVAL", "while true do end", "0"]))).await;
    tokio::time::sleep(lasting(2_000, 5_000)).await;
    load.phase("ends");
    world.server.tell("SCRIPT KILL");
    script.unwrap().join().unwrap();
    let recovered = load.recovers(Instant::now()).await;
    let report = load.stop().await;
    let row = Row::new(17, "Busy: `while true do end` in a script, then `SCRIPT KILL`", ALL, "as F1");
    outage(row, &report, recovered).await.write();
}
