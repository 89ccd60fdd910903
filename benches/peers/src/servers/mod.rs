//! The servers. Each runs in a process of its own: this program, started again with `serve NAME`.

mod actix;
mod axum_response_cache;
mod cache;
mod limit;
mod limiter;
mod ours;
mod tower_governor;
mod tower_http_cache;
mod tower_rate_limit_redis;
mod tower_sessions;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The limit's string and hash: as large as a session, and a copy of one.
pub const STRING: &str = "limit:string";
pub const HASH: &str = "limit:hash";
/// A copy of a session of [`Kind::ActixOurs`].
pub const ACTIX_HASH: &str = "limit:actix-hash";
/// A limit a second that nobody reaches.
const MANY: u64 = 1_000_000;
/// The pages of the cache's cases, with their sizes in bytes.
pub const PAGES: [(&str, usize); 2] = [("1k", 1 << 10), ("64k", 64 << 10)];
/// The one entry of a session.
const COUNT: &str = "count";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Limit,
    Ours,
    Demo,
    TowerSessions,
    Limiter,
    TowerGovernor,
    TowerRateLimitRedis,
    Cache,
    TowerHttpCache,
    AxumResponseCache,
    ActixLimit,
    ActixOurs,
    ActixSession,
    ActixLimitation,
}

impl Kind {
    pub const ALL: [Self; 14] = [
        Self::Limit,
        Self::Ours,
        Self::Demo,
        Self::TowerSessions,
        Self::Limiter,
        Self::TowerGovernor,
        Self::TowerRateLimitRedis,
        Self::Cache,
        Self::TowerHttpCache,
        Self::AxumResponseCache,
        Self::ActixLimit,
        Self::ActixOurs,
        Self::ActixSession,
        Self::ActixLimitation,
    ];

    const fn is_actix(self) -> bool {
        matches!(self, Self::ActixLimit | Self::ActixOurs | Self::ActixSession | Self::ActixLimitation)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Ours => "ours",
            Self::Demo => "demo",
            Self::TowerSessions => "tower-sessions",
            Self::Limiter => "limiter",
            Self::TowerGovernor => "tower-governor",
            Self::TowerRateLimitRedis => "tower-rate-limit-redis",
            Self::Cache => "cache",
            Self::TowerHttpCache => "tower-http-cache",
            Self::AxumResponseCache => "axum-response-cache",
            Self::ActixLimit => "actix-limit",
            Self::ActixOurs => "actix-ours",
            Self::ActixSession => "actix-session",
            Self::ActixLimitation => "actix-limitation",
        }
    }
}

/// A server's process; ended when dropped.
pub struct Server {
    child: Child,
    pub addr: SocketAddr,
}

impl Server {
    /// Starts a server and waits for the line that tells its address.
    pub fn start(kind: Kind, redis: &str, demo: &Path) -> Result<Self, Error> {
        let mut command = match kind {
            Kind::Demo => Command::new(demo),
            _ => Command::new(std::env::current_exe()?),
        };
        if kind != Kind::Demo {
            command.args(["serve", kind.name()]);
        }
        let mut child = command
            .env("REDIS_URL", redis)
            .env("ADDR", "127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("the server `{}` cannot be started: {error}", kind.name()))?;
        let stdout = child.stdout.take().ok_or("no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let addr = line.split_once("http://").and_then(|(_, rest)| rest.split_whitespace().next());
        let addr = addr.and_then(|addr| addr.parse().ok()).ok_or("the server did not tell its address")?;
        Ok(Self { child, addr })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It holds nothing that a kill could lose.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the server's process does.
pub fn serve(name: &str) -> Result<(), Error> {
    let redis = std::env::var("REDIS_URL")?;
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
    if let Some(kind) = kind.filter(|kind| kind.is_actix()) {
        return actix::serve(kind, &redis);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let router = match kind {
            Some(Kind::Limit) => limit::router(&redis).await?,
            Some(Kind::Ours) => ours::router(&redis)?,
            Some(Kind::TowerSessions) => tower_sessions::router(&redis).await?,
            Some(Kind::Limiter) => limiter::router(&redis)?,
            Some(Kind::TowerGovernor) => tower_governor::router()?,
            Some(Kind::TowerRateLimitRedis) => tower_rate_limit_redis::router(&redis).await?,
            Some(Kind::Cache) => cache::router(&redis)?,
            Some(Kind::TowerHttpCache) => tower_http_cache::router(&redis).await?,
            Some(Kind::AxumResponseCache) => axum_response_cache::router()?,
            _ => return Err(format!("no server `{name}`").into()),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on http://{}", listener.local_addr()?);
        // All of them, as those who limit by address need it.
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        Ok(axum::serve(listener, service).await?)
    })
}
