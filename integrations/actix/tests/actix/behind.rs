//! What is done behind a response does not depend on the worker that sent it: it is the store's runtime that does it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::ServerHandle;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer, rt};
use keep_testing::{RedisServer, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower_keep_actix::RateLimitMiddleware;
use tower_keep_actix::cache::{CacheMiddleware, HttpCache};
use tower_keep_actix::rate_limit::{By, KeyPart, Limit, LimitKey, Quota, RateLimiter, Settle};
use tower_keep_actix::store::Store;

const TEXT: &str = "a page of 21 letters.";
const DAY: Quota = Quota::window(1_000, Duration::from_secs(86_400));

/// What holds a worker up when it has sent a body.
type Held = Arc<(AtomicBool, std::sync::Mutex<mpsc::Receiver<()>>)>;

/// A body whose worker is held up right after it.
struct Last(Option<&'static str>, Held);

impl MessageBody for Last {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(TEXT.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let text = self.0.take();
        if text.is_none() {
            // Runs when the connection's task has sent what it has.
            let held = Arc::clone(&self.1);
            rt::spawn(async move {
                if !held.0.swap(true, Ordering::SeqCst) {
                    let _ = held.1.lock().unwrap().recv();
                }
            });
        }
        Poll::Ready(text.map(|text| Ok(Bytes::from_static(text.as_bytes()))))
    }
}

/// A server with one worker, whose store belongs to the test's runtime.
struct Server {
    address: SocketAddr,
    handle: ServerHandle,
    thread: std::thread::JoinHandle<()>,
    held: Held,
    /// Lets the worker go on.
    release: mpsc::Sender<()>,
}

fn limiter(store: &Store) -> RateLimiter {
    RateLimiter::builder(store.clone()).limit(Limit::new("bytes", DAY)).build().unwrap()
}

fn serve(store: &Store) -> Server {
    let (release, receive) = mpsc::channel();
    let held: Held = Arc::new((AtomicBool::new(false), std::sync::Mutex::new(receive)));
    let (tell, told) = mpsc::channel();
    let (limiter, cache, hold) = (limiter(store), HttpCache::new(store.clone()).unwrap(), Arc::clone(&held));
    let app = move || {
        let page = |cache_control: &'static str, held: Held| {
            web::to(move || {
                let body = Last(Some(TEXT), Arc::clone(&held));
                std::future::ready(
                    HttpResponse::Ok().insert_header((CACHE_CONTROL, cache_control)).body(body),
                )
            })
        };
        let bytes = Settle::by_bytes(NonZeroU64::MIN);
        let metered =
            RateLimitMiddleware::builder(limiter.clone(), By::path()).settle(bytes).build().unwrap();
        App::new()
            .route("/page", page("max-age=60", Arc::clone(&hold)))
            .route("/private", page("private", Arc::clone(&hold)))
            .wrap(CacheMiddleware::new(cache.clone()))
            .wrap(RateLimitMiddleware::from(metered))
    };
    let thread = std::thread::spawn(move || {
        rt::System::new().block_on(async move {
            let server = HttpServer::new(app).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
            let (address, server) = (server.addrs()[0], server.run());
            tell.send((address, server.handle())).unwrap();
            server.await.unwrap();
        });
    });
    let (address, handle) = told.recv().unwrap();
    Server { address, handle, thread, held, release }
}

/// Asks, and reads the response to its last byte.
async fn get(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(TEXT.as_bytes()) {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "{}", String::from_utf8_lossy(&answer));
    }
    stream
}

/// Settled, and stored or given back, without the worker.
async fn all_is_done(redis: &RedisServer, store: &Store, path: &str) {
    let limiter = limiter(store);
    let settled = async || {
        let left = limiter.peek(LimitKey::from(KeyPart::path(path))).await.unwrap().remaining();
        left == Some(1_000 - TEXT.len() as u64)
    };
    eventually("the charge is settled by bytes", settled).await;
    let keys = |part: &str| -> Vec<String> { redis.cmd("KEYS", format!("keep:cache:*{part}*")) };
    eventually("the right to fill is given back", async || keys(":fill").is_empty()).await;
    if path == "/page" {
        eventually("the response is stored", async || !keys("").is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_done_behind_a_response_is_done_while_its_worker_is_blocked() {
    for path in ["/page", "/private"] {
        let redis = RedisServer::start();
        let store = Store::connect(&redis.url()).unwrap();
        let server = serve(&store);
        let connection = get(server.address, path).await;
        eventually("the worker is blocked", async || server.held.0.load(Ordering::SeqCst)).await;
        all_is_done(&redis, &store, path).await;
        server.release.send(()).unwrap();
        drop(connection);
        server.handle.stop(false).await;
        server.thread.join().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_done_behind_a_response_is_done_though_its_worker_ends() {
    for path in ["/page", "/private"] {
        let redis = RedisServer::start();
        let store = Store::connect(&redis.url()).unwrap();
        let server = serve(&store);
        server.held.0.store(true, Ordering::SeqCst); // nobody is held up
        let connection = get(server.address, path).await;
        server.handle.stop(false).await;
        server.thread.join().unwrap();
        drop(connection);
        all_is_done(&redis, &store, path).await;
    }
}
