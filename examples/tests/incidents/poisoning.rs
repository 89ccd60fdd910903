//! What one client's odd request leaves for the others.

use crate::servers::both;
use crate::wire::Wire;

/// CPDoS (HHO, HMC, HMO): a request that is too large, has control characters or overrides its method gets its error, and everybody else
/// gets the page.
#[tokio::test]
async fn cpdos_hho_hmc_hmo_whoever_provokes_an_error_has_it_alone() {
    let oversized = format!("X-Oversized: {}\r\n", "x".repeat(600_000));
    let many: String = (0..2_000).map(|n| format!("X-{n}: y\r\n")).collect();
    for server in both().await {
        for (n, fields) in [
            &oversized,
            &many,
            "X-Meta: a\u{1}b\r\n",
            "X-Meta: a\rb\r\n",
            "X-Meta\u{0}: a\r\n",
            "X-HTTP-Method-Override: DELETE\r\n",
            "X-HTTP-Method: PURGE\r\n",
            "X-Method-Override: POST\r\n",
        ]
        .into_iter()
        .enumerate()
        {
            let path = format!("/page/cpdos{n}");
            let mut wire = Wire::connect(&server).await;
            wire.send(format!("GET {path} HTTP/1.1\r\nHost: shop\r\n{fields}\r\n").as_bytes()).await;
            let provoked = wire.reply().await.map(|reply| reply.status);
            assert!(
                provoked.is_none_or(|status| status == 200 || status == 400 || status == 431),
                "{provoked:?}"
            );
            for _ in 0..2 {
                let other = Wire::ask(&server, "GET", &path, "").await;
                assert_eq!(
                    (other.status, other.body.starts_with("page cpdos")),
                    (200, true),
                    "{n}: {other:?}"
                );
            }
            assert!(Wire::ask(&server, "GET", &path, "").await.is_hit(), "{}: {n}", server.name);
        }
    }
}
