//! Several workers on one store.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use actix_web::{App, HttpServer, web};
use http::header::COOKIE;
use keep_testing::RedisServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower_keep_actix::session::{SessionCookie, Sessions};
use tower_keep_actix::store::Store;
use tower_keep_actix::{Session, SessionMiddleware, SessionProblem};

/// How long a handler blocks its worker.
const BLOCKED: Duration = Duration::from_secs(2);

async fn count(session: Session) -> Result<String, SessionProblem> {
    Ok(session.increment("n", 1).await?.to_string())
}

/// Blocks the worker's thread, after it has used the store.
async fn block(session: Session) -> Result<String, SessionProblem> {
    session.increment("n", 1).await?;
    std::thread::sleep(BLOCKED);
    Ok("blocked".to_owned())
}

/// A server with workers, on a thread of its own.
struct Server {
    address: SocketAddr,
    handle: actix_web::dev::ServerHandle,
    thread: std::thread::JoinHandle<std::io::Result<()>>,
}

fn serve(redis: &RedisServer, workers: usize) -> Server {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (send, receive) = std::sync::mpsc::channel();
    let url = redis.url();
    let thread = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            // One connection, so that all workers share it whatever worker needed it first.
            let store =
                Store::builder().pool_size(1).deadline(Duration::from_millis(500)).connect(&url).unwrap();
            let cookie = SessionCookie::insecure_for_development();
            let sessions = Sessions::builder(store).cookie(cookie).build().unwrap();
            let app = move || {
                App::new()
                    .route("/count", web::get().to(count))
                    .route("/block", web::get().to(block))
                    .wrap(SessionMiddleware::new(sessions.clone()))
            };
            let server = HttpServer::new(app).workers(workers).listen(listener).unwrap();
            let server = server.disable_signals().shutdown_timeout(30).run();
            send.send(server.handle()).unwrap();
            server.await
        })
    });
    Server { address, handle: receive.recv().unwrap(), thread }
}

/// Sends a request on a connection of its own, and reads to its end.
async fn get(address: SocketAddr, path: &str, cookie: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{COOKIE}: {cookie}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn cookie_of(address: SocketAddr) -> String {
    let answer = get(address, "/count", "").await;
    let line = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    line.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_worker_that_is_blocked_does_not_hold_up_the_others() {
    let redis = RedisServer::start();
    let server = serve(&redis, 2);
    let address = server.address;
    let cookies = [cookie_of(address).await, cookie_of(address).await];
    let begun = Instant::now();
    let first = cookies[0].clone();
    let blocked = tokio::spawn(async move { get(address, "/block", &first).await });
    let (mut served, mut slowest) = (0, Duration::ZERO);
    // New connections go to the workers in turn; those of the blocked one wait for it, so each has a task of its own.
    let asks = (0..40).map(|_| {
        let cookie = cookies[1].clone();
        tokio::spawn(async move {
            let asked = Instant::now();
            let answer = get(address, "/count", &cookie).await;
            (asked.elapsed(), answer)
        })
    });
    let mut answers = Vec::new();
    for ask in asks.collect::<Vec<_>>() {
        answers.push(ask.await.unwrap());
    }
    for (took, answer) in answers {
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        if took < BLOCKED / 2 {
            (served, slowest) = (served + 1, slowest.max(took));
        }
    }
    assert!(served >= 15, "the other worker served {served} at once, the slowest in {slowest:?}");
    assert!(blocked.await.unwrap().starts_with("HTTP/1.1 200") && begun.elapsed() >= BLOCKED);
    assert!(get(address, "/count", &cookies[1]).await.ends_with("\r\n\r\n42"), "each was counted once");
    server.handle.stop(true).await;
    server.thread.join().unwrap().unwrap();
}

#[tokio::test]
async fn what_was_acknowledged_before_the_end_is_kept() {
    let redis = RedisServer::start();
    let server = serve(&redis, 2);
    let (address, cookie) = (server.address, cookie_of(server.address).await);
    let asks = (0..50).map(|_| {
        let cookie = cookie.clone();
        tokio::spawn(async move {
            let Ok(mut stream) = TcpStream::connect(address).await else { return false };
            let request =
                format!("GET /count HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncookie: {cookie}\r\n\r\n");
            let mut answer = String::new();
            let sent = stream.write_all(request.as_bytes()).await;
            sent.is_ok()
                && stream.read_to_string(&mut answer).await.is_ok()
                && answer.starts_with("HTTP/1.1 200")
        })
    });
    let asks: Vec<_> = asks.collect();
    server.handle.stop(true).await;
    server.thread.join().unwrap().unwrap();
    let mut acknowledged = 0;
    for ask in asks {
        acknowledged += i64::from(ask.await.unwrap());
    }
    let again = serve(&redis, 1);
    let counted = get(again.address, "/count", &cookie).await;
    let counted: i64 = counted.rsplit("\r\n").next().unwrap().parse().unwrap();
    assert!(counted >= acknowledged + 2, "{counted} of {acknowledged} and two more");
    again.handle.stop(true).await;
    again.thread.join().unwrap().unwrap();
}

/// Clients that leave at any moment. `KEEP_ABORTS` says how many; by default as many as a test may take.
#[tokio::test]
async fn clients_that_leave_early_leave_the_pool_whole() {
    let aborts: usize = std::env::var("KEEP_ABORTS").ok().and_then(|many| many.parse().ok()).unwrap_or(2_000);
    let redis = RedisServer::start();
    let server = serve(&redis, 2);
    let (address, cookie) = (server.address, cookie_of(server.address).await);
    let request = format!("GET /count HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\n\r\n");
    for n in 0..aborts {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        // Some leave at once, some when the first bytes are there; a reset, so that ports do not run out.
        if n % 3 == 0 {
            let _ = stream.read(&mut [0; 16]).await;
        }
        stream.set_zero_linger().unwrap();
    }
    let own = cookie_of(address).await;
    for n in 2..=20 {
        let answer = get(address, "/count", &own).await;
        assert!(answer.ends_with(&format!("\r\n\r\n{n}")), "{answer}");
    }
    assert!(redis.clients().len() <= 2, "{:?}", redis.clients());
    server.handle.stop(true).await;
    server.thread.join().unwrap().unwrap();
}
