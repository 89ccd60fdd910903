//! Stores, caches, sites behind them and what clients get.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use keep_testing::RedisServer;
pub use keep_testing::eventually;
use tokio::sync::mpsc;
use tower::{Layer, Service, ServiceExt};
use tower_keep::cache::{
    CacheBody, CacheBodyError, CacheLayer, CachePolicy, CacheService, HttpCache, HttpCacheBuilder,
};
use tower_keep::clock::Clock;
use tower_keep::store::{MemoryLimits, Store};

/// Fields of a request or a response.
pub type Fields<'a> = &'a [(&'a str, &'a str)];

/// Runs each test on the embedded store, whose clock stands still, and on a Redis server of its own.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test] async fn $name() { super::$name($crate::fixture::World::embedded()).await; })+
        }
        mod redis {
            $(#[tokio::test] async fn $name() { super::$name($crate::fixture::World::redis()).await; })+
        }
    };
}
pub(crate) use on_both;

/// The same with two worker threads.
macro_rules! on_both_threads {
    ($($name:ident),+ $(,)?) => {
        mod embedded_threads {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() { super::$name($crate::fixture::World::embedded()).await; }
            )+
        }
        mod redis_threads {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() { super::$name($crate::fixture::World::redis()).await; }
            )+
        }
    };
}
pub(crate) use on_both_threads;

pub const LONG: Duration = Duration::from_secs(20);
pub const START_MS: u64 = 1_700_000_000_000;
pub const HOST: &str = "shop.example";
/// Fresh for a day.
pub const DAY: &[(&str, &str)] = &[("cache-control", "max-age=86400")];

/// A store, and what is needed to let it age or break.
pub struct World {
    pub store: Store,
    pub clock: Clock,
    pub redis: Option<RedisServer>,
}

impl World {
    pub fn embedded() -> Self {
        let clock = Clock::manual(START_MS);
        Self { store: Store::in_memory_with(MemoryLimits::default(), clock.clone()), clock, redis: None }
    }

    pub fn redis() -> Self {
        let server = RedisServer::start();
        Self { store: patient(&server), clock: Clock::system(), redis: Some(server) }
    }

    /// A cache with time enough on a busy machine.
    pub fn builder(&self) -> HttpCacheBuilder {
        HttpCache::builder(self.store.clone()).deadline(LONG).wait(LONG)
    }

    pub fn cache(&self) -> HttpCache {
        self.builder().build().unwrap()
    }

    pub fn with(&self, policy: CachePolicy) -> HttpCache {
        self.builder().policy(policy).build().unwrap()
    }

    pub fn server(&self) -> &RedisServer {
        self.redis.as_ref().unwrap()
    }
}

/// A store with time enough, too.
pub fn patient(server: &RedisServer) -> Store {
    Store::builder()
        .deadline(LONG)
        .probe_interval(Duration::from_millis(20))
        .without_self_check()
        .connect(&server.url())
        .unwrap()
}

/// What a handler fails with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble(pub &'static str);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Trouble {}

pub type TestBody = UnsyncBoxBody<Bytes, Trouble>;
pub type Handled = Result<Response<TestBody>, Trouble>;
pub type Raw = Response<CacheBody<TestBody>>;
type Handling = Pin<Box<dyn Future<Output = Handled> + Send>>;
type Handle = Box<dyn Fn(Request<()>, usize) -> Handling + Send + Sync>;

pub fn full(body: impl Into<Bytes>) -> TestBody {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A response.
pub fn answer(status: u16, body: impl Into<Bytes>, fields: &[(&str, &str)]) -> Response<TestBody> {
    let builder = fields.iter().fold(Response::builder().status(status), |b, (n, v)| b.header(*n, *v));
    builder.body(full(body)).unwrap()
}

/// A page.
pub fn page(body: impl Into<Bytes>, fields: &[(&str, &str)]) -> Handled {
    Ok(answer(200, body, fields))
}

/// A body whose pieces a test sends one by one. It ends when the sender is dropped.
pub fn piped() -> (mpsc::UnboundedSender<Result<Bytes, Trouble>>, TestBody) {
    let (send, pieces) = mpsc::unbounded_channel();
    (send, Piped(pieces).boxed_unsync())
}

struct Piped(mpsc::UnboundedReceiver<Result<Bytes, Trouble>>);

impl Body for Piped {
    type Data = Bytes;
    type Error = Trouble;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Trouble>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// A body of one piece that is made when it is asked for.
pub fn made(piece: impl Future<Output = Bytes> + Send + 'static) -> TestBody {
    Made(Some(Box::pin(piece))).boxed_unsync()
}

struct Made(Option<Pin<Box<dyn Future<Output = Bytes> + Send>>>);

impl Body for Made {
    type Data = Bytes;
    type Error = Trouble;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Trouble>>> {
        let Some(piece) = &mut self.0 else { return Poll::Ready(None) };
        let piece = std::task::ready!(piece.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

/// The service behind the cache. Counts its calls and remembers what it was asked.
#[derive(Clone)]
pub struct Origin(Arc<Shared>);

struct Shared {
    handle: Handle,
    calls: AtomicUsize,
    heard: Mutex<Vec<Parts>>,
}

impl Origin {
    /// `handle` gets the request and how many came before it.
    pub fn new<F>(handle: impl Fn(Request<()>, usize) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Handled> + Send + 'static,
    {
        let handle: Handle = Box::new(move |request, n| Box::pin(handle(request, n)));
        Self(Arc::new(Shared { handle, calls: AtomicUsize::new(0), heard: Mutex::default() }))
    }

    pub fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// The head of the last request that reached it.
    pub fn last(&self) -> Parts {
        self.0.heard.lock().unwrap().last().unwrap().clone()
    }
}

impl Service<Request<()>> for Origin {
    type Response = Response<TestBody>;
    type Error = Trouble;
    type Future = Handling;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Trouble>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Handling {
        let n = self.0.calls.fetch_add(1, Ordering::SeqCst);
        let (head, ()) = request.into_parts();
        self.0.heard.lock().unwrap().push(head.clone());
        (self.0.handle)(Request::from_parts(head, ()), n)
    }
}

/// A cache in front of an origin.
#[derive(Clone)]
pub struct Site {
    pub cache: HttpCache,
    pub origin: Origin,
    service: CacheService<Origin>,
}

impl Site {
    pub fn new<F>(cache: HttpCache, handle: impl Fn(Request<()>, usize) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Handled> + Send + 'static,
    {
        Self::before(cache, Origin::new(handle))
    }

    pub fn before(cache: HttpCache, origin: Origin) -> Self {
        let service = CacheLayer::new(cache.clone()).layer(origin.clone());
        Self { cache, origin, service }
    }

    /// The same origin behind another cache.
    pub fn behind(&self, cache: HttpCache) -> Self {
        Self::before(cache, self.origin.clone())
    }

    /// Each page tells how many were made before it.
    pub fn counting(cache: HttpCache, fields: &'static [(&str, &str)]) -> Self {
        Self::new(cache, move |_, n| async move { page(n.to_string(), fields) })
    }

    pub async fn try_raw(&self, request: Request<()>) -> Result<Raw, Trouble> {
        self.service.clone().oneshot(request).await
    }

    pub async fn raw(&self, request: Request<()>) -> Raw {
        self.try_raw(request).await.unwrap()
    }

    pub async fn send(&self, request: Request<()>) -> Reply {
        Reply::read(self.raw(request).await).await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(get(path, &[])).await
    }

    pub fn calls(&self) -> usize {
        self.origin.calls()
    }

    /// The same request until it is answered from the store: what was stored before is there then.
    pub async fn stored(&self, asked: impl Fn() -> Request<()>) -> Reply {
        let reply = self.send(asked()).await;
        if reply.is_hit() { reply } else { self.hit(asked()).await }
    }

    /// An answer from the store.
    pub async fn hit(&self, asked: Request<()>) -> Reply {
        let reply = self.send(asked).await;
        assert!(reply.is_hit(), "{}", reply.told());
        reply
    }
}

pub fn request(method: &str, path: &str, fields: &[(&str, &str)]) -> Request<()> {
    let mut builder = Request::builder().method(method).uri(path);
    if fields.iter().all(|(name, _)| *name != "host") {
        builder = builder.header("host", HOST);
    }
    fields.iter().fold(builder, |b, (name, value)| b.header(*name, *value)).body(()).unwrap()
}

pub fn get(path: &str, fields: &[(&str, &str)]) -> Request<()> {
    request("GET", path, fields)
}

/// A response as a client sees it.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub async fn read<B>(response: Response<B>) -> Result<Self, B::Error>
    where
        B: http_body::Body<Data = Bytes>,
    {
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Self { status: head.status, headers: head.headers, body })
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// A field's first line.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// What our cache says about itself.
    pub fn told(&self) -> &str {
        self.field("cache-status").unwrap()
    }

    pub fn is_hit(&self) -> bool {
        self.field("cache-status").is_some_and(|told| told.starts_with("tower-keep; hit"))
    }
}

/// Whether a body ended early.
pub fn is_truncated(error: &CacheBodyError<Trouble>) -> bool {
    matches!(error, CacheBodyError::Truncated)
}
