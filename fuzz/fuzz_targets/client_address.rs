//! Forwarding headers: nobody who is not trusted changes a client's address, and nothing that stands left of what trusted
//! proxies add is looked at.
//!
//! The input is header lines with line feeds between them.

#![no_main]

use std::net::IpAddr;
use std::sync::LazyLock;

use http::HeaderName;
use libfuzzer_sys::fuzz_target;
use tower_keep::rate_limit::{AddressSource, ClientAddress, Grouping, ProxyHeader, TrustedProxies};
use tower_keep_fuzz::HeaderLines;

const CLIENT: &str = "203.0.113.7";

/// Each header, and what two proxies add to it. The first of them is told apart from the client by its network.
static HEADERS: LazyLock<[(ProxyHeader, &str, &str); 2]> = LazyLock::new(|| {
    [
        (ProxyHeader::XForwardedFor, "x-forwarded-for", "203.0.113.7, 10.0.0.2"),
        (ProxyHeader::Forwarded, "forwarded", "for=203.0.113.7;host=\"a,\\\"b\", for=\"10.0.0.2:80\""),
    ]
});
static SINGLE: LazyLock<ProxyHeader> =
    LazyLock::new(|| ProxyHeader::Single(HeaderName::from_static("x-real-ip")));

fn trusting(header: &ProxyHeader) -> TrustedProxies {
    TrustedProxies::networks(header.clone(), ["10.0.0.0/8"]).expect("a network")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fuzz_target!(|input: &[u8]| {
    let sent: Vec<&[u8]> = input.split(|b| *b == b'\n').collect();
    let (proxy, stranger) = (Some(ip("10.0.0.1")), ip("192.0.2.9"));
    for (header, name, added) in &*HEADERS {
        let mut lines: Vec<Vec<u8>> = sent.iter().map(|line| line.to_vec()).collect();
        let request = HeaderLines { name, lines: lines.clone() };
        for rules in [trusting(header), TrustedProxies::none()] {
            let client = rules.client(&request, Some(stranger)).expect("a peer is always known");
            assert_eq!(client.address(), ClientAddress::new(stranger), "an untrusted peer chose an address");
            assert_ne!(client.source(), AddressSource::Header);
        }
        if let Ok(client) = trusting(header).client(&request, proxy) {
            let once = client.address();
            assert_eq!(once, ClientAddress::new(once.ip()), "an address has two forms");
            assert!(once.network(Grouping::default()).contains(once.ip()));
        }

        // A proxy goes on with the last line, or adds one of its own.
        let own_line = [lines.clone(), vec![added.as_bytes().to_vec()]].concat();
        lines.last_mut().expect("one line at least").extend([b", ", added.as_bytes()].concat());
        for lines in [lines, own_line] {
            let request = HeaderLines { name, lines };
            let counting = TrustedProxies::hops(header.clone(), 2).expect("a number");
            for rules in [trusting(header), counting] {
                let client = rules.client(&request, proxy).expect("the proxies said who it is");
                assert_eq!(
                    client.address().ip(),
                    ip(CLIENT),
                    "what a client sent changed what proxies added"
                );
            }
        }
    }

    let request = HeaderLines { name: "x-real-ip", lines: sent.iter().map(|line| line.to_vec()).collect() };
    let single = trusting(&SINGLE);
    assert_eq!(single.client(&request, Some(stranger)).expect("a peer").address().ip(), stranger);
    if single.client(&request, proxy).is_ok() {
        assert_eq!(sent.len(), 1, "one of several values was believed");
    }
});
