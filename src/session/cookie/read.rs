//! A byte-exact reader of `Cookie` headers.
//!
//! Names are compared as bytes: nothing is decoded, only space and tab are trimmed, as RFC 6265 §4.2.1 writes them. So
//! `__Host-` cannot be imitated by other white space, by percent-encoding or by letter case, and a cookie that is not UTF-8 hides
//! none of the others.

use crate::syntax::trim;

/// The values of all cookies called `name` in one `Cookie` header line, in the order in which they were sent (RFC 6265 §5.4: the most
/// specific path first). Quotes are part of a value, as in RFC 6265 §5.2.
pub fn cookie_values<'a>(line: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    line.split(|b| *b == b';').filter_map(move |pair| {
        let equals = pair.iter().position(|b| *b == b'=')?;
        let (found, value) = (trim(pair.get(..equals)?), pair.get(equals + 1..)?);
        (found == name).then(|| trim(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(line: &[u8]) -> Vec<&[u8]> {
        cookie_values(line, b"__Host-id").collect()
    }

    #[test]
    fn finds_its_cookie_among_others() {
        for (line, expected) in [
            (&b"__Host-id=a"[..], &[&b"a"[..]][..]),
            (b"x=1; __Host-id=a; y=2", &[b"a"]),
            (b"x;=;; __Host-id = a \t;", &[b"a"]),
            (b"__Host-id=a; __Host-id=b", &[b"a", b"b"]),
            (b"__Host-id=a=b", &[b"a=b"]),
            (b"__Host-id=\"a\"", &[b"\"a\""]),
            (b"__Host-id=", &[b""]),
            (b"bad=\xff\xfe\x00; __Host-id=a", &[b"a"]),
            (b"$Version=1; __Host-id=a; $Path=/", &[b"a"]),
            (b"", &[]),
            (b"__Host-id", &[]),
        ] {
            assert_eq!(values(line), expected, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn imitations_are_other_cookies() {
        for line in [
            "\u{2000}__Host-id=evil",
            "\u{00a0}__Host-id=evil",
            "\u{0085}__Host-id=evil",
            "\u{feff}__Host-id=evil",
            "\u{3000}__Host-id=evil",
            "%5F%5FHost-id=evil",
            "__Host%2Did=evil",
            "__host-id=evil",
            "__HOST-ID=evil",
            "\x0b__Host-id=evil",
            "\x0c__Host-id=evil",
            "__Host-id\x00=evil",
            "=__Host-id=evil",
            "\"__Host-id\"=evil",
        ] {
            assert!(values(line.as_bytes()).is_empty(), "{line:?}");
        }
        assert!(values(b"\xa0__Host-id=evil").is_empty());
    }

    proptest! {
        #[test]
        fn other_cookies_never_change_how_ours_is_read(
            before in proptest::collection::vec(any::<u8>().prop_filter("separator", |b| *b != b';'), 0..50),
            after in proptest::collection::vec(any::<u8>().prop_filter("separator", |b| *b != b';'), 0..50),
        ) {
            let line = [&before[..], b"; __Host-id=mine; ", &after[..]].concat();
            prop_assert!(values(&line).contains(&&b"mine"[..]));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(line in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(values(&line).len() <= line.len());
        }
    }
}
