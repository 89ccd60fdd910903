//! RFC 9111 §4.4, RFC 3986 §5, RFC 9875.

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::*;

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn uri<'a>(path: &'a str, query: Option<&'a str>) -> EffectiveUri<'a> {
    EffectiveUri { scheme: Some("http"), authority: "a", path, query }
}

#[test]
fn unsafe_methods_without_an_error_invalidate() {
    for (method, status, expected) in [
        ("POST", 200, true),
        ("PUT", 204, true),
        ("DELETE", 302, true),
        ("PATCH", 201, true),
        ("M-SEARCH", 200, true),
        ("X-UNKNOWN", 399, true),
        ("POST", 400, false),
        ("POST", 500, false),
        ("POST", 103, false),
        ("GET", 200, false),
        ("HEAD", 200, false),
        ("OPTIONS", 200, false),
        ("TRACE", 200, false),
        ("QUERY", 200, false),
        ("PROPFIND", 207, false),
        ("post", 200, true),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(invalidates(MethodKind::of(method), status), expected, "{method} {status}");
    }
}

/// The examples of RFC 3986 §5.4, as far as they stay with the origin `http://a`, and a few more.
#[test]
fn references_are_resolved_as_the_rfc_shows() {
    for (reference, expected) in [
        ("g", "/b/c/g"),
        ("./g", "/b/c/g"),
        ("g/", "/b/c/g/"),
        ("/g", "/g"),
        ("?y", "/b/c/d;p?y"),
        ("g?y", "/b/c/g?y"),
        ("#s", "/b/c/d;p?q"),
        ("g#s", "/b/c/g"),
        ("g?y#s", "/b/c/g?y"),
        (";x", "/b/c/;x"),
        ("g;x", "/b/c/g;x"),
        ("g;x?y#s", "/b/c/g;x?y"),
        ("", "/b/c/d;p?q"),
        (".", "/b/c/"),
        ("./", "/b/c/"),
        ("..", "/b/"),
        ("../", "/b/"),
        ("../g", "/b/g"),
        ("../..", "/"),
        ("../../", "/"),
        ("../../g", "/g"),
        ("../../../g", "/g"),
        ("../../../../g", "/g"),
        ("/./g", "/g"),
        ("/../g", "/g"),
        ("g.", "/b/c/g."),
        (".g", "/b/c/.g"),
        ("g..", "/b/c/g.."),
        ("..g", "/b/c/..g"),
        ("./../g", "/b/g"),
        ("./g/.", "/b/c/g/"),
        ("g/./h", "/b/c/g/h"),
        ("g/../h", "/b/c/h"),
        ("g/h:i", "/b/c/g/h:i"),
        ("?y:z", "/b/c/d;p?y:z"),
        ("g;x=1/./y", "/b/c/g;x=1/y"),
        ("g;x=1/../y", "/b/c/y"),
        ("g?y/./x", "/b/c/g?y/./x"),
        ("g?y/../x", "/b/c/g?y/../x"),
        ("g#s/./x", "/b/c/g"),
        ("//a", "/"),
        ("//a?y", "/?y"),
        ("http://a/x?y", "/x?y"),
        ("HTTP://A:80/x", "/x"),
        ("http://a:/x", "/x"),
        ("/a//b/", "/a//b/"),
        ("/%2e%2E/b", "/%2e%2E/b"),
    ] {
        let read = invalidated(&uri("/b/c/d;p", Some("q")), &headers(&[("location", reference)]));
        assert_eq!(read, [expected], "{reference}");
    }
    assert_eq!(invalidated(&uri("", None), &headers(&[("location", "g")])), ["/g"]);
    assert_eq!(invalidated(&uri("", None), &headers(&[("location", "")])), ["/"]);
}

/// RFC 9111 §4.4: "MUST NOT … if the origin differs".
#[test]
fn nothing_of_another_origin_is_invalidated() {
    for reference in [
        "//g",
        "http://b/x",
        "https://a/x",
        "http://a:8080/x",
        "http://a@b/x",
        "http://x@a/x",
        "http:g",
        "http:/g",
        "ftp://a/x",
        "mailto:a",
        "http://a.b/x",
        "http://[::1]/x",
        "http://a:b/x",
        "/a b",
        "/ä",
        "/a\tb",
    ] {
        let fields = headers(&[("location", reference), ("content-location", reference)]);
        assert!(invalidated(&uri("/b", None), &fields).is_empty(), "{reference}");
    }
    let portless = EffectiveUri { scheme: Some("http"), authority: "[2001:db8::1]", path: "/", query: None };
    for (reference, expected) in
        [("http://[2001:DB8::1]:80/x", true), ("http://[2001:db8::1]/x", true), ("//[2001:db8::2]/x", false)]
    {
        let found = invalidated(&portless, &headers(&[("location", reference)]));
        assert_eq!(!found.is_empty(), expected, "{reference}");
    }
    let ported = EffectiveUri { scheme: Some("https"), authority: "[::1]:8443", path: "/", query: None };
    for (reference, expected) in
        [("https://[::1]:8443/x", true), ("https://[::1]/x", false), ("//[::1]:8443/x", true)]
    {
        assert_eq!(
            !invalidated(&ported, &headers(&[("location", reference)])).is_empty(),
            expected,
            "{reference}"
        );
    }
}

#[test]
fn a_scheme_that_is_not_known_is_either() {
    let uri = EffectiveUri { scheme: None, authority: "a", path: "/b", query: None };
    for (reference, expected) in [
        ("http://a/x", true),
        ("https://a/x", true),
        ("HTTPS://a:443/x", true),
        ("https://a:80/x", false),
        ("http://a:80/x", true),
        ("//a/x", true),
        ("/x", true),
        ("https://b/x", false),
        ("ftp://a/x", false),
    ] {
        assert_eq!(
            !invalidated(&uri, &headers(&[("location", reference)])).is_empty(),
            expected,
            "{reference}"
        );
    }
}

#[test]
fn location_and_content_location_are_both_invalidated_once() {
    let fields = headers(&[("location", "/a"), ("content-location", "/b")]);
    assert_eq!(invalidated(&uri("/", None), &fields), ["/a", "/b"]);
    let fields = headers(&[("location", "/a"), ("content-location", "http://a/a")]);
    assert_eq!(invalidated(&uri("/", None), &fields), ["/a"]);
    assert!(invalidated(&uri("/", None), &HeaderMap::new()).is_empty());
}

/// RFC 9875 §2 and §3.
#[test]
fn groups_are_lists_of_strings() {
    for (lines, expected) in [
        (&[][..], &[][..]),
        (&["\"a\", \"b\""][..], &["a", "b"][..]),
        (&["\"a\";revalidate, \"b\"", "\"a\", \"c\""], &["a", "b", "c"]),
        (&["\"a, b\""], &["a, b"]),
        (&["\"A\", \"a\""], &["A", "a"]),
        (&["\"\""], &[""]),
        // No list of strings: ignored (RFC 9651 §4.2).
        (&["a"], &[]),
        (&["\"a\", b"], &[]),
        (&["\"a\", (\"b\")"], &[]),
        (&["\"a\","], &[]),
        (&["\"a"], &[]),
    ] {
        let groups = headers(&lines.iter().map(|line| ("cache-groups", *line)).collect::<Vec<_>>());
        assert_eq!(cache_groups(&groups).unwrap(), expected, "{lines:?}");
        let invalid =
            headers(&lines.iter().map(|line| ("cache-group-invalidation", *line)).collect::<Vec<_>>());
        assert_eq!(invalidated_groups(MethodKind::Unsafe, &invalid).unwrap(), expected, "{lines:?}");
        assert!(cache_groups(&invalid).unwrap().is_empty());
    }
    let invalid = headers(&[("cache-group-invalidation", "\"a\"")]);
    for method in ["GET", "HEAD", "OPTIONS", "QUERY"] {
        assert!(invalidated_groups(MethodKind::of(method), &invalid).unwrap().is_empty(), "{method}");
    }
}

/// RFC 9875 §2 wants 32 groups of 32 characters at least.
#[test]
fn groups_are_bounded() {
    let groups = |count: usize, length: usize| {
        let list: Vec<_> = (0..count).map(|i| format!("\"{i:0>length$}\"")).collect();
        cache_groups(&headers(&[("cache-groups", &list.join(", "))])).map(|groups| groups.len())
    };
    assert_eq!(groups(32, 32), Ok(32));
    assert_eq!(groups(MAX_GROUPS, 10), Ok(MAX_GROUPS));
    assert_eq!(groups(MAX_GROUPS + 1, 10), Err(GroupsError::TooMany));
    assert_eq!(groups(1, MAX_GROUP_BYTES), Ok(1));
    assert_eq!(groups(1, MAX_GROUP_BYTES + 1), Err(GroupsError::TooLong));
}

proptest! {
    /// Whatever is said, what is invalidated is a path of this origin, and means the same when it is said again.
    #[test]
    fn a_resolved_reference_is_a_path_and_resolves_to_itself(reference in "(https?:|//a|[a-z:/?#.%@ ]{0,3}){0,2}([a-c./?#;:]|\\.\\./){0,12}") {
        let base = uri("/b/c/d", Some("q"));
        for target in invalidated(&base, &headers(&[("location", &reference)])) {
            prop_assert!(target.starts_with('/') && !target.contains('#'));
            let path = target.split('?').next().unwrap_or_default();
            prop_assert!(!path.split('/').any(|segment| matches!(segment, "." | "..")));
            // A path that begins with two slashes can only be said with its origin.
            let again = format!("http://a{target}");
            prop_assert_eq!(invalidated(&base, &headers(&[("location", &again)])), [target]);
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(reference: String, authority: String, path: String) {
        let base = EffectiveUri { scheme: Some("https"), authority: &authority, path: &path, query: None };
        if let Ok(value) = HeaderValue::from_str(&reference) {
            let mut fields = HeaderMap::new();
            fields.insert("location", value);
            let _ = invalidated(&base, &fields);
        }
    }
}
