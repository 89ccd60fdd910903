//! A `redis-server` of one test.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::{FromRedisValue, ToRedisArgs};

use crate::eventually;
use crate::ports::free_port;

/// Says what to do.
pub(crate) const NOT_INSTALLED: &str =
    "redis-server is not installed; on Debian: apt-get install redis-server";

/// The server's program: `redis-server`, or the path in the variable `KEEP_SERVER`, such as a Valkey's.
pub(crate) fn program() -> Command {
    Command::new(std::env::var_os("KEEP_SERVER").unwrap_or_else(|| "redis-server".into()))
}

/// Sends a signal to a process that a test started.
///
/// # Panics
///
/// When the signal cannot be sent.
pub fn kill(signal: &str, pid: u32) {
    let status = Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
    assert!(status.success(), "kill {signal} failed");
}

/// With `KEEP_TOPOLOGY=cluster` each server is the only node of a Cluster, which checks that keys which are used together lie in one slot.
fn in_cluster() -> bool {
    std::env::var("KEEP_TOPOLOGY").is_ok_and(|topology| topology == "cluster")
}

/// A cluster's only node may say that the cluster is complete at once.
const IN_CLUSTER: [&str; 2] = ["--cluster-enabled", "yes"];

/// A Redis server on a free loopback port and a unix socket, without persistence. Stopped when dropped.
#[derive(Debug)]
pub struct RedisServer {
    child: Option<Child>,
    dir: PathBuf,
    port: u16,
    args: Vec<String>,
    env: Vec<(&'static str, PathBuf)>,
}

impl RedisServer {
    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    ///
    /// When `redis-server` is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with further arguments.
    ///
    /// # Panics
    ///
    /// When `redis-server` is not installed or does not start.
    #[must_use]
    pub fn start_with(args: &[&str]) -> Self {
        let mut server = Self::reserve(args);
        server.restart();
        server
    }

    /// Chooses a port, and starts nothing yet.
    ///
    /// # Panics
    ///
    /// When no folder can be made.
    #[must_use]
    pub fn reserve(args: &[&str]) -> Self {
        let port = free_port();
        let dir = std::env::temp_dir().join(format!("keep-testing-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self {
            child: None,
            dir,
            port,
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            env: Vec::new(),
        }
    }

    /// Starts the server on the same port, empty unless it saved; ends the one that runs.
    ///
    /// # Panics
    ///
    /// When it does not start within 10 s.
    pub fn restart(&mut self) {
        self.stop();
        let child = program()
            .args([
                "--port",
                &self.port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .args(["--enable-debug-command", "yes", "--enable-protected-configs", "yes", "--daemonize", "no"])
            .args(["--unixsocket", "redis.sock", "--logfile", "redis.log"])
            .args(&self.args)
            .args(if in_cluster() { &IN_CLUSTER[..] } else { &[] })
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect(NOT_INSTALLED);
        self.child = Some(child);
        self.await_start();
        if in_cluster() {
            self.take_all_slots();
        }
    }

    /// The unix socket is this server's own, and the last that it opens; on the port, somebody else could answer.
    fn await_start(&mut self) {
        let begun = Instant::now();
        while UnixStream::connect(self.dir.join("redis.sock")).is_err() {
            let ended = self.child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some());
            assert!(
                !ended && begun.elapsed() < Duration::from_secs(10),
                "redis-server did not start: {}",
                self.log()
            );
            std::thread::yield_now();
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("redis.log")).unwrap_or_default()
    }

    fn take_all_slots(&self) {
        let told = |args: &[&str]| -> redis::RedisResult<String> {
            redis::cmd("CLUSTER")
                .arg(args)
                .query(&mut redis::Client::open(self.plain_url())?.get_connection()?)
        };
        // After a restart it may have them already, be loading, or ask for a password.
        let _ = told(&["ADDSLOTSRANGE", "0", "16383"]);
        wait("the only node of the cluster serves", || {
            told(&["INFO"]).map_or(true, |info| info.contains("cluster_state:ok"))
        });
    }

    /// Starts the server again with further arguments.
    ///
    /// # Panics
    ///
    /// When it does not start within 10 s.
    pub fn restart_with(&mut self, args: &[&str]) {
        self.args.extend(args.iter().map(|&arg| arg.to_owned()));
        self.restart();
    }

    /// Sets a variable of its environment, from its next start on.
    pub fn set_env(&mut self, name: &'static str, value: &std::path::Path) {
        self.env.push((name, value.to_owned()));
    }

    /// Kills the server.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Freezes the server (`SIGSTOP`): sockets stay open, nothing is answered.
    pub fn freeze(&self) {
        kill("-STOP", self.pid());
    }

    /// Thaws it (`SIGCONT`).
    pub fn thaw(&self) {
        kill("-CONT", self.pid());
    }

    /// Whether it was started and not stopped.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// The server's process.
    ///
    /// # Panics
    ///
    /// When it does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Its TCP port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        if in_cluster() { format!("cluster:{}", self.plain_url()) } else { self.plain_url() }
    }

    fn plain_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its URL by unix socket.
    #[must_use]
    pub fn unix_url(&self) -> String {
        format!("redis+unix://{}", self.dir.join("redis.sock").display())
    }

    /// The folder in which it runs.
    #[must_use]
    pub const fn dir(&self) -> &PathBuf {
        &self.dir
    }

    /// An administrator's connection of its own.
    ///
    /// # Panics
    ///
    /// When it cannot be opened.
    #[must_use]
    pub fn admin(&self) -> redis::Connection {
        redis::Client::open(self.plain_url()).unwrap().get_connection().unwrap()
    }

    /// Runs one command as an administrator.
    ///
    /// # Panics
    ///
    /// When it fails.
    pub fn cmd<T: FromRedisValue>(&self, name: &str, args: impl ToRedisArgs) -> T {
        redis::cmd(name).arg(args).query(&mut self.admin()).unwrap()
    }

    /// Runs a command as an administrator: words with one blank between them. The answer does not matter.
    ///
    /// # Panics
    ///
    /// When it fails.
    pub fn tell(&self, line: &str) {
        Self::tell_on(&mut self.admin(), line);
    }

    /// The same on a connection that is open already, for servers that take no other.
    ///
    /// # Panics
    ///
    /// When it fails.
    pub fn tell_on(admin: &mut redis::Connection, line: &str) {
        let words: Vec<_> = line.split(' ').collect();
        redis::cmd(words[0]).arg(&words[1..]).exec(admin).unwrap();
    }

    /// Runs a command that takes its time, on a thread of its own. How it ends does not matter.
    ///
    /// # Panics
    ///
    /// When the server cannot be reached.
    #[must_use = "whoever drops it never waits for it"]
    pub fn tell_slowly(&self, words: &[&str]) -> std::thread::JoinHandle<()> {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        let mut admin = self.admin();
        std::thread::spawn(move || drop(command.exec(&mut admin)))
    }

    /// Closes all connections but the administrator's own.
    ///
    /// # Panics
    ///
    /// When the server does not answer.
    pub fn kill_clients(&self) {
        self.tell("CLIENT KILL TYPE normal SKIPME yes");
    }

    /// The open connections, one line of `CLIENT LIST` each, without the administrator's own.
    ///
    /// # Panics
    ///
    /// When the server does not answer.
    #[must_use]
    pub fn clients(&self) -> Vec<String> {
        let list: String = self.cmd("CLIENT", "LIST");
        list.lines().filter(|line| !line.contains("cmd=client|list")).map(str::to_owned).collect()
    }

    /// How many connections came since it started, the administrator's among them.
    ///
    /// # Panics
    ///
    /// When the server does not answer.
    #[must_use]
    pub fn received(&self) -> u64 {
        let info: String = self.cmd("INFO", "stats");
        info.lines().find_map(|l| l.strip_prefix("total_connections_received:")?.parse().ok()).unwrap()
    }

    /// How often each command was called since the last reset, without the administrator's own and
    /// those by which clients introduce themselves.
    ///
    /// # Panics
    ///
    /// When the server does not answer.
    #[must_use]
    pub fn calls(&self) -> std::collections::BTreeMap<String, u64> {
        let info: String = self.cmd("INFO", "commandstats");
        let own = ["info", "config|resetstat", "client|setinfo", "client|setname", "hello"];
        let line = |line: &str| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
        };
        info.lines().filter_map(line).filter(|(name, _)| !own.contains(&name.as_str())).collect()
    }

    /// Waits until each of so many stores has ended the probe with which it begins, so that it is not counted.
    ///
    /// # Panics
    ///
    /// When one does not.
    pub async fn probed_by(&self, stores: u64) {
        eventually("the first probe has ended", async || self.calls().get("del") >= Some(&stores)).await;
    }

    /// Forgets the calls so far.
    pub fn reset_calls(&self) {
        let _: () = self.cmd("CONFIG", "RESETSTAT");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Waits until it is so, for at most 30 s.
pub(crate) fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "never came true: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
