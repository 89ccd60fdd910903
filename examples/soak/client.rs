//! HTTP over kept connections.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, header};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Whoever is not answered within this time never will be.
const PATIENCE: Duration = Duration::from_secs(15);
pub const COOKIE: &str = "session";

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// The value of the session cookie that it sets, if it sets one.
    pub cookie: Option<String>,
    pub body: Bytes,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nothing {
    /// The connection or the body ended early.
    Broken,
    /// It never came.
    Never,
}

pub struct Client {
    address: SocketAddr,
    pool: Mutex<Pool<HttpConnector, Full<Bytes>>>,
}

/// Connections stay open as those of a load balancer do. Else each outage would open and close hundreds of them, whose buffers, the HTTP
/// server's, would be most of what is seen of the site's memory.
fn pool() -> Pool<HttpConnector, Full<Bytes>> {
    Pool::builder(TokioExecutor::new()).pool_idle_timeout(None).build_http()
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, pool: Mutex::new(pool()) }
    }

    /// Closes all connections.
    pub fn rest(&self) {
        *self.pool.lock().unwrap() = pool();
    }

    pub async fn send(
        &self,
        method: &str,
        path: &str,
        cookie: Option<&str>,
        fields: &[(&str, &str)],
    ) -> Result<Answer, Nothing> {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, format!("{COOKIE}={cookie}"));
        }
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let sent = self.pool.lock().unwrap().request(request.body(Full::default()).unwrap());
        let whole = async {
            let (head, body) = sent.await.map_err(|_| Nothing::Broken)?.into_parts();
            let body = body.collect().await.map_err(|_| Nothing::Broken)?.to_bytes();
            let mut lines =
                head.headers.get_all(header::SET_COOKIE).iter().filter_map(|line| line.to_str().ok());
            let cookie =
                lines.find_map(|line| line.strip_prefix(COOKIE)?.strip_prefix('=')?.split(';').next());
            let cookie = cookie.filter(|value| !value.is_empty()).map(str::to_owned);
            Ok(Answer { status: head.status.as_u16(), cookie, body })
        };
        tokio::time::timeout(PATIENCE, whole).await.unwrap_or(Err(Nothing::Never))
    }
}
