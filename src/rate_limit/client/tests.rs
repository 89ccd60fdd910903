//! Whole requests: which client is found behind which proxies.

use std::net::IpAddr;

use http::HeaderName;
use proptest::prelude::*;

use super::NoClientReason::{
    ChainExhausted, HeaderMissing, HeaderTooLong, Hidden, NoPeer, Repeated, TooManyHops, Unparsable,
};
use super::*;
use crate::view::RequestView;

/// Header lines as bytes; HTTP servers let fewer through.
#[derive(Debug)]
struct Lines(Vec<(String, Vec<u8>)>);

impl RequestView for Lines {
    fn method(&self) -> &str {
        "GET"
    }

    fn path(&self) -> &str {
        "/"
    }

    fn each_header(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        self.0.iter().filter(|(found, _)| found == name).for_each(|(_, line)| visit(line));
    }
}

fn lines(name: &str, values: &[&str]) -> Lines {
    Lines(values.iter().map(|value| (name.to_owned(), value.as_bytes().to_vec())).collect())
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn cloudflare() -> ProxyHeader {
    ProxyHeader::Single(HeaderName::from_static("cf-connecting-ip"))
}

fn trusting(header: ProxyHeader) -> TrustedProxies {
    TrustedProxies::networks(header, ["10.0.0.0/8", "2001:db8:ff::/48"]).unwrap()
}

type Found = Result<&'static str, NoClientReason>;

#[track_caller]
fn expect(proxies: &TrustedProxies, request: &Lines, peer: &str, expected: Found) {
    let found = proxies.client(request, peer.parse().ok());
    let found = found.map(|client| client.address().to_string()).map_err(|none| none.reason());
    assert_eq!(found, expected.map(str::to_owned), "{peer} {:?}", request.0);
}

const PROXY: &str = "10.0.0.1";

#[test]
fn x_forwarded_for_is_read_from_the_right_past_trusted_proxies() {
    let proxies = trusting(ProxyHeader::XForwardedFor);
    let long = format!("1.1.1.1{}", ",10.9.9.9".repeat(MAX_HOPS));
    let longest = format!("1.1.1.1{}", ",10.9.9.9".repeat(MAX_HOPS - 1));
    let padded = format!("{}10.0.0.9", " ".repeat(MAX_HEADER_BYTES));
    for (values, expected) in [
        (&["203.0.113.7"][..], Ok("203.0.113.7")),
        (&["1.1.1.1, 203.0.113.7"], Ok("203.0.113.7")),
        (&["203.0.113.7, 10.0.0.2"], Ok("203.0.113.7")),
        (&["1.1.1.1, 203.0.113.7,10.0.0.2 ,\t10.0.0.3"], Ok("203.0.113.7")),
        (&["203.0.113.7", "10.0.0.2"], Ok("203.0.113.7")),
        (&["1.1.1.1", "203.0.113.7, 10.0.0.2", "10.0.0.3"], Ok("203.0.113.7")),
        (&["203.0.113.7:4711"], Ok("203.0.113.7")),
        (&["2001:db8::7"], Ok("2001:db8::7")),
        (&["[2001:db8::7]"], Ok("2001:db8::7")),
        (&["[2001:db8::7]:4711, 2001:db8:ff::1"], Ok("2001:db8::7")),
        (&["::ffff:203.0.113.7"], Ok("203.0.113.7")),
        (&["::ffff:cb00:7107, ::ffff:10.0.0.2"], Ok("203.0.113.7")),
        (&["64:ff9b::203.0.113.7"], Ok("203.0.113.7")),
        // A client behind a translator is not a proxy, whatever address it is translated from.
        (&["1.1.1.1, 64:ff9b::10.0.0.2"], Ok("10.0.0.2")),
        (&["203.0.113.7,,", ""], Ok("203.0.113.7")),
        (&["not an address, 203.0.113.7"], Ok("203.0.113.7")),
        (&["unknown, 203.0.113.7, 10.0.0.2"], Ok("203.0.113.7")),
        (&["203.0.113.7, unknown"], Err(Hidden)),
        (&["203.0.113.7, _hidden, 10.0.0.2"], Err(Hidden)),
        (&["203.0.113.7, garbage"], Err(Unparsable)),
        (&["203.0.113.7, 10.0.0.256"], Err(Unparsable)),
        (&["203.0.113.7, 010.0.0.2"], Err(Unparsable)),
        (&["203.0.113.7, fe80::1%eth0"], Err(Unparsable)),
        (&["203.0.113.7;10.0.0.2"], Err(Unparsable)),
        (&["\"203.0.113.7\""], Err(Unparsable)),
        (&["10.0.0.3, 10.0.0.2"], Err(ChainExhausted)),
        (&[], Err(HeaderMissing)),
        (&[""], Err(HeaderMissing)),
        (&[" , ,", ","], Err(HeaderMissing)),
        (&[&longest], Ok("1.1.1.1")),
        (&[&long], Err(TooManyHops)),
        (&["203.0.113.7", &padded], Err(HeaderTooLong)),
    ] {
        expect(&proxies, &lines("x-forwarded-for", values), PROXY, expected);
    }
}

#[test]
fn forwarded_is_read_from_the_right_whatever_a_client_sent() {
    let proxies = trusting(ProxyHeader::Forwarded);
    for (values, expected) in [
        (&["for=203.0.113.7"][..], Ok("203.0.113.7")),
        (&["For=203.0.113.7;proto=https;by=10.0.0.1"], Ok("203.0.113.7")),
        (&["for=\"203.0.113.7:4711\""], Ok("203.0.113.7")),
        (&["for=\"[2001:db8::7]\""], Ok("2001:db8::7")),
        (&["for=\"[2001:db8::7]:4711\", for=10.0.0.2"], Ok("2001:db8::7")),
        (&["for=[2001:db8::7]:4711"], Ok("2001:db8::7")),
        (&["for=\"[::ffff:203.0.113.7]\""], Ok("203.0.113.7")),
        (&["for=203.0.113.7", "for=10.0.0.2"], Ok("203.0.113.7")),
        (&["for=1.1.1.1, for=203.0.113.7, for=10.0.0.2"], Ok("203.0.113.7")),
        (&["for=\", for=203.0.113.7"], Ok("203.0.113.7")),
        (&["for=\"1.1.1.1", "for=\"203.0.113.7\""], Ok("203.0.113.7")),
        (&["for=\\, for=\"203.0.113.7\""], Ok("203.0.113.7")),
        (&["x=\",for=1.1.1.1\";for=203.0.113.7"], Ok("203.0.113.7")),
        (&["for=203.0.113.7, for=unknown"], Err(Hidden)),
        (&["for=203.0.113.7, for=\"_x:_y\""], Err(Hidden)),
        (&["for=203.0.113.7, proto=https"], Err(Hidden)),
        (&["for=203.0.113.7;for=1.1.1.1"], Err(Unparsable)),
        (&["203.0.113.7"], Err(Unparsable)),
        (&["for=\"203.0.113.7"], Err(Unparsable)),
        (&["for=10.0.0.2"], Err(ChainExhausted)),
        (&[], Err(HeaderMissing)),
    ] {
        expect(&proxies, &lines("forwarded", values), PROXY, expected);
    }
    // Another header is not read, even where the right one is missing.
    expect(&proxies, &lines("x-forwarded-for", &["1.1.1.1"]), PROXY, Err(HeaderMissing));
}

#[test]
fn a_providers_header_is_read_from_trusted_peers_only_and_once() {
    let proxies = trusting(cloudflare());
    let name = "cf-connecting-ip";
    for (values, peer, expected) in [
        (&["203.0.113.7"][..], PROXY, Ok("203.0.113.7")),
        (&[" 2001:db8::7 "], PROXY, Ok("2001:db8::7")),
        (&["10.0.0.2"], PROXY, Ok("10.0.0.2")),
        (&["203.0.113.7", "203.0.113.7"], PROXY, Err(Repeated)),
        (&["203.0.113.7, 1.1.1.1"], PROXY, Err(Unparsable)),
        (&["unknown"], PROXY, Err(Hidden)),
        (&[""], PROXY, Err(HeaderMissing)),
        (&[], PROXY, Err(HeaderMissing)),
        (&["203.0.113.7"], "192.0.2.9", Ok("192.0.2.9")),
        (&["203.0.113.7"], "::ffff:10.0.0.1", Ok("203.0.113.7")),
        (&["203.0.113.7"], "", Err(NoPeer)),
    ] {
        expect(&proxies, &lines(name, values), peer, expected);
    }
}

#[test]
fn a_number_of_proxies_counts_from_the_right() {
    let hops = |proxies| TrustedProxies::hops(ProxyHeader::XForwardedFor, proxies).unwrap();
    for (proxies, values, peer, expected) in [
        (1, &["1.1.1.1, 203.0.113.7"][..], PROXY, Ok("203.0.113.7")),
        (2, &["1.1.1.1, 203.0.113.7, 192.0.2.1"], PROXY, Ok("203.0.113.7")),
        (2, &["1.1.1.1, 203.0.113.7", "unknown"], PROXY, Ok("203.0.113.7")),
        (2, &["203.0.113.7"], PROXY, Err(ChainExhausted)),
        (1, &["203.0.113.7, garbage"], PROXY, Err(Unparsable)),
        (1, &[], PROXY, Err(HeaderMissing)),
        // Behind a Unix socket.
        (1, &["203.0.113.7"], "", Ok("203.0.113.7")),
    ] {
        expect(&hops(proxies), &lines("x-forwarded-for", values), peer, expected);
    }
    let forwarded = TrustedProxies::hops(ProxyHeader::Forwarded, 1).unwrap();
    expect(&forwarded, &lines("forwarded", &["for=\", for=203.0.113.7"]), "", Ok("203.0.113.7"));
}

#[test]
fn an_untrusted_peers_header_is_a_hint_and_no_more() {
    let source = |proxies: &TrustedProxies, request: &Lines| {
        proxies.client(request, Some(ip("192.0.2.9"))).map(|client| client.source())
    };
    let bare = lines("x", &[]);
    let spoofed = lines("x-forwarded-for", &["1.1.1.1"]);
    for proxies in [TrustedProxies::none(), trusting(ProxyHeader::XForwardedFor)] {
        assert_eq!(source(&proxies, &bare), Ok(AddressSource::Peer));
        assert_eq!(source(&proxies, &spoofed), Ok(AddressSource::PeerDespiteHeader));
        expect(&proxies, &spoofed, "192.0.2.9", Ok("192.0.2.9"));
        expect(&proxies, &spoofed, "::ffff:192.0.2.9", Ok("192.0.2.9"));
        expect(&proxies, &spoofed, "", Err(NoPeer));
    }
}

#[test]
fn the_last_verified_proxy_is_told_and_never_an_unverified_one() {
    let verified = |value: &str| {
        let found =
            trusting(ProxyHeader::XForwardedFor).client(&lines("x-forwarded-for", &[value]), Some(ip(PROXY)));
        found.unwrap_err().last_verified().unwrap().to_string()
    };
    assert_eq!(verified(""), PROXY);
    assert_eq!(verified("1.1.1.1, garbage, 10.0.0.3"), "10.0.0.3");
    assert_eq!(verified("10.0.0.4, 10.0.0.3"), "10.0.0.4");
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let networks =
        |networks: &[&str]| TrustedProxies::networks(ProxyHeader::XForwardedFor, networks).map(drop);
    assert_eq!(networks(&[]), Err(ProxyError::Networks));
    assert_eq!(networks(&["10.0.0.0/8"; MAX_NETWORKS]), Ok(()));
    assert_eq!(networks(&["10.0.0.0/8"; MAX_NETWORKS + 1]), Err(ProxyError::Networks));
    assert_eq!(networks(&["proxy"]), Err(ProxyError::Network(NetworkError::Syntax)));
    let hops = |proxies| TrustedProxies::hops(ProxyHeader::XForwardedFor, proxies).map(drop);
    assert_eq!([hops(1), hops(MAX_HOPS)], [Ok(()); 2]);
    assert_eq!([hops(0), hops(MAX_HOPS + 1)], [Err(ProxyError::Hops); 2]);
}

/// Bytes as attackers send them: often of the right form.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..100),
        "(for=)?[\"\\\\,;=: \\[\\]0-9a-f._]{0,60}".prop_map(String::into_bytes),
        "((for=)?\"?10\\.0\\.0\\.[0-9]\"?(, )?){1,5}".prop_map(String::into_bytes),
    ]
}

fn request() -> impl Strategy<Value = Lines> {
    let name = prop_oneof!["x-forwarded-for", "forwarded", "cf-connecting-ip", "x-real-ip", "via"];
    proptest::collection::vec((name, hostile()), 0..6).prop_map(Lines)
}

fn rules() -> impl Strategy<Value = TrustedProxies> {
    prop_oneof![
        Just(TrustedProxies::none()),
        Just(trusting(ProxyHeader::XForwardedFor)),
        Just(trusting(ProxyHeader::Forwarded)),
        Just(trusting(cloudflare())),
    ]
}

proptest! {
    #[test]
    fn no_header_of_an_untrusted_peer_changes_its_address(rules in rules(), request in request(), peer: IpAddr) {
        let trusted = [ip("10.0.0.0"), ip("2001:db8:ff::")];
        let folded = peer.to_canonical();
        prop_assume!(!Network::around(trusted[0], 8).contains(folded) && !Network::around(trusted[1], 48).contains(folded));
        let client = rules.client(&request, Some(peer)).unwrap();
        prop_assert_eq!(client.address(), ClientAddress::new(peer));
        prop_assert_ne!(client.source(), AddressSource::Header);
    }

    #[test]
    fn nothing_that_a_client_sends_changes_what_trusted_proxies_add(
        sent in proptest::collection::vec(hostile(), 0..3),
        client: std::net::Ipv4Addr,
        line in prop_oneof![Just(true), Just(false)],
    ) {
        prop_assume!(client.octets()[0] != 10);
        for (header, name, added) in [
            (ProxyHeader::XForwardedFor, "x-forwarded-for", format!("{client}, 10.0.0.2")),
            (ProxyHeader::Forwarded, "forwarded", format!("for={client};host=\"a,\\\"b\", for=\"10.0.0.2:80\"")),
        ] {
            let mut lines: Vec<_> = sent.iter().map(|value| (name.to_owned(), value.clone())).collect();
            // A proxy adds a line of its own, or goes on with the last one.
            match lines.last_mut() {
                Some((_, last)) if !line => last.extend([b", ", added.as_bytes()].concat()),
                _ => lines.push((name.to_owned(), added.into_bytes())),
            }
            let request = Lines(lines);
            for proxies in [trusting(header.clone()), TrustedProxies::hops(header, 2).unwrap()] {
                let found = proxies.client(&request, Some(ip(PROXY))).unwrap();
                prop_assert_eq!(found.address().ip(), IpAddr::V4(client));
            }
        }
    }

    #[test]
    fn any_header_is_read_without_a_panic(rules in rules(), request in request()) {
        let _ = rules.client(&request, Some(ip(PROXY)));
    }
}
