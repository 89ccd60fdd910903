//! The demo as a child process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub use keep_testing::eventually;
use keep_testing::{RedisServer, kill};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

use crate::client::Client;

/// What anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

type Lines = Arc<Mutex<Vec<String>>>;

/// The running demo. Ended when dropped.
#[derive(Debug)]
pub struct Demo {
    child: Child,
    pub address: SocketAddr,
    /// The line that it prints when it serves.
    pub announced: String,
    stdout: Lines,
    stderr: Lines,
}

/// The demo that has the name of this test program: the tests are compiled for each.
const PROGRAM: &str = env!("CARGO_CRATE_NAME");

fn binary(program: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap(); // target/PROFILE/deps/demo-HASH
    let folder = own.ancestors().nth(2).unwrap().join("examples");
    let binary = folder.join(format!("{program}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        binary.exists(),
        "{} is missing; cargo build -p tower-keep-examples --examples",
        binary.display()
    );
    binary
}

/// `wrapper`: what runs the program, which it is given as its last argument.
fn command(wrapper: &[String], program: &str, settings: &[(&str, &str)]) -> Command {
    let binary = binary(program);
    let mut command = match wrapper {
        [] => Command::new(binary),
        [first, more @ ..] => {
            let mut command = Command::new(first);
            command.args(more).arg(binary);
            command
        }
    };
    command.env_clear().env("ADDR", "127.0.0.1:0").env("NO_COLOR", "1");
    command.envs(settings.iter().copied()).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn collect(stream: impl AsyncRead + Unpin + Send + 'static, lines: &Lines) {
    let (mut reader, lines) = (BufReader::new(stream).lines(), Arc::clone(lines));
    tokio::spawn(async move {
        while let Ok(Some(line)) = reader.next_line().await {
            lines.lock().unwrap().push(line);
        }
    });
}

impl Demo {
    /// Starts it with these settings, on a free port, and waits until it says where it is.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        Self::run(PROGRAM, settings).await
    }

    /// The same with one of the demos.
    pub async fn run(program: &str, settings: &[(&str, &str)]) -> Self {
        Self::run_under(&[], program, settings).await
    }

    /// The same under another program, such as a shell that sets limits and then becomes the demo.
    pub async fn run_under(wrapper: &[String], program: &str, settings: &[(&str, &str)]) -> Self {
        let mut child = command(wrapper, program, settings).spawn().unwrap();
        let (stdout, stderr) = (Lines::default(), Lines::default());
        collect(child.stdout.take().unwrap(), &stdout);
        collect(child.stderr.take().unwrap(), &stderr);
        let first = || stdout.lock().unwrap().first().cloned();
        eventually("the demo says where it is", async || first().is_some()).await;
        let announced = first().unwrap();
        let rest = announced.split_once("http://").expect("a url").1;
        let address = rest.split_whitespace().next().unwrap().parse().unwrap();
        Self { child, address, announced, stdout, stderr }
    }

    pub async fn on(server: &RedisServer) -> Self {
        let demo = Self::start(&[("REDIS_URL", &server.url()), ("STORE_DEADLINE_MS", "1000")]).await;
        demo.is_up().await;
        demo
    }

    /// Waits until the store answers.
    pub async fn is_up(&self) {
        let status = async || self.client().get("/healthz").await.status;
        eventually("the store answers", async || status().await == 200).await;
    }

    /// A browser without cookies.
    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// A browser that has signed in.
    pub async fn signed_in(&self, user: &str) -> Client {
        let mut client = self.client();
        assert_eq!(client.login(user).await.status, 200);
        client
    }

    pub fn stdout(&self) -> Vec<String> {
        self.stdout.lock().unwrap().clone()
    }

    pub fn stderr(&self) -> Vec<String> {
        self.stderr.lock().unwrap().clone()
    }

    /// The warnings and errors that it logged so far.
    pub fn warnings(&self) -> Vec<String> {
        let loud =
            |line: &String| line.contains(" WARN ") || line.contains("ERROR ") || line.contains("panicked");
        self.stderr().into_iter().filter(loud).collect()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// `SIGTERM`.
    pub fn terminate(&self) {
        kill("-TERM", self.pid());
    }

    pub async fn ended(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.expect("the demo does not end").unwrap()
    }
}

/// A start that is to fail: how it ended, and what it said.
pub async fn refused(settings: &[(&str, &str)]) -> (ExitStatus, String) {
    let output = tokio::time::timeout(PATIENCE, command(&[], PROGRAM, settings).output()).await;
    let output = output.expect("it serves all the same").unwrap();
    assert!(output.stdout.is_empty(), "nothing is announced: {output:?}");
    (output.status, String::from_utf8(output.stderr).unwrap())
}

/// Runs a test on the embedded store, and on a Redis of its own.
pub async fn on_each_store(test: impl AsyncFn(&Demo, Option<&RedisServer>)) {
    test(&Demo::start(&[]).await, None).await;
    let server = RedisServer::start();
    test(&Demo::on(&server).await, Some(&server)).await;
}
