//! The name of the server is gone, and names another address.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use keep_testing::{Proxy, RedisServer};

use crate::program::{Demo, eventually};
use crate::row::{Row, ms};

/// A file that the demo sees as `/etc/hosts`, in a mount namespace of its own.
struct Hosts(PathBuf);

impl Hosts {
    fn new(folder: &Path) -> Self {
        let hosts = Self(folder.join("hosts"));
        hosts.name(None);
        hosts
    }

    /// What the name `redis.test` means from now on: written in place, since the mount is of this very file.
    fn name(&self, address: Option<&str>) {
        let line = address.map(|address| format!("{address} redis.test\n")).unwrap_or_default();
        std::fs::write(&self.0, format!("127.0.0.1 localhost\n{line}")).unwrap();
    }

    /// What runs a program so.
    fn wrapper(&self) -> Vec<String> {
        let mount = format!("mount --bind '{}' /etc/hosts && exec \"$0\" \"$@\"", self.0.display());
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", &mount].map(str::to_owned).to_vec()
    }

    /// Whether this machine lets a user have a mount namespace.
    fn are_possible(&self) -> bool {
        let words = self.wrapper();
        Command::new(&words[0]).args(&words[1..]).arg("true").status().is_ok_and(|status| status.success())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f35_a_name_that_moves() {
    let first = RedisServer::start();
    let hosts = Hosts::new(first.dir());
    let row = Row::new(
        35,
        "The server's name is gone (no such name), then names another address; all connections killed",
        "sessions; axum, actix-web",
        "names are resolved at each connect: the new address is used ≤ 1 s after",
    );
    if !hosts.are_possible() {
        eprintln!("this machine lets nobody have a mount namespace: f35 was not provoked");
        return row.saw("not provoked: no mount namespaces here").figure("none").write();
    }
    let port = first.port();
    let second = RedisServer::start();
    // The same port at another address.
    let moved = Proxy::start_at(SocketAddr::from(([127, 0, 0, 2], port)), second.port()).await;
    let url = format!("redis://redis.test:{port}");
    let mut times = Vec::new();
    for program in ["demo", "demo_actix"] {
        hosts.name(Some("127.0.0.1"));
        let demo = Demo::run_under(&hosts.wrapper(), program, &[("REDIS_URL", &url)]).await;
        demo.is_up().await;
        let mut visitor = demo.signed_in("alice").await;
        hosts.name(None);
        assert_eq!(visitor.me().await["user"], "alice", "what is connected needs no name");
        first.kill_clients();
        eventually("the name is missed", async || visitor.clone().get("/api/me").await.status == 503).await;
        assert_eq!(visitor.get("/plain").await.status, 200);
        hosts.name(Some("127.0.0.2"));
        let named = Instant::now();
        demo.is_up().await;
        times.push(ms(named.elapsed()));
        assert_eq!(
            visitor.get("/api/me").await.json()["user"],
            serde_json::Value::Null,
            "it is another server"
        );
        assert_eq!(visitor.login("alice").await.status, 200);
        assert_eq!(visitor.me().await["user"], "alice");
    }
    assert!(moved.accepted() > 0);
    row.saw("503 where a session is needed while there is no such name, 200 elsewhere; then served by the new address")
        .figure(format!("served by the new address {} after it was named", times.join(" and ")))
        .write();
}
