//! Certificates that are expired, of another name, of another root, or none.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use keep_testing::{RedisServer, free_port};
use tower_keep::store::{Store, StoreStatus, TlsConfig};

use crate::program::eventually;
use crate::row::Row;
use crate::site::Site;
use crate::world::usual;

fn openssl(dir: &Path, line: &str) {
    let done = Command::new("openssl").args(line.split(' ')).current_dir(dir).output();
    let done = done.expect("openssl is not installed; on Debian: apt-get install openssl");
    assert!(done.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&done.stderr));
}

const AUTHORITY: &str = "[ca]\ndefault_ca=own\n[own]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=any\n\
                         x509_extensions=leaf\n[any]\ncommonName=supplied\n[leaf]\nsubjectAltName=IP:127.0.0.1\n";

/// An authority and certificates of it for 127.0.0.1: one that holds, one that held in 2020.
fn certify(dir: &Path) {
    std::fs::write(dir.join("ca.cnf"), AUTHORITY).unwrap();
    std::fs::write(dir.join("index.txt"), "").unwrap();
    std::fs::write(dir.join("serial"), "01").unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    let ca = "-addext basicConstraints=critical,CA:TRUE";
    for name in ["ca", "other"] {
        openssl(
            dir,
            &format!("req -x509 {key} -days 9 -subj /CN={name} {ca} -keyout {name}.key -out {name}.crt"),
        );
    }
    for (name, begin, end) in
        [("good", "20200101000000Z", "20990101000000Z"), ("expired", "20200101000000Z", "20200201000000Z")]
    {
        openssl(dir, &format!("req {key} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
        let of = "-cert ca.crt -keyfile ca.key -in";
        openssl(
            dir,
            &format!(
                "ca -batch -config ca.cnf {of} {name}.csr -out {name}.crt -startdate {begin} -enddate {end} -notext"
            ),
        );
    }
}

struct Tls {
    server: RedisServer,
    port: u16,
}

impl Tls {
    fn start() -> Self {
        let port = free_port();
        let mut server = RedisServer::reserve(&["--tls-port", &port.to_string(), "--tls-auth-clients", "no"]);
        certify(server.dir());
        server.restart_with(&[
            "--tls-cert-file",
            "good.crt",
            "--tls-key-file",
            "good.key",
            "--tls-ca-cert-file",
            "ca.crt",
        ]);
        Self { server, port }
    }

    fn trusting(&self, root: &str) -> TlsConfig {
        TlsConfig::new().with_roots(std::fs::read(self.server.dir().join(root)).unwrap())
    }

    /// What a store says that cannot connect.
    async fn refused(&self, url: &str, root: &str) -> String {
        let builder = Store::builder().deadline(Duration::from_secs(2)).tls(self.trusting(root));
        let store = builder.connect(url).unwrap();
        eventually("it is down", async || store.health().await.status == StoreStatus::Down).await;
        let error = store.health().await.latency.unwrap_err();
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text += &format!(": {error}");
            cause = error.source();
        }
        text
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f36_certificates() {
    let tls = Tls::start();
    let url = format!("rediss://127.0.0.1:{}", tls.port);
    let sites =
        Site::both([url.clone(), url.clone()], |builder| usual(builder).tls(tls.trusting("ca.crt"))).await;
    let mut visitors = Vec::new();
    for site in &sites {
        visitors.push(site.signed_in("alice").await);
    }
    // Connections that are open outlive a certificate that has expired; new ones are refused.
    tls.server.tell("CONFIG SET tls-cert-file expired.crt tls-key-file expired.key");
    for visitor in &mut visitors {
        assert_eq!(visitor.get("/me").await.body, "alice");
    }
    let expired = tls.refused(&url, "ca.crt").await;
    assert!(expired.contains("certificate expired"), "{expired}");
    tls.server.kill_clients();
    for (site, visitor) in sites.iter().zip(&mut visitors) {
        assert_eq!(visitor.get("/me").await.status, 503);
        eventually("it is missed", async || site.store.health().await.status == StoreStatus::Down).await;
        assert_eq!(visitor.get("/page/one").await.status, 200);
        assert_eq!(visitor.get("/limited").await.status, 200);
    }
    tls.server.tell("CONFIG SET tls-cert-file good.crt tls-key-file good.key");
    for (site, visitor) in sites.iter().zip(&mut visitors) {
        site.is_up().await;
        assert_eq!(visitor.get("/me").await.body, "alice", "renewed while it runs");
    }
    let root = tls.refused(&url, "other.crt").await;
    let name = tls.refused(&url.replace("127.0.0.1", "localhost"), "ca.crt").await;
    assert!(root.contains("UnknownIssuer") && name.contains("not valid for name"), "{root}; {name}");
    tls.server.reset_calls();
    let plain = tls.refused(&format!("rediss://127.0.0.1:{}", tls.server.port()), "ca.crt").await;
    let calls = tls.server.calls();
    assert!(
        !calls.contains_key("hgetall") && !calls.contains_key("script|load"),
        "never in plain text: {calls:?}"
    );
    Row::new(
        36,
        "TLS: expired, another name, another root, a plain port; renewed while it runs",
        "sessions, limits, cache; axum, actix-web",
        "refused at the connect, never in plain text; the error names the expiry; what is open goes on",
    )
    .saw("open connections serve on; then as F3 until the certificate is renewed, without a restart")
    .figure(format!("the error ends with `certificate expired`, `certificate not valid for name`, `UnknownIssuer`; plain port: `{plain}`"))
    .write();
}
