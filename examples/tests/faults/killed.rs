//! Connections end under their users, or are not to be had.

use std::time::{Duration, Instant};

use keep_testing::{Fault, RedisServer};

use crate::load::Load;
use crate::program::eventually;
use crate::row::{ALL, Row, either, lasting, ms};
use crate::seen::Route;
use crate::world::{World, usual};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f06_killed_connections() {
    let world = World::direct().await;
    let load = Load::start(&world.sites).await;
    load.phase("fault");
    let (begun, lasts) = (Instant::now(), lasting(3_000, 30_000));
    let mut kills = 0;
    while begun.elapsed() < lasts {
        world.server.kill_clients();
        kills += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    load.phase("ends");
    load.recovers(Instant::now()).await;
    let report = load.stop().await;
    let fault = report.during("fault");
    fault.of(&[Route::Plain, Route::Me, Route::Limited, Route::Page]).is_well();
    fault.of(&[Route::Count, Route::Strict]).has_only(&[200, 503]);
    report.during("after").is_well();
    report.adds_up().await;
    let writes = fault.of(&[Route::Count]);
    Row::new(
        6,
        "Connections killed: `CLIENT KILL TYPE normal` each 100 ms",
        ALL,
        "no error of a read; ≤ 0.1 % of writes",
    )
    .saw(format!(
        "200; a write whose connection ended under it 503, and it is not sent twice ({})",
        fault.told()
    ))
    .figure(format!("{kills} kills, {} of {} writes refused", writes.count(503), writes.len()))
    .instead(
        "a write whose connection ended under it is unclear, and not sent twice. Where a handshake takes about as long as the pause between \
         two kills, as on a busy machine, probes are killed as well, and writes are refused until the next one",
    )
    .write();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f06_resets_and_half_closed_connections() {
    let world = World::proxied(usual).await;
    let load = Load::start(&world.sites).await;
    load.phase("fault");
    for _ in 0..either(10, 50) {
        world.set(Fault::Reset);
        tokio::task::yield_now().await;
        world.set(Fault::None);
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.set(Fault::HalfClose);
        eventually("a connection is half closed", async || {
            world.proxies.iter().all(|proxy| proxy.fault() == Fault::None)
        })
        .await;
    }
    load.phase("ends");
    load.recovers(Instant::now()).await;
    let report = load.stop().await;
    report.during("fault").of(&Route::UNTOUCHED).is_well();
    report.during("fault").has_only(&[200, 503]);
    report.during("after").is_well();
    report.adds_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f22_no_room_for_more_connections() {
    let world = World::direct().await;
    let load = Load::start(&world.sites).await;
    let mut admin = world.server.admin();
    let mut tell = |line: &str| RedisServer::tell_on(&mut admin, line);
    let received = world.server.received();
    tell("CONFIG SET maxclients 1");
    load.phase("fault");
    let lasts = lasting(2_000, 5_000);
    tokio::time::sleep(lasts).await;
    load.turns("killed").await;
    tell("CLIENT KILL TYPE normal SKIPME yes");
    tokio::time::sleep(lasts).await;
    load.phase("ends");
    tell("CONFIG SET maxclients 1000");
    let recovered = load.recovers(Instant::now()).await;
    let connects = world.server.received() - received;
    let report = load.stop().await;
    let fault = report.during("fault");
    fault.is_well();
    let killed = report.during("killed");
    killed.of(&Route::UNTOUCHED).is_well();
    killed.has_only(&[200, 503]);
    report.during("after").is_well();
    report.adds_up().await;
    let seconds = lasts.as_secs_f64();
    assert!((connects as f64) < 2.0 * 5.0 * seconds + 30.0, "{connects} connects in {seconds} s");
    Row::new(
        22,
        "No room: `maxclients` reached; then all connections killed, too",
        ALL,
        "what is connected serves on; ≤ 5 connects a second",
    )
    .saw(format!("200 on the connections that there are; once those are killed as F3 ({})", killed.told()))
    .figure(format!("0 of {} requests refused while all were connected", fault.len()))
    .figure(format!(
        "{:.1} connects a second for each store while there was no room",
        connects as f64 / seconds / 2.0
    ))
    .figure(format!("recovered after {}", ms(recovered)))
    .write();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f23_closed_for_being_idle() {
    let world = World::direct().await;
    let mut visitors = Vec::new();
    for site in &world.sites {
        visitors.push(site.signed_in("alice").await);
    }
    world.server.tell("CONFIG SET timeout 1");
    let mut errors = 0;
    for round in 1..=either(1, 4) {
        eventually("the server closes idle connections", async || world.server.clients().is_empty()).await;
        for (site, visitor) in world.sites.iter().zip(&mut visitors) {
            let answers = match round % 2 {
                1 => [visitor.post("/count").await, visitor.get("/me").await],
                _ => [visitor.get("/me").await, visitor.post("/count").await],
            };
            errors += answers.iter().filter(|answer| answer.status != 200).count();
            assert_eq!(site.client().get("/strict").await.status, 200);
            assert_eq!(site.client().get("/page/a").await.status, 200);
        }
    }
    assert_eq!(errors, 0);
    Row::new(
        23,
        "Idle connections closed: `CONFIG SET timeout 1`, nothing asked until all are closed",
        ALL,
        "no error",
    )
    .saw("200, also when the first request after the pause is a write")
    .figure("0 errors")
    .write();
}
