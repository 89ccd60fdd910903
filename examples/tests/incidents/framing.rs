//! Where a request ends: nothing within one may be taken for another one, and nothing of the confusion may be stored.

use crate::servers::{Server, both};
use crate::wire::Wire;

/// A request that must never be taken for one.
const SMUGGLED: &str = "GET /page/smuggled HTTP/1.1\r\nHost: shop\r\n\r\n";
const NEXT: &str = "GET /page/next HTTP/1.1\r\nHost: shop\r\n\r\n";

/// Neither did the smuggled request reach a handler, nor is anything stored of it; and the site serves everybody else what is theirs.
async fn nothing_was_smuggled(server: &Server, what: &str) {
    assert_eq!(server.runs.of("smuggled"), 0, "{}: {what}", server.name);
    let stored = Wire::ask(server, "GET", "/page/smuggled", "Cache-Control: only-if-cached\r\n").await;
    assert_eq!(stored.status, 504, "{}: {what}", server.name);
    for name in ["warm", "next"] {
        let other = Wire::ask(server, "GET", &format!("/page/{name}"), "").await;
        assert!(other.body.starts_with(&format!("page {name},")), "{}: {what}: {other:?}", server.name);
    }
}

/// Sends bytes, then a request by itself. Each answer is to one of the two, in order, and none to what is smuggled.
async fn send_and_go_on(server: &Server, first: &str, what: &str) -> Vec<u16> {
    let mut wire = Wire::connect(server).await;
    wire.send(first.as_bytes()).await;
    wire.send(NEXT.as_bytes()).await;
    let replies = wire.replies().await;
    assert!(replies.len() <= 2, "{}: {what}: {replies:#?}", server.name);
    for reply in &replies {
        assert!(!reply.body.contains("smuggled"), "{}: {what}: {reply:?}", server.name);
    }
    if let [_, second] = &replies[..] {
        assert!(
            second.body.starts_with("page next,") || second.status == 400,
            "{}: {what}: {second:?}",
            server.name
        );
    }
    nothing_was_smuggled(server, what).await;
    replies.iter().map(|reply| reply.status).collect()
}

/// RUSTSEC-2025-0037 (CVE-2025-4366): a response that goes out before the request's body was read must not leave the body to be taken for
/// the next request.
#[tokio::test]
async fn rustsec_2025_0037_a_body_that_nobody_read_is_not_the_next_request() {
    for server in both().await {
        for _ in 0..2 {
            Wire::ask(&server, "GET", "/page/warm", "").await;
        }
        let length = SMUGGLED.len();
        for (method, path) in
            [("GET", "/page/warm"), ("POST", "/page/warm"), ("GET", "/limited/x"), ("GET", "/nowhere")]
        {
            let head = format!("{method} {path} HTTP/1.1\r\nHost: shop\r\n");
            let whole = format!("{head}Content-Length: {length}\r\n\r\n{SMUGGLED}");
            send_and_go_on(&server, &whole, "a body of known length").await;
            let chunked =
                format!("{head}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{SMUGGLED}\r\n0\r\n\r\n");
            send_and_go_on(&server, &chunked, "a body in chunks").await;
            let large = "x".repeat(1 << 20);
            let large = format!("{head}Content-Length: {}\r\n\r\n{large}{SMUGGLED}", large.len() + length);
            send_and_go_on(&server, &large, "a large body").await;
        }
        // A body that never ends: the answer may come, and what follows is still the body.
        for path in ["/page/warm", "/limited/x"] {
            let head = format!("GET {path} HTTP/1.1\r\nHost: shop\r\n");
            let endless = format!("{head}Content-Length: 1000000\r\n\r\n{SMUGGLED}");
            assert!(send_and_go_on(&server, &endless, "a body without its end").await.len() <= 1);
        }
    }
}

/// RUSTSEC-2026-0033 (CVE-2026-2833): a request that asks for another protocol, and does not get it, must not turn its connection into a
/// tunnel; nor may it be answered from the store, or fill it.
#[tokio::test]
async fn rustsec_2026_0033_an_upgrade_that_is_not_granted_changes_nothing() {
    for server in both().await {
        Wire::ask(&server, "GET", "/page/warm", "").await;
        for protocol in ["websocket", "h2c", "TLS/1.0", "anything"] {
            for path in ["/page/warm", "/limited/x"] {
                let fields = format!("Connection: Upgrade\r\nUpgrade: {protocol}\r\n");
                let mut wire = Wire::connect(&server).await;
                wire.send(format!("GET {path} HTTP/1.1\r\nHost: shop\r\n{fields}\r\n{NEXT}").as_bytes())
                    .await;
                let replies = wire.replies().await;
                assert!((1..=2).contains(&replies.len()), "{}: {protocol}: {replies:?}", server.name);
                assert!(replies.iter().all(|reply| reply.status != 101), "nobody granted it");
                assert!(!replies[0].is_hit(), "{}: {:?}", server.name, replies[0]);
                if let Some(second) = replies.get(1) {
                    assert!(second.body.starts_with("page next,"), "{}: {second:?}", server.name);
                }
            }
            let upgrading = format!("Connection: Upgrade\r\nUpgrade: {protocol}\r\n");
            Wire::ask(&server, "GET", "/page/upgraded", &upgrading).await;
            assert!(!Wire::ask(&server, "GET", "/page/upgraded", &upgrading).await.is_hit());
        }
        let first = Wire::ask(&server, "GET", "/page/upgraded", "").await;
        assert!(!first.is_hit(), "{}: an upgrade filled it", server.name);
    }
}

/// RUSTSEC-2026-0034 (CVE-2026-2835): HTTP/1.0 has no transfer codings. A request that has one all the same must not be read in two ways.
#[tokio::test]
async fn rustsec_2026_0034_a_transfer_coding_in_http_1_0_hides_no_request() {
    for server in both().await {
        Wire::ask(&server, "GET", "/page/warm", "").await;
        for fields in [
            "Transfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n",
            "Transfer-Encoding: identity\r\nConnection: keep-alive\r\n",
        ] {
            let head = format!("GET /page/warm HTTP/1.0\r\nHost: shop\r\n{fields}\r\n");
            let statuses = send_and_go_on(&server, &format!("{head}0\r\n\r\n{SMUGGLED}"), fields).await;
            assert!(statuses.len() <= 1, "{}: the connection goes on: {statuses:?}", server.name);
        }
    }
}

/// VSV00007 (CVE-2021-36740), VSV00008 (CVE-2022-23959), CVE-2022-45059, VSV00015 (CVE-2025-30346), VSV00016: a request of which nobody can
/// say for certain where it ends must end its connection, and leave nothing.
#[tokio::test]
async fn vsv00008_cve_2022_45059_vsv00015_vsv00016_malformed_framing_ends_the_connection() {
    let length = SMUGGLED.len();
    let chunk = format!("{length:x}\r\n{SMUGGLED}\r\n0\r\n\r\n");
    let lengths = ["+5", "-1", "5, 6", "5 5", "0x5", "5\u{b2}", "99999999999999999999999", ""];
    let mut cases: Vec<(String, String)> =
        lengths.map(|value| (format!("Content-Length: {value}\r\n"), String::new())).into();
    cases.extend([
        // RFC 9112 §6.1: whoever goes by the coding must close the connection afterwards.
        (
            format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", length + 5),
            format!("0\r\n\r\n{SMUGGLED}"),
        ),
        ("Content-Length: 5\r\nContent-Length: 6\r\n".to_owned(), "12345".to_owned()),
        ("Content-Length : 5\r\n".to_owned(), "12345".to_owned()),
        ("Content-Length: 5\r\n 6\r\n".to_owned(), "12345".to_owned()),
        ("Transfer-Encoding: xchunked\r\n".to_owned(), chunk.clone()),
        ("Transfer-Encoding: chunked, identity\r\n".to_owned(), chunk.clone()),
        ("Transfer-Encoding : chunked\r\n".to_owned(), chunk.clone()),
        ("Transfer-Encoding: \u{b}chunked\r\n".to_owned(), chunk.clone()),
    ]);
    for (size, ending) in [
        ("zz\r\n", "\r\n0\r\n\r\n"),
        ("-1\r\n", "\r\n0\r\n\r\n"),
        ("0x1\r\n", "\r\n0\r\n\r\n"),
        ("fffffffffffffffff\r\n", "\r\n0\r\n\r\n"),
        ("\r\n", "\r\n0\r\n\r\n"),
        ("1\r\nAB", "\r\n0\r\n\r\n"),
        ("1\r\nA0\r\n\r\n", ""),
        ("2\r\nAB\n", "\r\n0\r\n\r\n"),
    ] {
        cases.push(("Transfer-Encoding: chunked\r\n".to_owned(), format!("{size}{SMUGGLED}{ending}")));
    }
    for server in both().await {
        Wire::ask(&server, "GET", "/page/warm", "").await;
        for (fields, body) in &cases {
            for path in ["/page/warm", "/limited/x"] {
                let first = format!("POST {path} HTTP/1.1\r\nHost: shop\r\n{fields}\r\n{body}");
                let statuses = send_and_go_on(&server, &first, &format!("{fields:?} {body:?}")).await;
                assert!(statuses.len() <= 1, "{}: {fields:?} {body:?}: {statuses:?}", server.name);
            }
        }
        // A length that is named as hop-by-hop is a length all the same.
        let named = format!(
            "GET /page/warm HTTP/1.1\r\nHost: shop\r\nConnection: keep-alive, content-length\r\nContent-Length: {length}\r\n\r\n{SMUGGLED}"
        );
        send_and_go_on(&server, &named, "Connection: content-length").await;
    }
}
