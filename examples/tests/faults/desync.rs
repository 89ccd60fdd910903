//! Replies are shifted against their requests.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, Response};
use keep_testing::{Fault, Proxy, RedisServer};
use tokio::task::JoinSet;
use tower::{Layer, ServiceExt, service_fn};
use tower_keep::cache::{CacheLayer, HttpCache};
use tower_keep::kv::{KeyValue, Ttl};
use tower_keep::session::{SessionHandle, Sessions};
use tower_keep::store::Store;
use tower_keep::store::op::{LoadSession, Loaded, SessionAt};

use crate::load::Load;
use crate::program::eventually;
use crate::row::{Row, either, lasting};
use crate::seen::Route;
use crate::world::{World, usual};

/// Names that are read, each by a task of its own.
const NAMES: u64 = 48;

/// `KEEP_DESYNC_READS`, or what a usual run has time for.
fn reads() -> u64 {
    let set =
        std::env::var("KEEP_DESYNC_READS").ok().map(|n| n.parse().expect("KEEP_DESYNC_READS is a number"));
    set.unwrap_or(either(20_000, 1_000_000))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f10_shifted_replies_under_a_site() {
    let world = World::proxied(|builder| usual(builder).probe_interval(Duration::from_millis(20))).await;
    let load = Load::start(&world.sites).await;
    world.proxies.iter().zip([7, 8]).for_each(|(proxy, seed)| proxy.set(Fault::Drift { one_in: 20, seed }));
    load.phase("fault");
    tokio::time::sleep(lasting(3_000, 15_000)).await;
    load.phase("ends");
    world.set(Fault::None);
    load.recovers(Instant::now()).await;
    let report = load.stop().await;
    let fault = report.during("fault");
    // Whoever got something got their own: that is checked with each answer.
    fault.of(&Route::UNTOUCHED).is_well();
    fault.has_only(&[200, 503]);
    report.during("after").is_well();
    report.adds_up().await;
    let mut detected = 0;
    for (site, proxy) in world.pairs() {
        assert!(proxy.shifts() > 0, "{}", site.framework);
        detected += site.store.health().await.desyncs;
    }
    assert!(detected > 0);
}

/// What a read gave.
#[derive(PartialEq, Eq)]
enum Got {
    Own,
    Refusal,
    /// As if there were nothing.
    Nothing,
}

/// What reads, in each way that there is.
struct Reader {
    sessions: Sessions,
    values: KeyValue<String>,
    pages: CacheLayer,
    handles: Vec<SessionHandle>,
}

impl Reader {
    async fn new(store: &Store) -> Self {
        let sessions = Sessions::new(store.clone());
        let values = KeyValue::<String>::new(store.clone(), "names").unwrap();
        let pages = CacheLayer::new(HttpCache::new(store.clone()).unwrap());
        let mut handles = Vec::new();
        for n in 0..NAMES {
            let session = sessions.start();
            session.insert("name", &format!("name{n}")).unwrap();
            session.save().await.unwrap();
            handles.push(session.handle().unwrap());
            let name = format!("name{n}");
            values.set(&name, &name, Ttl::Never).await.unwrap();
        }
        Self { sessions, values, pages, handles }
    }

    /// Reads a name one way or another, and checks whose value it is.
    async fn reads(&self, n: u64, way: u64) -> Got {
        let name = format!("name{n}");
        let handle = &self.handles[usize::try_from(n).unwrap()];
        match way % 5 {
            0 => match self.sessions.open(handle).await {
                Err(_) => Got::Refusal,
                Ok(None) => Got::Nothing,
                Ok(Some(session)) => own(&session.get::<String>("name").unwrap().unwrap(), &name),
            },
            1 => {
                let at = SessionAt { namespace: "session".into(), handle: handle.as_str().into() };
                match self.sessions.store().run(LoadSession(at)).await {
                    Err(_) => Got::Refusal,
                    Ok(Loaded::Found(record)) => {
                        own(str::from_utf8(&record.fields["name"]).unwrap(), &format!("{name:?}"))
                    }
                    Ok(other) => panic!("the store knows better: {other:?}"),
                }
            }
            2 => match self.values.get(&name).await {
                Err(_) => Got::Refusal,
                Ok(value) => own(&value.expect("it is there"), &name),
            },
            3 => self.reads_two(name, format!("name{}", (n + 1) % NAMES)).await,
            _ => own(&self.page(&name).await, &name),
        }
    }

    async fn reads_two(&self, name: String, next: String) -> Got {
        let Ok(values) = self.values.get_many([&name, &next]).await else { return Got::Refusal };
        for (name, value) in [name, next].into_iter().zip(values) {
            match value {
                Err(_) => return Got::Refusal,
                Ok(value) => own(&value.expect("it is there").value, &name),
            };
        }
        Got::Own
    }

    /// The page of a name, from the cache or, where that fails, from its handler.
    async fn page(&self, name: &str) -> String {
        let handler = service_fn(name_of);
        let request = Request::get(format!("/{name}")).header("host", "localhost");
        let request = request.body(Full::default()).unwrap();
        let response = self.pages.layer(handler).oneshot(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }
}

/// A page that says the name in its path.
async fn name_of(request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = Full::from(request.uri().path()[1..].to_owned());
    Ok(Response::builder().header("cache-control", "max-age=600").body(body).unwrap())
}

fn own(value: &str, name: &str) -> Got {
    assert_eq!(value, name, "a foreign value");
    Got::Own
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f10_no_read_among_shifted_replies_gives_a_foreign_value() {
    let (server, begun) = (RedisServer::start(), Instant::now());
    let proxy = Proxy::start(server.port()).await;
    let store = Store::builder()
        .deadline(Duration::from_millis(500))
        .probe_interval(Duration::from_millis(5))
        .connect(&proxy.url())
        .unwrap();
    let reader = Arc::new(Reader::new(&store).await);
    let left = Arc::new(AtomicU64::new(reads()));
    let counts: Arc<[AtomicU64; 2]> = Arc::default();
    let connections = proxy.accepted();
    proxy.set(Fault::Drift { one_in: 100, seed: 325 });
    let mut tasks = JoinSet::new();
    for n in 0..NAMES {
        let (reader, left, counts) = (Arc::clone(&reader), Arc::clone(&left), Arc::clone(&counts));
        tasks.spawn(async move {
            let mut way = n;
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
            {
                way += 1;
                let got = reader.reads(n, way).await;
                if got != Got::Own {
                    counts[usize::from(got == Got::Nothing)].fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    proxy.set(Fault::None);
    eventually("it serves again", async || store.health().await.is_up()).await;
    let (detected, shifts) = (store.health().await.desyncs, proxy.shifts());
    let replaced = proxy.accepted() - connections;
    let [refused, nothing] = [0, 1].map(|which: usize| counts[which].load(Ordering::Relaxed));
    assert!(detected > 0 && shifts > 0, "{detected} of {shifts} detected");
    assert!(replaced >= detected, "each such connection is gone: {replaced} new ones, {detected} detected");
    assert!(refused < reads() / 2, "most reads were served: {refused}");
    Row::new(
        10,
        "Shifted replies: one added, removed, repeated or split by a line's end, at random",
        "sessions, values, limits, cache; axum, actix-web",
        "10^6 reads: no foreign value, at least one detection, the connection gone",
    )
    .saw("one's own value, or 503 with `Retry-After`; limited and cached routes 200; no cookie is touched by a refusal")
    .figure(format!("{} reads among {shifts} shifts: 0 foreign values, {refused} refused, {nothing} as if there were nothing", reads()))
    .figure(format!("{detected} detections, {replaced} connections replaced, in {} s", begun.elapsed().as_secs()))
    .instead(
        "a record that is not its own twice in a row, on two connections, counts as damaged, which is no session: else one that somebody put \
         under a wrong key would be a 503 for ever. Where every few replies are shifted that happens by chance",
    )
    .write();
}
