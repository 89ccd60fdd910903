//! Redis answers, and refuses writes: full, a replica, without replicas, without a disk.

use std::time::{Duration, Instant};

use tower_keep::store::{Finding, StoreStatus};

use crate::load::{Load, Visitor};
use crate::program::eventually;
use crate::row::{ALL, Row, lasting, ms};
use crate::seen::{Report, Route};
use crate::world::World;

/// Load while a server refuses writes: what is seen, and how soon it is over.
async fn refused(world: &World, provoke: &[&str], end: &str) -> (Report, Duration) {
    let load = Load::start(&world.sites).await;
    load.meets(|| provoke.iter().for_each(|line| world.server.tell(line))).await;
    tokio::time::sleep(lasting(1_000, 5_000)).await;
    let (report, recovered) = load.ends(|| world.server.tell(end)).await;
    report.during("fault").of(&[Route::Count]).has_only(&[503]);
    (report, recovered)
}

/// Visitors sign out, and are told how that went.
async fn sign_out(world: &World, visitors: &mut [Visitor]) -> Vec<u16> {
    let mut told = Vec::new();
    for visitor in visitors {
        let before = visitor.browser.clone();
        let answer = visitor.browser.post("/logout").await;
        told.push(answer.status.as_u16());
        let lives: u64 = world.server.cmd("EXISTS", visitor.site.key(&before));
        assert_eq!(
            answer.status == 200,
            lives == 0,
            "who is told so is signed out, and nobody else: {answer:?}"
        );
        assert!(answer.status == 200 || answer.set_cookies().is_empty(), "{answer:?}");
    }
    told
}

async fn crowd(world: &World) -> Vec<Visitor> {
    let mut visitors = Vec::new();
    for n in 0..10 {
        for site in &world.sites {
            visitors.push(Visitor::at(site, &format!("visitor{n}")).await);
        }
    }
    visitors
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f12_full_memory() {
    let world = World::direct().await;
    let full = ["CONFIG SET maxmemory-policy noeviction", "CONFIG SET maxmemory 1"];
    let room = "CONFIG SET maxmemory 0";
    let mut visitors = crowd(&world).await;
    full.iter().for_each(|line| world.server.tell(line));
    assert!(
        sign_out(&world, &mut visitors).await.iter().all(|status| *status == 200),
        "who leaves can leave"
    );
    world.server.tell(room);
    let (report, recovered) = refused(&world, &full, room).await;
    let fault = report.during("fault");
    fault.of(&[Route::Me]).is_well();
    Row::new(
        12,
        "Full: `maxmemory 1` with `noeviction`",
        ALL,
        "reads and sign-out go on, all of them; no 500",
    )
    .saw(format!(
        "sessions read 200, written 503; sign-out 200; limited and cached routes 200 ({})",
        fault.told()
    ))
    .figure(format!("{} of {0} sign-outs succeed", visitors.len()))
    .figure(format!("recovered after {}", ms(recovered)))
    .write();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_demoted_to_a_replica() {
    let world = World::direct().await;
    let (report, recovered) = refused(&world, &["REPLICAOF 127.0.0.1 1"], "REPLICAOF NO ONE").await;
    let fault = report.during("fault");
    fault.of(&[Route::Me]).is_well();
    Row::new(
        14,
        "Demoted: `REPLICAOF` under the pool, then `REPLICAOF NO ONE`",
        ALL,
        "≤ 1 s of refused writes once there is a primary",
    )
    .saw(format!("sessions read 200, written 503; limited and cached routes 200 ({})", fault.told()))
    .figure(format!("written again {} after", ms(recovered)))
    .write();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f15_a_replica_that_serves_nothing_stale() {
    let world = World::direct().await;
    let provoke = ["CONFIG SET replica-serve-stale-data no", "REPLICAOF 127.0.0.1 1"];
    let (report, recovered) = refused(&world, &provoke, "REPLICAOF NO ONE").await;
    let fault = report.during("fault");
    fault.of(&Route::REFUSED).has_only(&[503]);
    Row::new(15, "A replica without its primary, `replica-serve-stale-data no`", ALL, "as F3")
        .saw(format!("503 where a session or a closed limit is needed, 200 elsewhere ({})", fault.told()))
        .figure(format!("p99 of all requests {}", ms(fault.at(990))))
        .figure(format!("recovered after {}", ms(recovered)))
        .write();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f20_no_disk() {
    let world = World::direct().await;
    let gone = world.server.dir().join("gone");
    std::fs::create_dir(&gone).unwrap();
    world.server.tell(&format!("CONFIG SET dir {}", gone.display()));
    let _: () = world.server.cmd("CONFIG", &["SET", "save", "3600 100000"]);
    std::fs::remove_dir(&gone).unwrap();
    let load = Load::start(&world.sites).await;
    load.meets(|| world.server.tell("BGSAVE")).await;
    load.phase("fails");
    eventually("the save has failed", async || {
        world.server.cmd::<String>("INFO", "persistence").contains("rdb_last_bgsave_status:err")
    })
    .await;
    load.phase("fault");
    tokio::time::sleep(lasting(1_000, 5_000)).await;
    for site in &world.sites {
        assert_eq!(site.store.health().await.status, StoreStatus::Up, "{}", site.framework);
    }
    let (report, recovered) = load.ends(|| world.server.tell("CONFIG SET save ")).await;
    let fault = report.during("fault");
    fault.of(&[Route::Me]).is_well();
    fault.of(&[Route::Count]).has_only(&[503]);
    Row::new(
        20,
        "`MISCONF`: the folder is gone, `BGSAVE` fails",
        ALL,
        "all reads succeed, although `PING` fails",
    )
    .saw(format!("sessions read 200, written 503; limited and cached routes 200 ({})", fault.told()))
    .figure(format!("recovered after {}", ms(recovered)))
    .write();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f21_too_few_replicas() {
    let world = World::direct().await;
    let (provoke, end) = ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0");
    let mut visitors = crowd(&world).await;
    world.server.tell(provoke);
    let told = sign_out(&world, &mut visitors).await;
    assert!(told.iter().all(|status| *status == 503), "nobody is told what did not happen: {told:?}");
    world.server.tell(end);
    let (report, recovered) = refused(&world, &[provoke], end).await;
    let fault = report.during("fault");
    fault.of(&[Route::Me]).is_well();
    Row::new(21, "`NOREPLICAS`: `min-replicas-to-write 1`", ALL, "a sign-out says that it failed, never that it did not")
        .saw(format!("sessions read 200, written 503, sign-out 503 and the session lives; limited and cached routes 200 ({})", fault.told()))
        .figure(format!("{} of {0} sign-outs say 503", told.len()))
        .figure(format!("recovered after {}", ms(recovered)))
        .write();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f13_evicting() {
    let world = World::direct().await;
    let load = Load::start(&world.sites).await;
    load.meets(|| {
        world.server.tell("CONFIG SET maxmemory-policy allkeys-lru");
        let used: String = world.server.cmd("INFO", "memory");
        let used: u64 =
            used.lines().find_map(|line| line.strip_prefix("used_memory:")?.parse().ok()).unwrap();
        world.server.tell(&format!("CONFIG SET maxmemory {}", used + (256 << 10)));
    })
    .await;
    let evicted = || -> u64 {
        let stats: String = world.server.cmd("INFO", "stats");
        stats.lines().find_map(|line| line.strip_prefix("evicted_keys:")?.parse().ok()).unwrap()
    };
    let storm = Instant::now();
    let mut n = 0;
    while evicted() < 2_000 || storm.elapsed() < lasting(1_000, 5_000) {
        for _ in 0..200 {
            n += 1;
            world.server.tell(&format!("SET other:{n} {}", "x".repeat(512)));
        }
        tokio::task::yield_now().await;
    }
    load.turns("ends").await;
    world.server.tell("CONFIG SET maxmemory 0");
    load.recovers(Instant::now()).await;
    let report = load.stop().await;
    // Who had read the session, and then wrote, hears that it has ended.
    report.during("fault").has_only(&[200, 401]);
    report.during("after").has_only(&[200]);
    let findings = world.sites[0].store.self_check().await.unwrap();
    let [finding @ Finding::Eviction { .. }] = &findings[..] else { panic!("{findings:?}") };
    Row::new(13, "Evicting: `allkeys-lru`, little memory, a storm of writes", ALL, "what vanished is seen in a metric; a warning at the start")
        .saw("200 everywhere; who was evicted is signed out, a page is made anew, a limit begins anew")
        .figure(format!("the check at the start warns: `{finding}`; {} keys evicted, {} of {} answers to somebody who was signed out", evicted(), report.during("fault").strangers(), report.during("fault").len()))
        .instead(
            "a session that was evicted cannot be told from one that ended or was revoked: no counter could tell more than `evicted_keys` of \
             `INFO stats` does, which `docs/operations.md` says to watch",
        )
        .write();
}
