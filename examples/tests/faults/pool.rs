//! Too few connections for too many requests, and many stores that come back at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use keep_testing::{Fault, Proxy, RedisServer};
use tokio::task::JoinSet;
use tower_keep::kv::{KeyValue, KvError, Ttl};
use tower_keep::store::{Store, StoreErrorKind};

use crate::load::Load;
use crate::program::eventually;
use crate::row::{ALL, Row, either, lasting, ms};
use crate::seen::Route;
use crate::world::{World, usual};

/// Memory of this process, in KiB.
fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// How many ask at once, and how many of them may wait.
const CROWD: usize = 5_000;
const MAY_WAIT: usize = 1_024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f33_nobody_gets_a_connection() {
    // The connections there are end, and those that are opened get no answer.
    let world = World::proxied(|builder| usual(builder).connect_timeout(Duration::from_secs(30))).await;
    let values = KeyValue::<String>::new(world.sites[0].store.clone(), "names").unwrap();
    values.set("name", &"value".to_owned(), Ttl::Never).await.unwrap();
    let before = memory_kib();
    world.set(Fault::HoldNew);
    world.server.kill_clients();
    let mut tasks = JoinSet::new();
    for _ in 0..CROWD {
        let values = values.clone();
        tasks.spawn(async move {
            let begun = Instant::now();
            let kind = match values.get("name").await.unwrap_err() {
                KvError::Store(error) => error.kind(),
                other => panic!("{other:?}"),
            };
            (kind, begun.elapsed())
        });
    }
    let (mut shed, mut late) = (Vec::new(), Vec::new());
    let mut most_memory = 0;
    while let Some(done) = tasks.join_next().await {
        let (kind, took) = done.unwrap();
        match kind {
            StoreErrorKind::Overloaded => shed.push(took),
            StoreErrorKind::Timeout
            | StoreErrorKind::Unavailable
            | StoreErrorKind::Refused
            | StoreErrorKind::Disconnected => late.push(took),
            other => panic!("{other:?}"),
        }
        most_memory = most_memory.max(memory_kib());
    }
    shed.sort();
    assert!(late.len() <= MAY_WAIT + 64, "{} waited", late.len());
    assert!(shed.len() + late.len() == CROWD && !shed.is_empty());
    // Visitors hear it in time as well.
    for site in &world.sites {
        assert_eq!(site.client().get("/strict").await.status, 503);
        assert_eq!(site.client().get("/limited").await.status, 200);
    }
    world.set(Fault::None);
    for site in &world.sites {
        site.is_up().await;
    }
    assert_eq!(values.get("name").await.unwrap().as_deref(), Some("value"));
    let median = shed[shed.len() / 2];
    Row::new(
        33,
        "No connection to be had: handshakes unanswered, 5,000 requests at once",
        "store, limits; axum, actix-web",
        "waiters ≤ their bound; memory < 20 MB; shed within 1 ms; nobody starves",
    )
    .saw("who may not wait any more is refused at once, who waits after the deadline: 503 or by policy")
    .figure(format!(
        "{} waited (bound {MAY_WAIT}), {} shed, half of them within {}",
        late.len(),
        shed.len(),
        ms(median)
    ))
    .figure(format!("{} KiB more memory", most_memory.saturating_sub(before)))
    .write();
}

const STORES: usize = 20;
const POOL: u32 = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f40_many_stores_come_back_at_once() {
    let mut server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let mut stores = Vec::new();
    for _ in 0..STORES {
        let store = usual(Store::builder()).pool_size(POOL).connect(&proxy.url()).unwrap();
        stores.push(KeyValue::<u64>::new(store, "numbers").unwrap());
    }
    let stop = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for values in stores.iter().chain(&stores) {
        let (values, stop) = (values.clone(), Arc::clone(&stop));
        tasks.spawn(async move {
            while stop.load(Ordering::Relaxed) == 0 {
                let _ = values.get("n").await; // whether it works does not matter: it is load
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }
    for values in &stores {
        eventually("it serves", async || values.get("n").await.is_ok()).await;
    }
    server.stop();
    for values in &stores {
        eventually("it is noticed", async || values.get("n").await.is_err()).await;
    }
    let (down, begun) = (proxy.accepted(), Instant::now());
    tokio::time::sleep(lasting(1_500, 5_000)).await;
    let while_down = (proxy.accepted() - down) as f64 / begun.elapsed().as_secs_f64();
    server.restart();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let connects = server.received() - 1;
    for values in &stores {
        eventually("it serves again", async || values.get("n").await.is_ok()).await;
    }
    stop.store(1, Ordering::Relaxed);
    tasks.join_all().await;
    let total = STORES as u64 * u64::from(POOL);
    assert!(connects <= 2 * total, "{connects} connects in the first second");
    Row::new(40, "Recovery herd: 20 stores with pools of 10, under load, when Redis is back", "store", "connects in the first second ≤ twice the pools' size")
        .saw("no difference to one store")
        .figure(format!("{connects} connects in the first second, of {total} allowed connections; {while_down:.0} a second of all stores while it was down"))
        .write();
}

/// Visitors who do not wait for their answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f34_clients_that_abort() {
    let world = World::direct().await;
    let load = Load::start(&world.sites).await;
    load.phase("fault");
    let most = either(1_500, 30_000);
    let mut aborted = 0;
    let mut rng = keep_testing::Rng(34);
    while aborted < most {
        for visitor in load.others() {
            let path = rng.of(&["GET /me", "POST /count", "GET /page/abort", "GET /strict"]);
            let pause = Duration::from_micros(rng.below(3_000) as u64);
            tokio::spawn(abort(visitor.site.address(), path, visitor.browser.session().to_owned(), pause));
            aborted += 1;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    load.recovers(Instant::now()).await;
    let mut pools = Vec::new();
    for visitor in load.others() {
        let mut browser = visitor.browser.clone();
        assert_eq!(browser.get("/me").await.body, visitor.name, "the session lives");
        let health = visitor.site.store.health().await;
        assert!(
            health.pool.connections <= 4 && health.pool.waiting == 0 && health.desyncs == 0,
            "{health:?}"
        );
        pools.push(health.pool.connections);
    }
    let report = load.stop().await;
    let fault = report.during("fault");
    fault.of(&Route::UNTOUCHED).is_well();
    fault.has_only(&[200, 503]); // a machine that is busy with the storm may miss a deadline
    assert_eq!(fault.strangers(), 0);
    report.during("after").is_well();
    report.adds_up().await;
    Row::new(
        34,
        "Clients abort: a request is sent, and the connection reset after 0 to 3 ms",
        ALL,
        "the pools are whole, no wrong value, no session lost",
    )
    .saw(format!("everybody else 200, or 503 after the deadline ({} of {})", fault.count(503), fault.len()))
    .figure(format!("{aborted} aborted; pools of {} and {} connections, 0 desyncs", pools[0], pools[1]))
    .write();
}

/// Sends a request and resets the connection.
async fn abort(address: std::net::SocketAddr, request: &'static str, cookie: String, pause: Duration) {
    use tokio::io::AsyncWriteExt;
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let text = format!(
        "{request} HTTP/1.1\r\nHost: localhost\r\nCookie: session={cookie}\r\nContent-Length: 0\r\n\r\n"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    tokio::time::sleep(pause).await;
    stream.set_zero_linger().unwrap();
}
