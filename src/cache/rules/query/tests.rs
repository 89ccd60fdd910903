//! Queries by policy and by `No-Vary-Search`.

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::*;

#[test]
fn a_route_says_which_parameters_count() {
    let (all, sorted) = (QueryKey::new(), QueryKey::new().sorted());
    let only = QueryKey::new().only(["page", "q"]);
    let except = QueryKey::new().except(["utm_source", "utm medium"]);
    for (key, query, expected) in [
        (&all, "b=2&&a=1&", "b=2&&a=1&"),
        (&all, "", ""),
        (&sorted, "b=2&a=1", "a=1&b=2"),
        (&sorted, "a=2&b=0&a=1", "a=2&a=1&b=0"),
        (&sorted, "%62=2&a=1&&", "a=1&%62=2"),
        (&sorted, "a&a=", "a&a="),
        (&only, "x=1&q=a+b&page=2&y", "q=a+b&page=2"),
        (&only, "p%61ge=2&PAGE=3&%ff=1", "p%61ge=2"),
        (&only, "x=1", ""),
        (&except, "a=1&utm_source=x&utm+medium=y&utm%20medium&b", "a=1&b"),
        (&except, "utm_sourc%65=1", ""),
        (&except, "%ff=1", "%ff=1"),
    ] {
        assert_eq!(key.canonical(query), expected, "{key:?} {query}");
    }
    let both = QueryKey::new().sorted().only(["b", "a"]);
    assert_eq!(both.canonical("c=3&b=2&a=1"), "a=1&b=2");
    assert_eq!(both.except(["a"]).canonical("c=3&b=2&a=1"), "b=2&c=3", "the last word counts");
}

fn read(field: &str) -> Option<NoVarySearch> {
    let mut headers = HeaderMap::new();
    headers.insert("no-vary-search", HeaderValue::from_str(field).unwrap());
    NoVarySearch::of(&headers)
}

/// Draft §5: the definition of "equivalent modulo search variance".
#[test]
fn queries_are_equivalent_as_the_response_says() {
    for (field, one, other, expected) in [
        ("key-order", "a=1&b=2", "b=2&a=1", true),
        ("key-order", "a=1&a=2", "a=2&a=1", false),
        ("key-order", "a=1&b=2&a=3", "b=2&a=1&a=3", true),
        ("params", "a=1", "", true),
        ("params", "a=1&b", "c=3", true),
        ("params=(\"a\")", "a=1&b=2", "b=2&a=7&a", true),
        ("params=(\"a\")", "a=1&b=2", "b=3", false),
        ("params=(\"a\")", "b=2&c=3", "c=3&b=2", false),
        ("params, except=(\"x\")", "x=1&y=2", "z&x=1", true),
        ("params, except=(\"x\")", "x=1", "x=2", false),
        ("params, except=()", "x=1", "", true),
        ("key-order, params=(\"a\")", "c=1&a&b=2", "b=2&c=1", true),
        // Pairs are compared as they are meant.
        ("params=(\"z\")", "a=%31&&b", "a=1&b=", true),
        ("params=(\"z\")", "a=b+c", "a=b%20c", true),
        ("params=(\"z\")", "a=b%2Bc", "a=b+c", false),
        ("params=(\"z\")", "a%3Db", "a=b", false),
        ("params=(\"z\")", "a%26b", "a&b", false),
        ("params=(\"z\")", "a=%zz", "a=%25zz", true),
        ("params=(\"z\")", "a=%C3%A9", "a=%c3%a9", true),
        ("params=(\"%C3%A9+%E6%B0%97\")", "%C3%A9+%E6%B0%97=1", "%c3%a9%20%e6%b0%97=2", true),
    ] {
        let read = read(field).unwrap();
        assert_eq!(read.canonical(one) == read.canonical(other), expected, "{field}: {one} {other}");
    }
    let canonical = read("params=(\"z\")").unwrap().canonical("a=%c3%a9&%26=+%2a&b");
    assert_eq!(canonical, "a=%C3%A9&%26=+*&b=");
}

/// Draft §4.1: strict, so that nothing that is not understood makes more the same.
#[test]
fn what_is_not_understood_means_that_the_query_counts_as_it_was_sent() {
    for field in [
        "",
        "unknown-key",
        "key-order=?0",
        "key-order=\"a\"",
        "key-order=1",
        "key-order=()",
        "params=?0",
        "params=()",
        "params=\"a\"",
        "params=a",
        "params=(a)",
        "params=(\"a\" 1)",
        "params=(\"a\"), except=(\"x\")",
        "params=(), except=()",
        "params=?0, except=(\"x\")",
        "params, except=(x)",
        "params, except=\"x\"",
        "params, except",
        "except=(\"x\")",
        "except=()",
        "key-order, except=(\"x\")",
        "key-order,",
        "KEY-ORDER",
        "params=(\"a\"",
        "&",
    ] {
        assert_eq!(read(field), None, "{field}");
    }
    assert_eq!(NoVarySearch::of(&HeaderMap::new()), None);
    for (one, other) in [
        ("params=?1", "params"),
        ("key-order=?1", "key-order"),
        ("params, key-order, except=(\"x\")", "key-order, params, except=(\"x\")"),
        ("params, except=()", "params"),
        ("key-order, foo=1", "key-order"),
        ("params=(\"a\";p=1)", "params=(\"a\")"),
    ] {
        assert_eq!(read(one), read(other), "{one}");
        assert!(read(one).is_some(), "{one}");
    }
}

/// What a form means (WHATWG URL §5.1), by another way than the code's: byte by byte.
fn meant(query: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let decode = |text: &str| {
        let mut bytes = text.bytes().map(|b| if b == b'+' { b' ' } else { b });
        let mut meant = Vec::new();
        while let Some(b) = bytes.next() {
            let mut ahead = bytes.clone();
            let digits = (b == b'%').then(|| [ahead.next(), ahead.next()]);
            let digits = digits.and_then(|[high, low]| {
                u8::from_str_radix(std::str::from_utf8(&[high?, low?]).ok()?, 16).ok()
            });
            // `from_str_radix` takes a sign.
            let is_signed = bytes.clone().next() == Some(b'+');
            match digits.filter(|_| !is_signed) {
                Some(byte) => {
                    meant.push(byte);
                    bytes = ahead;
                }
                None => meant.push(b),
            }
        }
        meant
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

proptest! {
    /// One form for each meaning, and none for two.
    #[test]
    fn canonical_queries_are_equal_exactly_when_they_mean_the_same(one in "[a-b=&+%26 ]{0,8}", other in "[a-b=&+%26 ]{0,8}", sorts: bool) {
        let no_vary = read(if sorts { "key-order, params=(\"b\")" } else { "params=(\"b\")" }).unwrap();
        let model = |query: &str| {
            let mut pairs = meant(query);
            pairs.retain(|(name, _)| name != b"b");
            if sorts {
                pairs.sort_by(|one, other| one.0.cmp(&other.0));
            }
            pairs
        };
        prop_assert_eq!(no_vary.canonical(&one) == no_vary.canonical(&other), model(&one) == model(&other));
        let canonical = no_vary.canonical(&one);
        prop_assert_eq!(no_vary.canonical(&canonical), canonical);
    }

    /// A route's settings only leave out and move: what is left means what it meant.
    #[test]
    fn a_routes_canonical_query_keeps_its_meaning(query in "[a-c=&+%26]{0,12}", sorts: bool) {
        let key = QueryKey::new().except(["b"]);
        let key = if sorts { key.sorted() } else { key };
        let canonical = key.canonical(&query).into_owned();
        let (mut was, is) = (meant(&query), meant(&canonical));
        was.retain(|(name, _)| name != b"b");
        if sorts {
            was.sort_by(|one, other| one.0.cmp(&other.0));
        }
        prop_assert_eq!(&was, &is);
        prop_assert_eq!(key.canonical(&canonical), canonical.as_str());
    }

    #[test]
    fn any_text_is_read_without_a_panic(query: String, field: Vec<u8>) {
        let _ = (QueryKey::new().sorted().canonical(&query), QueryKey::new().only(["a"]).canonical(&query));
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(&field) {
            headers.insert("no-vary-search", value);
        }
        let _ = NoVarySearch::of(&headers).map(|no_vary| no_vary.canonical(&query));
        let _ = read("key-order").map(|no_vary| no_vary.canonical(&query));
    }
}
