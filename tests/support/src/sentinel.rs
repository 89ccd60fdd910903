//! A primary, its replica and the Sentinels that watch them.

use std::process::{Child, Stdio};
use std::time::Duration;

use crate::ports::free_port;
use crate::server::{NOT_INSTALLED, RedisServer, kill, program, wait};

/// What the Sentinels call the group.
pub const MASTER: &str = "keep-group";

/// Two servers and three Sentinels, which take a server for dead after half a second.
#[derive(Debug)]
pub struct SentinelGroup {
    /// The first primary.
    pub first: RedisServer,
    /// Its replica.
    pub second: RedisServer,
    sentinels: Vec<(Child, u16)>,
}

impl SentinelGroup {
    /// Starts all and waits until each Sentinel knows the others and the replica.
    ///
    /// # Panics
    ///
    /// When they do not come together within 30 s.
    #[must_use]
    pub fn start() -> Self {
        let first = RedisServer::start();
        let second = RedisServer::start_with(&["--replicaof", "127.0.0.1", &first.port().to_string()]);
        wait("the replica follows", || {
            second.cmd::<String>("INFO", "replication").contains("master_link_status:up")
        });
        let sentinels = (0..3).map(|_| sentinel(&first)).collect();
        let group = Self { first, second, sentinels };
        wait("the sentinels know each other", || {
            group.sentinels.iter().all(|(_, port)| {
                let told = ask(*port, &["INFO", "sentinel"]);
                told.is_some_and(|told| told.contains("slaves=1,sentinels=3"))
            })
        });
        group
    }

    /// How a store connects to it.
    #[must_use]
    pub fn url(&self) -> String {
        let addresses: Vec<_> = self.sentinels.iter().map(|(_, port)| format!("127.0.0.1:{port}")).collect();
        format!("sentinel:{MASTER}@{}", addresses.join(","))
    }

    /// Has the roles changed by command, and returns when a Sentinel names the other one.
    ///
    /// # Panics
    ///
    /// When that takes longer than 30 s.
    pub fn fail_over(&self) {
        let port = self.sentinels[0].1;
        wait("a failover begins", || {
            ask(port, &["SENTINEL", "FAILOVER", MASTER]).is_some_and(|told| told.contains("OK"))
        });
        self.await_second();
    }

    /// Waits until a Sentinel names the second server.
    ///
    /// # Panics
    ///
    /// When that takes longer than 30 s.
    pub fn await_second(&self) {
        let second = self.second.port().to_string();
        wait("the second is named", || {
            self.sentinels.iter().any(|(_, port)| {
                let named = ask(*port, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER]);
                named.is_some_and(|named| named.contains(&second))
            })
        });
    }

    /// Freezes some of the Sentinels.
    pub fn freeze_sentinels(&self, count: usize) {
        self.sentinels.iter().take(count).for_each(|(child, _)| kill("-STOP", child.id()));
    }
}

impl Drop for SentinelGroup {
    fn drop(&mut self) {
        for (child, _) in &mut self.sentinels {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn sentinel(primary: &RedisServer) -> (Child, u16) {
    let port = free_port();
    let file = primary.dir().join(format!("sentinel-{port}.conf"));
    let settings = format!(
        "port {port}\nbind 127.0.0.1\ndaemonize no\nlogfile sentinel-{port}.log\n\
         sentinel monitor {MASTER} 127.0.0.1 {} 2\n\
         sentinel down-after-milliseconds {MASTER} 500\n\
         sentinel failover-timeout {MASTER} 5000\n",
        primary.port()
    );
    std::fs::write(&file, settings).unwrap();
    let child = program()
        .arg(&file)
        .arg("--sentinel")
        .current_dir(primary.dir())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect(NOT_INSTALLED);
    (child, port)
}

/// What a Sentinel says, as text; `None` when it does not.
fn ask(port: u16, words: &[&str]) -> Option<String> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).ok()?;
    let mut connection = client.get_connection_with_timeout(Duration::from_millis(500)).ok()?;
    connection.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    let reply: redis::Value = redis::cmd(words[0]).arg(&words[1..]).query(&mut connection).ok()?;
    Some(match reply {
        redis::Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        redis::Value::Array(items) => items
            .into_iter()
            .filter_map(|item| redis::from_redis_value::<String>(item).ok())
            .collect::<Vec<_>>()
            .join(" "),
        other => format!("{other:?}").to_uppercase(),
    })
}
