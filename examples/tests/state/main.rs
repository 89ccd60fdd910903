//! The examples of locks and messages, as programs of their own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

use std::process::Stdio;
use std::time::Duration;

use futures_util::StreamExt as _;
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use keep_testing::{RedisServer, kill};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// What anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Program {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Program {
    fn start(name: &str, server: &RedisServer) -> Self {
        let own = std::env::current_exe().unwrap(); // target/PROFILE/deps/state-HASH
        let binary = own.ancestors().nth(2).unwrap().join("examples").join(name);
        let mut command = Command::new(binary);
        command.env_clear().env("REDIS_URL", server.url()).env("ADDR", "127.0.0.1:0").kill_on_drop(true);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, input, output }
    }

    async fn says(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.output.next_line());
        line.await.expect("it says something").unwrap().expect("it runs")
    }

    async fn told(&mut self, line: &str) -> String {
        self.input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        self.says().await
    }

    fn signal(&self, signal: &str) {
        kill(signal, self.child.id().unwrap());
    }
}

fn fence(line: &str) -> u64 {
    line.strip_prefix("holds ").unwrap().parse().unwrap()
}

/// The first writer stands still for longer than its lock lives. When it goes on it knows of nothing, and changes nothing.
#[tokio::test]
async fn a_frozen_holder_cannot_write_with_its_old_number() {
    let server = RedisServer::start();
    let mut first = Program::start("fencing", &server);
    let old = fence(&first.says().await);
    assert_eq!(first.told("by the first").await, "written");
    first.signal("-STOP");
    let mut second = Program::start("fencing", &server);
    let new = fence(&second.says().await);
    assert!(new > old);
    assert_eq!(second.told("by the second").await, "written");
    first.signal("-CONT");
    assert_eq!(first.told("too late").await, format!("refused: {new} has written since"));
    assert_eq!(second.told("by the second again").await, "written");
    let record: String = server.cmd("GET", "keep:state:reports:{today}");
    assert!(record.contains("by the second again"), "{record}");
}

#[tokio::test]
async fn a_client_of_one_instance_gets_what_is_posted_to_the_other() {
    let server = RedisServer::start();
    let (mut a, mut b) = (Program::start("broadcast", &server), Program::start("broadcast", &server));
    let address = |line: String| line.strip_prefix("listening on http://").unwrap().to_owned();
    let (a, b) = (address(a.says().await), address(b.says().await));
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{a}/orders/7")).await.unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    for (order, status) in [(8, "of another"), (7, "shipped")] {
        let post = Request::post(format!("http://{b}/orders/{order}")).body(Full::from(status)).unwrap();
        assert_eq!(client.request(post).await.unwrap().status(), 204);
    }
    let message = tokio::time::timeout(PATIENCE, socket.next()).await.expect("it comes").unwrap().unwrap();
    assert_eq!(message.into_text().unwrap().as_str(), r#"{"update":{"order":7,"status":"shipped"}}"#);
    let _: u64 = server.cmd("CLIENT", &["KILL", "TYPE", "pubsub"]);
    let message = tokio::time::timeout(PATIENCE, socket.next()).await.expect("it comes").unwrap().unwrap();
    assert_eq!(message.into_text().unwrap().as_str(), r#""reload""#);
}
