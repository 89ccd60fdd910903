//! The load generator: HTTP/1.1 over keep-alive connections on one thread, each with one request under way.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::servers::Error;

/// Opening the connections and the servers' first allocations are not measured.
const WARM_UP: Duration = Duration::from_millis(300);

/// A request, ready for the wire.
pub fn request(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = if body.is_empty() && method == "GET" {
        String::new()
    } else {
        format!("content-length: {}\r\n", body.len())
    };
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{headers}{length}\r\n{body}").into_bytes()
}

/// The head of a response.
#[derive(Debug)]
pub struct Response {
    pub head: String,
}

impl Response {
    /// Whether the status begins so.
    pub fn has(&self, status: &str) -> bool {
        has(self.head.as_bytes(), status)
    }

    /// The `name=value` of the first `Set-Cookie`.
    pub fn cookie(&self) -> Option<&str> {
        let line = self.head.lines().find_map(|line| line.strip_prefix("set-cookie: "))?;
        line.split(';').next()
    }
}

/// Sends one request over a connection of its own.
pub fn fetch(addr: SocketAddr, request: &[u8]) -> Result<Response, Error> {
    block_on(async {
        let mut connection = Connection::open(addr).await?;
        let (head, _) = connection.exchange(request).await?;
        Ok(Response { head: String::from_utf8_lossy(&connection.buffer[..head]).into_owned() })
    })
}

/// What one case did in one round.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// One latency for each answered request, ascending, in microseconds.
    pub latencies_us: Vec<u32>,
    /// Answered requests, those of the warm-up included.
    pub answered: usize,
    /// Requests that were answered otherwise than they should, or whose connection ended.
    pub bad: usize,
}

impl Measured {
    pub fn quantile_us(&self, q: f64) -> u32 {
        let at = (self.latencies_us.len() as f64 * q) as usize;
        self.latencies_us.get(at).or(self.latencies_us.last()).copied().unwrap_or(0)
    }
}

/// Sends `request` over `connections` for `time`. `started` is called when the warm-up is over. `status`: how that of a good answer
/// begins.
pub fn run(
    addr: SocketAddr,
    request: &[u8],
    status: &'static str,
    connections: usize,
    time: Duration,
    started: impl FnOnce(),
) -> Result<Measured, Error> {
    let from = Instant::now() + WARM_UP;
    let (request, until): (std::sync::Arc<[u8]>, _) = (request.into(), from + time);
    block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..connections {
            let request = request.clone();
            tasks.spawn(async move { drive(addr, &request, status, from, until).await });
        }
        tokio::time::sleep_until(from.into()).await;
        started();
        let mut all = Measured::default();
        while let Some(one) = tasks.join_next().await {
            let one = one?;
            all.latencies_us.extend(one.latencies_us);
            all.answered += one.answered;
            all.bad += one.bad;
        }
        all.latencies_us.sort_unstable();
        Ok(all)
    })
}

async fn drive(addr: SocketAddr, request: &[u8], status: &str, from: Instant, until: Instant) -> Measured {
    let mut measured = Measured::default();
    let Ok(mut connection) = Connection::open(addr).await else {
        return Measured { bad: 1, ..measured };
    };
    let mut begun = Instant::now();
    while begun < until {
        let Ok((head, _)) = connection.exchange(request).await else {
            measured.bad += 1;
            return measured;
        };
        measured.answered += 1;
        measured.bad += usize::from(!has(&connection.buffer[..head], status));
        let ended = Instant::now();
        if ended >= from && ended < until {
            let micros = ended.duration_since(begun).as_micros();
            measured.latencies_us.push(u32::try_from(micros).unwrap_or(u32::MAX));
        }
        begun = ended;
    }
    measured
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(addr: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 << 10) })
    }

    /// One request and its response; tells where its head and where it ends in the buffer.
    async fn exchange(&mut self, request: &[u8]) -> std::io::Result<(usize, usize)> {
        self.buffer.clear();
        self.stream.write_all(request).await?;
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if let Some((head, total)) = lengths(&self.buffer)
                && self.buffer.len() >= total
            {
                return Ok((head, total));
            }
        }
    }
}

fn has(head: &[u8], status: &str) -> bool {
    head.strip_prefix(b"HTTP/1.1 ").is_some_and(|rest| rest.starts_with(status.as_bytes()))
}

/// The length of the head and of the whole response. hyper writes header names in lower case. Searched by words of the processor, so
/// that a response with a longer head costs the generator hardly more: the servers are compared, not it.
fn lengths(response: &[u8]) -> Option<(usize, usize)> {
    let head = memmem::find(response, b"\r\n\r\n")? + 4;
    let name = b"\ncontent-length: ";
    let length = memmem::find(&response[..head], name).and_then(|at| {
        let digits = response[at + name.len()..].split(|b| !b.is_ascii_digit()).next()?;
        std::str::from_utf8(digits).ok()?.parse::<usize>().ok()
    });
    Some((head, head + length.unwrap_or(0)))
}

fn block_on<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}
