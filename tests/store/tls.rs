//! `rediss://`: certificates are checked, both ways, and there is no way back to plain text.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use keep_testing::{RedisCluster, RedisServer, free_port};
use tower_keep::store::{ConfigError, Store, StoreErrorKind as Kind, StoreStatus, TlsConfig};

use crate::fixture::*;

/// Runs `openssl` in a folder; the arguments are separated by blanks.
fn openssl(dir: &Path, args: &str) {
    let status = Command::new("openssl")
        .args(args.split(' '))
        .current_dir(dir)
        .stderr(Stdio::null())
        .status()
        .expect("openssl is not installed; on Debian: apt-get install openssl");
    assert!(status.success(), "openssl {args}");
}

/// An authority `name.crt`, and a certificate of its own for each `of`, valid for the loopback names.
fn certify(dir: &Path, name: &str, of: &[&str]) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    let ca = "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign";
    openssl(
        dir,
        &format!("req -x509 {key} -days 2 -subj /CN={name} {ca} -keyout {name}.key -out {name}.crt"),
    );
    for leaf in of {
        std::fs::write(dir.join("san.cnf"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
        openssl(dir, &format!("req {key} -subj /CN={leaf} -keyout {leaf}.key -out {leaf}.csr"));
        openssl(
            dir,
            &format!(
                "x509 -req -in {leaf}.csr -CA {name}.crt -CAkey {name}.key -CAcreateserial -days 2 -extfile san.cnf \
                 -out {leaf}.crt"
            ),
        );
    }
}

struct Tls {
    server: RedisServer,
    port: u16,
}

impl Tls {
    /// A server with a certificate of authority `ca`; `clients` is redis' `tls-auth-clients`.
    fn start(clients: &str) -> Self {
        let port = free_port();
        let text = port.to_string();
        let mut server = RedisServer::reserve(&["--tls-port", &text, "--tls-auth-clients", clients]);
        certify(server.dir(), "ca", &["server", "client"]);
        certify(server.dir(), "other", &["stranger"]);
        server.restart_with(&[
            "--tls-cert-file",
            "server.crt",
            "--tls-key-file",
            "server.key",
            "--tls-ca-cert-file",
            "ca.crt",
        ]);
        Self { server, port }
    }

    fn pem(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.server.dir().join(file)).unwrap()
    }

    fn trusting(&self, root: &str) -> TlsConfig {
        TlsConfig::new().with_roots(self.pem(root))
    }

    fn with_client(&self, name: &str) -> TlsConfig {
        self.trusting("ca.crt")
            .with_client(self.pem(&format!("{name}.crt")), self.pem(&format!("{name}.key")))
    }

    fn store(&self, host: &str, tls: TlsConfig) -> Store {
        patient().tls(tls).connect(&format!("rediss://{host}:{}", self.port)).unwrap()
    }

    async fn refuses(&self, store: &Store) {
        let refused = refusal(read(store, "a").await);
        // A plain server waits for the end of a line that a TLS client never sends.
        let expected = [Kind::Refused, Kind::Timeout, Kind::Unavailable];
        assert!(expected.contains(&refused), "{refused:?}");
        eventually("it is down", async || store.health().await.status == StoreStatus::Down).await;
        let error = store.health().await.latency.unwrap_err();
        tells_no_secret(&error);
    }
}

#[tokio::test]
async fn a_certificate_of_a_trusted_root_is_accepted() {
    let tls = Tls::start("no");
    for (n, host) in ["127.0.0.1", "localhost"].into_iter().enumerate() {
        tls.server.reset_calls();
        let store = tls.store(host, tls.trusting("ca.crt"));
        let name = n.to_string();
        make(&store, &name, "1").await;
        probed(&tls.server).await;
        assert_eq!(read(&store, &name).await.unwrap().as_deref(), Some("1"));
        tls.server.kill_clients();
        settle().await;
        assert_eq!(read(&store, &name).await.unwrap().as_deref(), Some("1"), "it is replaced");
    }
}

#[tokio::test]
async fn other_certificates_are_refused() {
    let tls = Tls::start("no");
    tls.refuses(&tls.store("127.0.0.1", tls.trusting("other.crt"))).await;
    tls.refuses(&tls.store("127.0.0.1", TlsConfig::new())).await;
    tls.refuses(&tls.store("localhost.localdomain", tls.trusting("ca.crt"))).await;
    let info: String = tls.server.cmd("INFO", "commandstats");
    assert!(!info.contains("hgetall") && !info.contains("script|load"), "nothing was said to it: {info}");
}

#[tokio::test]
async fn a_server_that_asks_for_a_client_certificate_gets_it() {
    let tls = Tls::start("yes");
    let store = tls.store("127.0.0.1", tls.with_client("client"));
    make(&store, "a", "1").await;
    tls.refuses(&tls.store("127.0.0.1", tls.trusting("ca.crt"))).await;
    tls.refuses(&tls.store("127.0.0.1", tls.with_client("stranger"))).await;
}

#[tokio::test]
async fn a_password_file_is_read_for_these_connections_as_well() {
    let tls = Tls::start("no");
    tls.server.tell("ACL SETUSER app on >canary-one ~* &* +@all");
    let file = tls.server.dir().join("password");
    std::fs::write(&file, "canary-one\n").unwrap();
    let builder = patient().tls(tls.trusting("ca.crt")).password_file(&file);
    let store = builder.connect(&format!("rediss://app@127.0.0.1:{}", tls.port)).unwrap();
    make(&store, "a", "1").await;
    tls.server.tell("ACL SETUSER app resetpass >canary-two");
    std::fs::write(&file, "canary-two\n").unwrap();
    tls.server.kill_clients();
    eventually("the next password lets in", async || serves(&store).await).await;
}

#[tokio::test]
async fn a_plain_port_is_refused_and_never_spoken_to_in_plain_text() {
    let tls = Tls::start("no");
    tls.server.reset_calls();
    let url = format!("rediss://:canary-password@127.0.0.1:{}", tls.server.port());
    let store = patient().tls(tls.trusting("ca.crt")).connect(&url).unwrap();
    tls.refuses(&store).await;
    assert!(tls.server.calls().is_empty());
    // And the other way round: a plain URL at the TLS port.
    let store = patient().connect(&format!("redis://127.0.0.1:{}", tls.port)).unwrap();
    tls.refuses(&store).await;
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_without_a_restart() {
    let tls = Tls::start("no");
    let store = tls.store("127.0.0.1", tls.trusting("ca.crt"));
    make(&store, "a", "1").await;
    probed(&tls.server).await;
    tls.server.tell("CONFIG SET tls-cert-file client.crt tls-key-file client.key");
    assert_eq!(read(&store, "a").await.unwrap().as_deref(), Some("1"), "what is open goes on");
    tls.server.kill_clients();
    settle().await;
    assert_eq!(read(&store, "a").await.unwrap().as_deref(), Some("1"));
}

#[tokio::test]
async fn what_is_no_certificate_is_told_when_the_store_is_built() {
    let tls = Tls::start("no");
    let key = tls.pem("ca.key");
    for config in [
        TlsConfig::new().with_roots("canary"),
        TlsConfig::new().with_roots(key),
        tls.trusting("ca.crt").with_client("canary", "canary"),
        tls.trusting("ca.crt").with_client(tls.pem("client.crt"), tls.pem("stranger.key")),
    ] {
        assert!(!format!("{config:?}").contains("canary"));
        let error = patient().tls(config).connect("rediss://localhost").unwrap_err();
        assert!(matches!(error, ConfigError::Tls(_)), "{error:?}");
        tells_no_secret(&error);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_reached_by_tls_at_every_node() {
    let tls = Tls::start("no");
    let certificates = tls.server.dir().to_owned();
    let start = tokio::task::spawn_blocking(move || RedisCluster::start_with_tls(&certificates));
    let cluster = start.await.unwrap();
    let builder = || patient().deadline(Duration::from_secs(5));
    let store = builder().tls(tls.trusting("ca.crt")).connect(&cluster.url_by_tls()).unwrap();
    eventually("it serves", async || serves(&store).await).await;
    for name in (0..50).map(|n| n.to_string()) {
        make(&store, &name, &name).await;
        assert_eq!(read(&store, &name).await.unwrap(), Some(name));
    }
    for (n, master) in cluster.masters.iter().enumerate() {
        let keys: Vec<String> = master.cmd("KEYS", "keep:session:*");
        assert!(!keys.is_empty() && keys.iter().all(|key| cluster.master_of(key) == n), "{keys:?}");
    }
    let stranger = builder().tls(tls.trusting("other.crt")).connect(&cluster.url_by_tls()).unwrap();
    tls.refuses(&stranger).await;
}
