//! Passwords change, and rights are missing.

use std::time::Instant;

use keep_testing::RedisServer;
use tower_keep::store::{Finding, Store, StoreErrorKind, StoreStatus};

use crate::load::Load;
use crate::program::eventually;
use crate::row::{ALL, Row, lasting, ms};
use crate::seen::Route;
use crate::site::Site;
use crate::world::{World, usual};

/// A server whose administrator is another user than the sites', and the sites.
async fn with_user(rules: &[&str]) -> World {
    let server = RedisServer::start();
    let url = user(&server, "secret", rules);
    let sites = Site::both([url.clone(), url], usual).await;
    World { server, proxies: Vec::new(), sites }
}

/// Sets the sites' user up, and tells the URL by which they sign in.
fn user(server: &RedisServer, password: &str, rules: &[&str]) -> String {
    let password = format!(">{password}");
    let _: () =
        server.cmd("ACL", [&["SETUSER", "site", "reset", "on", &password, "~*", "&*"], rules].concat());
    server.url().replace("redis://", "redis://site:secret@")
}

async fn say(world: &World, kind: StoreErrorKind) {
    for site in &world.sites {
        eventually("the store says why", async || {
            let health = site.store.health().await;
            health.latency.is_err_and(|error| error.kind() == kind) && health.status == StoreStatus::Down
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f18_a_password_that_changed() {
    let world = with_user(&["+@all"]).await;
    let load = Load::start(&world.sites).await;
    load.meets(|| drop(user(&world.server, "another", &["+@all"]))).await;
    load.phase("open");
    tokio::time::sleep(lasting(500, 1_000)).await;
    load.turns("killed").await;
    let received = world.server.received();
    world.server.kill_clients();
    say(&world, StoreErrorKind::Auth).await;
    load.phase("fault");
    let begun = Instant::now();
    tokio::time::sleep(lasting(2_000, 5_000)).await;
    let (connects, seconds) = (world.server.received() - received, begun.elapsed().as_secs_f64());
    load.phase("ends");
    user(&world.server, "secret", &["+@all"]);
    let recovered = load.recovers(Instant::now()).await;
    let report = load.stop().await;
    report.is_an_outage("fault").await;
    report.during("open").is_well();
    let fault = report.during("fault");
    fault.of(&Route::REFUSED).has_only(&[503]);
    let per_second = connects as f64 / seconds / 2.0;
    assert!(per_second < 15.0, "{per_second} connects a second for each store");
    Row::new(18, "Password changed under the pool; all connections killed; changed back", ALL, "typed, not a storm of attempts (probes ≤ 1/s), and the right password is taken without a restart")
        .saw(format!("open connections serve on; then as F3 ({}); the health says `auth`", fault.told()))
        .figure(format!("{per_second:.1} attempts a second for each store"))
        .figure(format!("recovered after {}", ms(recovered)))
        .instead("probes come each `probe_interval`, 250 ms by default, whatever the reason: recovery within a second matters more than the third and fourth attempt, and Redis does not lock users out")
        .write();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f19_rights_that_are_missing() {
    let world = with_user(&["+@all"]).await;
    let load = Load::start(&world.sites).await;
    let mut seen = Vec::new();
    // What is taken away, and whose answers that changes.
    for (rules, refused) in [
        (&["+@all", "-hgetall"][..], &[Route::Me, Route::Count][..]),
        (&["+@all", "-evalsha", "-eval"], &[Route::Count, Route::Strict]),
        (&["+@all", "-mget"], &[]),
        (&["resetkeys", "~other:*", "+@all"], &Route::REFUSED),
    ] {
        load.meets(|| drop(user(&world.server, "secret", rules))).await;
        tokio::time::sleep(lasting(500, 1_000)).await;
        load.phase("checks");
        seen.push((rules, refused));
        for visitor in load.others() {
            let mut browser = visitor.browser.clone();
            for (route, path) in [
                (Route::Me, "/me"),
                (Route::Strict, "/strict"),
                (Route::Page, "/page/x"),
                (Route::Limited, "/limited"),
            ] {
                let status = browser.get(path).await.status.as_u16();
                assert_eq!(status, if refused.contains(&route) { 503 } else { 200 }, "{rules:?} {path}");
            }
            assert_eq!(
                browser.post("/count").await.status == 503,
                refused.contains(&Route::Count),
                "{rules:?}"
            );
            assert_eq!(visitor.site.store.health().await.status, StoreStatus::Up, "the server is there");
        }
    }
    load.phase("deleted");
    world.server.tell("ACL DELUSER site");
    say(&world, StoreErrorKind::Auth).await;
    load.phase("ends");
    user(&world.server, "secret", &["+@all"]);
    let recovered = load.recovers(Instant::now()).await;
    let report = load.stop().await;
    report.during("fault").of(&Route::UNTOUCHED).is_well();
    report.during("fault").has_only(&[200, 503]);
    report.during("after").is_well();
    report.adds_up().await;
    let typed = refusal(&world.server).await;
    Row::new(19, "Rights taken away while it runs: `HGETALL`; scripts; `MGET`; the keys; then `ACL DELUSER`", ALL, "typed; a check at the start names what is missing")
        .saw("503 where what is missing is needed, 200 elsewhere; deleted: as F3")
        .figure(format!("kind `{typed}`; the check at the start names `GET` to whom it is missing; {} sets of rights; recovered after {}", seen.len(), ms(recovered)))
        .write();
}

async fn refusal(server: &RedisServer) -> &'static str {
    let store = Store::connect(&user(server, "secret", &["+@all", "-get"])).unwrap();
    eventually("it serves", async || store.health().await.is_up()).await;
    let values = tower_keep::kv::KeyValue::<u8>::new(store.clone(), "n").unwrap();
    assert_eq!(store.self_check().await.unwrap(), [Finding::MissingCommands(vec!["GET"])]);
    match values.get("a").await.unwrap_err() {
        tower_keep::kv::KvError::Store(error) => error.kind().as_str(),
        other => panic!("{other:?}"),
    }
}
