//! One node of a proxy chain: an address with or without a port, or a word that hides it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::outcome::NoClientReason;

/// The longest node, in bytes. An address with a port is shorter.
const MAX_NODE: usize = 128;

/// Reads a node (RFC 7239 §6). `X-Forwarded-For` and the headers of providers have no grammar of their own; theirs are the same
/// forms, and IPv6 without brackets.
pub(super) fn address(node: &[u8]) -> Result<IpAddr, NoClientReason> {
    let text = std::str::from_utf8(node).map_err(|_| NoClientReason::Unparsable)?;
    if text.len() > MAX_NODE {
        return Err(NoClientReason::Unparsable);
    }
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Some(rest) = text.strip_prefix('[') {
        return bracketed(rest).ok_or(NoClientReason::Unparsable);
    }
    let host = match text.split_once(':') {
        Some((host, port)) if is_port(port) => host,
        Some(_) => return Err(NoClientReason::Unparsable),
        None => text,
    };
    if host.eq_ignore_ascii_case("unknown") || host.strip_prefix('_').is_some_and(is_obfuscated) {
        return Err(NoClientReason::Hidden);
    }
    host.parse::<Ipv4Addr>().map(IpAddr::V4).map_err(|_| NoClientReason::Unparsable)
}

/// What follows `[`: an IPv6 address, `]`, and perhaps a port.
fn bracketed(rest: &str) -> Option<IpAddr> {
    let (address, port) = rest.split_once(']')?;
    let address = address.parse::<Ipv6Addr>().ok()?;
    let port = port.strip_prefix(':').map_or(port.is_empty(), is_port);
    port.then_some(IpAddr::V6(address))
}

/// `port` or `obfport` of RFC 7239 §6.
fn is_port(text: &str) -> bool {
    let number = text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok();
    number || text.strip_prefix('_').is_some_and(is_obfuscated)
}

fn is_obfuscated(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use NoClientReason::{Hidden, Unparsable};
    use proptest::prelude::*;

    #[test]
    fn nodes_are_read_in_all_their_forms() {
        for (node, expected) in [
            ("192.0.2.1", Ok("192.0.2.1")),
            ("192.0.2.1:80", Ok("192.0.2.1")),
            ("192.0.2.1:65535", Ok("192.0.2.1")),
            ("192.0.2.1:_https", Ok("192.0.2.1")),
            ("2001:db8::1", Ok("2001:db8::1")),
            ("2001:DB8::A", Ok("2001:db8::a")),
            ("[2001:db8::1]", Ok("2001:db8::1")),
            ("[2001:db8::1]:443", Ok("2001:db8::1")),
            ("[2001:db8::1]:_p", Ok("2001:db8::1")),
            ("::ffff:192.0.2.1", Ok("::ffff:192.0.2.1")),
            ("[::ffff:192.0.2.1]:80", Ok("::ffff:192.0.2.1")),
            ("::", Ok("::")),
            ("unknown", Err(Hidden)),
            ("UnKnown", Err(Hidden)),
            ("unknown:80", Err(Hidden)),
            ("_hidden", Err(Hidden)),
            ("_SEVKISEK.1-2:_port", Err(Hidden)),
            ("_", Err(Unparsable)),
            ("_a b", Err(Unparsable)),
            ("192.0.2.1:", Err(Unparsable)),
            ("192.0.2.1:65536", Err(Unparsable)),
            ("192.0.2.1:000080", Err(Unparsable)),
            ("192.0.2.1:+80", Err(Unparsable)),
            ("192.0.2.1:80:80", Err(Unparsable)),
            ("192.0.2.01", Err(Unparsable)),
            ("192.0.2.256", Err(Unparsable)),
            ("192.0.2", Err(Unparsable)),
            ("0x7f.0.0.1", Err(Unparsable)),
            ("3221225985", Err(Unparsable)),
            ("192.0.2.1/32", Err(Unparsable)),
            ("[192.0.2.1]", Err(Unparsable)),
            ("[2001:db8::1", Err(Unparsable)),
            ("[2001:db8::1]443", Err(Unparsable)),
            ("[2001:db8::1]:", Err(Unparsable)),
            ("[]", Err(Unparsable)),
            ("fe80::1%eth0", Err(Unparsable)),
            ("[fe80::1%25eth0]", Err(Unparsable)),
            ("2001:db8::1::2", Err(Unparsable)),
            ("1:2:3:4:5:6:7:8:9", Err(Unparsable)),
            ("\"192.0.2.1\"", Err(Unparsable)),
            ("192.0.2.1 ", Err(Unparsable)),
            ("192.0.2.1\0", Err(Unparsable)),
            ("localhost", Err(Unparsable)),
            ("example.org:80", Err(Unparsable)),
            ("", Err(Unparsable)),
            (":80", Err(Unparsable)),
        ] {
            let read = address(node.as_bytes()).map(|ip| ip.to_string());
            assert_eq!(read, expected.map(str::to_owned), "{node}");
        }
        assert_eq!(address(b"192.0.2.\xff"), Err(Unparsable));
        let hidden = |bytes| address(format!("{:_<bytes$}", "_").as_bytes());
        assert_eq!((hidden(MAX_NODE), hidden(MAX_NODE + 1)), (Err(Hidden), Err(Unparsable)));
    }

    proptest! {
        #[test]
        fn every_address_is_read_from_every_form(ip: IpAddr, port: u16) {
            let bare = ip.to_string();
            let forms = match ip {
                IpAddr::V4(_) => vec![bare.clone(), format!("{bare}:{port}")],
                IpAddr::V6(_) => vec![bare.clone(), format!("[{bare}]"), format!("[{bare}]:{port}")],
            };
            for form in forms {
                prop_assert_eq!(address(form.as_bytes()), Ok(ip), "{}", form);
            }
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(node in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = address(&node);
        }
    }
}
