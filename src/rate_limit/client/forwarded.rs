//! The elements of `Forwarded` (RFC 7239 §4), taken from the right.
//!
//! Each proxy adds its element at the right end of what it was sent, and what it was sent may be the work of an attacker: a
//! quotation mark without its partner, say, that would swallow everything behind it if the list were read from the left. Read from
//! the right, an element that a proxy wrote well is found whatever stands before it.

use super::outcome::NoClientReason;
use crate::syntax::{is_token, is_token_byte, trim_start};

/// Where the last comma is that stands outside of quotes, counted from the right end.
pub(super) fn last_comma(list: &[u8]) -> Option<usize> {
    let mut quoted = false;
    for (at, b) in list.iter().enumerate().rev() {
        match b {
            // Outside, this is a closing mark: nothing is escaped there. Inside, it opens, unless it is escaped.
            b'"' if !quoted => quoted = true,
            b'"' => quoted = is_escaped(list.get(..at).unwrap_or_default()),
            b',' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// Whether the byte behind `before` has a backslash that is not itself escaped.
fn is_escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|b| **b == b'\\').count() % 2 == 1
}

/// The node that an element's `for` parameter names, without its quotes.
///
/// An element without one hides its node. Colons and brackets are read outside of quotes as well, although RFC 7239 §4 wants them
/// quoted: several proxies write them so, and nothing else can be meant.
pub(super) fn node(element: &[u8]) -> Result<Vec<u8>, NoClientReason> {
    let mut rest = element;
    let mut found = None;
    loop {
        rest = trim_start(rest);
        if let [b';', after @ ..] = rest {
            rest = after;
            continue;
        }
        if rest.is_empty() {
            return found.ok_or(NoClientReason::Hidden);
        }
        let (name, value, after) = pair(rest).ok_or(NoClientReason::Unparsable)?;
        if name.eq_ignore_ascii_case(b"for") && found.replace(value).is_some() {
            // A parameter stands in an element once (RFC 7239 §4): which of two would be right?
            return Err(NoClientReason::Unparsable);
        }
        rest = trim_start(after);
        if !matches!(rest, [] | [b';', ..]) {
            return Err(NoClientReason::Unparsable);
        }
    }
}

/// `token = value`, and what follows.
fn pair(text: &[u8]) -> Option<(&[u8], Vec<u8>, &[u8])> {
    let equals = text.iter().position(|b| *b == b'=')?;
    let (name, value) = (text.get(..equals)?, text.get(equals + 1..)?);
    if !is_token(name) {
        return None;
    }
    if let [b'"', inner @ ..] = value {
        let (value, after) = unquote(inner)?;
        return Some((name, value, after));
    }
    let end = value.iter().position(|b| !is_token_byte(*b) && !b":[]".contains(b)).unwrap_or(value.len());
    let (value, after) = value.split_at_checked(end)?;
    (!value.is_empty()).then(|| (name, value.to_vec(), after))
}

/// What stands up to the closing mark (RFC 9110 §5.6.4), and what follows it.
fn unquote(inner: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut rest = inner;
    loop {
        match rest {
            [b'"', after @ ..] => return Some((value, after)),
            [b'\\', b, after @ ..] | [b, after @ ..] => {
                value.push(*b);
                rest = after;
            }
            [] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use NoClientReason::{Hidden, Unparsable};
    use proptest::prelude::*;

    #[test]
    fn the_for_parameter_is_found_in_all_its_forms() {
        for (element, expected) in [
            ("for=192.0.2.60", Ok("192.0.2.60")),
            ("FOR=192.0.2.60;proto=http;by=203.0.113.43", Ok("192.0.2.60")),
            ("proto=http; for=192.0.2.60", Ok("192.0.2.60")),
            ("for=\"[2001:db8:cafe::17]:4711\"", Ok("[2001:db8:cafe::17]:4711")),
            ("for=[2001:db8::1]:80;proto=https", Ok("[2001:db8::1]:80")),
            ("for=192.0.2.1:80", Ok("192.0.2.1:80")),
            ("for=\"_gazonk\"", Ok("_gazonk")),
            ("for=unknown", Ok("unknown")),
            ("for=\"19\\2.0.2.1\"", Ok("192.0.2.1")),
            ("host=\"a;for=9.9.9.9\";for=192.0.2.1", Ok("192.0.2.1")),
            (";;for=192.0.2.1;", Ok("192.0.2.1")),
            ("by=203.0.113.43;proto=http", Err(Hidden)),
            ("x-for=192.0.2.1", Err(Hidden)),
            ("for=192.0.2.1;for=192.0.2.2", Err(Unparsable)),
            ("for =192.0.2.1", Err(Unparsable)),
            ("for= 192.0.2.1", Err(Unparsable)),
            ("for=", Err(Unparsable)),
            ("for=\"\"", Ok("")),
            ("for=\"192.0.2.1", Err(Unparsable)),
            ("for=\"192.0.2.1\"x", Err(Unparsable)),
            ("for=192.0.2.1 192.0.2.2", Err(Unparsable)),
            ("192.0.2.1", Err(Unparsable)),
            ("=192.0.2.1", Err(Unparsable)),
        ] {
            let read = node(element.as_bytes());
            assert_eq!(read, expected.map(|node| node.as_bytes().to_vec()), "{element}");
        }
    }

    #[test]
    fn commas_in_quotes_part_nothing() {
        for (list, expected) in [
            ("for=a, for=b", Some(5)),
            ("for=\"a,b\"", None),
            ("x=\",\",for=b", Some(5)),
            ("for=a,x=\"\\\",\"", Some(5)),
            ("for=a,x=\"\\\\\"", Some(5)),
            // What an attacker leaves open does not swallow what the proxy adds.
            ("for=\"x, for=b", Some(6)),
            ("", None),
        ] {
            assert_eq!(last_comma(list.as_bytes()), expected, "{list}");
        }
    }

    /// Well-formed elements: as a proxy writes them.
    fn element() -> impl Strategy<Value = String> {
        prop_oneof![
            "for=[0-9.]{1,9}(;proto=https?)?",
            any::<String>().prop_map(|text| {
                let quoted: String = text.chars().flat_map(|c| ['\\', c]).collect();
                format!("host=\"{quoted}\";for=\"_x\"")
            }),
            "for=\"(\\[::[0-9]\\]|[a-z,;=]{0,9}|\\\\\\\\|\\\\\")\"",
        ]
    }

    proptest! {
        #[test]
        fn nothing_on_the_left_changes_what_a_proxy_added(left: Vec<u8>, added in element()) {
            let list = [&left[..], b",", added.as_bytes()].concat();
            prop_assert_eq!(last_comma(&list), Some(left.len()));
            prop_assert!(node(added.as_bytes()).is_ok());
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            prop_assert!(last_comma(&bytes).is_none_or(|at| bytes[at] == b','));
            let _ = node(&bytes);
        }
    }
}
