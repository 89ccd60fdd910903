//! `Cache-Control` as the RFC has it, and as it comes.

use proptest::prelude::*;

use super::*;
use RequestFlag as Asks;
use ResponseFlag::*;

fn response(lines: &[&str]) -> ResponseDirectives {
    ResponseDirectives::read(lines.iter().map(|line| line.as_bytes()))
}

fn request(lines: &[&str]) -> RequestDirectives {
    RequestDirectives::read(lines.iter().map(|line| line.as_bytes()))
}

/// RFC 9111 §5.2.2, RFC 5861 §3 and §4, RFC 8246.
#[test]
fn every_directive_of_a_response_is_known() {
    for (text, flag) in [
        ("no-store", NoStore),
        ("no-cache", NoCache),
        ("private", Private),
        ("public", Public),
        ("must-revalidate", MustRevalidate),
        ("proxy-revalidate", ProxyRevalidate),
        ("must-understand", MustUnderstand),
        ("no-transform", NoTransform),
        ("immutable", Immutable),
    ] {
        assert!(response(&[text]).has(flag), "{text}");
        assert!(response(&[&text.to_uppercase()]).has(flag), "{text}");
        assert!(!response(&[&format!("x-{text}, {text}-x, x=\"{text}\"")]).has(flag), "{text}");
    }
    let read = response(&["max-age=1, s-maxage=2, stale-while-revalidate=3, stale-if-error=4"]);
    let numbers = (read.max_age(), read.s_maxage(), read.stale_while_revalidate(), read.stale_if_error());
    assert_eq!(numbers, (Some(1), Some(2), Some(3), Some(4)));
    assert_eq!(response(&["", "  ", ",,"]), ResponseDirectives::default());
}

/// RFC 9111 §1.2.2, §4.2.1: what is no number makes the response stale, what is too large is 2^31.
#[test]
fn numbers_that_are_none_are_zero_and_large_ones_saturate() {
    for (text, expected) in [
        ("max-age=3600", 3600),
        ("MaX-aGe=3600", 3600),
        ("max-age=003600", 3600),
        ("max-age=\"3600\"", 3600),
        ("max-age=2147483647", 2_147_483_647),
        ("max-age=2147483649", 1 << 31),
        ("max-age=99999999999", 1 << 31),
        ("foobar, max-age=3600", 3600),
        ("foo=\"a, max-age=1\", max-age=3600", 3600),
        ("max-age=3600, foo=\"max-age=1\"", 3600),
        ("max-age=3600, foo=\"\\\", max-age=1\"", 3600),
        ("max-age=-3600", 0),
        ("max-age=3600.0", 0),
        ("max-age=a3600", 0),
        ("max-age=3600a", 0),
        ("max-age='3600'", 0),
        ("max-age =3600", 0),
        ("max-age= 3600", 0),
        ("max-age=", 0),
        ("max-age", 0),
        ("max-age=\"\"", 0),
        ("max-age=\"36\"00", 0),
        ("max-age=36 00", 0),
    ] {
        assert_eq!(response(&[text]).max_age(), Some(expected), "{text}");
    }
}

/// RFC 9111 §4.2.1: the first, or stale; what is more restrictive is allowed always.
#[test]
fn of_a_number_that_comes_twice_the_smaller_one_counts() {
    for lines in [
        &["max-age=1800, max-age=1"][..],
        &["max-age=1, max-age=1800"],
        &["max-age=1800", "max-age=1"],
        &["max-age=1", "max-age=1800"],
    ] {
        assert_eq!(response(lines).max_age(), Some(1), "{lines:?}");
    }
    assert_eq!(response(&["max-age=1800", "max-age=x"]).max_age(), Some(0));
}

/// RFC 9111 §5.2: no argument is defined. What forbids counts all the same, what allows does not.
#[test]
fn with_an_argument_that_it_does_not_have_a_directive_still_forbids() {
    let read = response(&[
        "no-store=1, must-revalidate=\"x\", proxy-revalidate =, private = x, no-cache==, public=1, immutable=x",
    ]);
    for flag in [NoStore, MustRevalidate, ProxyRevalidate, Private, NoCache] {
        assert!(read.has(flag), "{flag:?}");
    }
    for flag in [Public, Immutable] {
        assert!(!read.has(flag), "{flag:?}");
    }
}

/// RFC 9111 §5.2.2.4 and §5.2.2.7.
#[test]
fn lists_of_fields_are_read_and_all_is_meant_where_they_cannot_be() {
    for (text, no_cache, private) in [
        ("no-cache=\"a\"", &["a"][..], &[][..]),
        ("no-cache=\"A, set-cookie\"", &["a", "set-cookie"], &[]),
        ("no-cache=a", &["a"], &[]),
        ("private=\" a ,\tb \"", &[], &["a", "b"]),
        ("private=\"a\", no-cache=\"b\", private=\"c\"", &["b"], &["a", "c"]),
    ] {
        let read = response(&[text]);
        assert_eq!(read.no_cache_fields(), no_cache, "{text}");
        assert_eq!(read.private_fields(), private, "{text}");
        assert!(!read.has(NoCache) && !read.has(Private), "{text}");
    }
    for text in [
        "no-cache=\"\"",
        "no-cache=\"a b\"",
        "no-cache=\"a,\"",
        "no-cache=\"\\a\"",
        "no-cache= a",
        "no-cache, no-cache=\"a\"",
    ] {
        assert!(response(&[text]).has(NoCache), "{text}");
    }
    assert!(response(&["private=\"@\""]).has(Private));
}

#[test]
fn what_stands_behind_an_open_quote_is_not_guessed() {
    for lines in
        [&["max-age=60, x=\"no-store"][..], &["x=\"", "max-age=60"], &["max-age=\"60"], &["x=\"\\\""]]
    {
        assert!(response(lines).has(Unreadable), "{lines:?}");
        assert!(request(lines).has(Asks::NoCache), "{lines:?}");
    }
    assert!(!response(&["x=\"\\\\\", max-age=60"]).has(Unreadable));
}

/// RFC 9111 §5.2.1, RFC 5861 §4.
#[test]
fn directives_of_a_request_are_read() {
    let read = request(&["No-Cache, no-store, no-transform", "ONLY-IF-CACHED, foo=bar"]);
    for flag in [Asks::NoCache, Asks::NoStore, Asks::NoTransform, Asks::OnlyIfCached] {
        assert!(read.has(flag), "{flag:?}");
    }
    let read = request(&["max-age=1, min-fresh=\"2\", max-stale=3, stale-if-error=4"]);
    assert_eq!(
        (read.max_age(), read.min_fresh(), read.max_stale(), read.stale_if_error()),
        (Some(1), Some(2), Some(3), Some(4))
    );
    assert_eq!(request(&["max-stale"]).max_stale(), Some(u32::MAX));
    assert_eq!(request(&["foo, no-cachex"]), RequestDirectives::default());
}

#[test]
fn a_request_that_cannot_be_read_is_served_less_from_the_store() {
    let read = request(&["max-age=x, min-fresh=x, max-stale=x, stale-if-error=-1"]);
    assert_eq!(
        (read.max_age(), read.min_fresh(), read.max_stale(), read.stale_if_error()),
        (Some(0), Some(1 << 31), Some(0), Some(0))
    );
    let read = request(&["max-age=9, min-fresh=1, max-stale", "max-age=5, min-fresh=3, max-stale=7"]);
    assert_eq!((read.max_age(), read.min_fresh(), read.max_stale()), (Some(5), Some(3), Some(7)));
}

/// RFC 9111 §5.4.
#[test]
fn pragma_counts_only_without_cache_control() {
    for (fields, expected) in [
        (&[("pragma", "no-cache")][..], true),
        (&[("pragma", "x"), ("pragma", "No-Cache")], true),
        (&[("pragma", "no-cache"), ("pragma", "no-cache")], true),
        (&[("pragma", "no-cachex")], false),
        (&[("pragma", "no-store")], false),
        (&[("pragma", "no-cache"), ("cache-control", "max-age=5")], false),
        (&[("pragma", "no-cache"), ("cache-control", "")], false),
    ] {
        let builder = fields
            .iter()
            .fold(http::Request::get("/"), |builder, (name, value)| builder.header(*name, *value));
        let read = RequestDirectives::of(&builder.body(()).unwrap());
        assert_eq!(read.has(Asks::NoCache), expected, "{fields:?}");
        assert!(!read.has(Asks::NoStore), "{fields:?}");
    }
}

fn directive() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        "(?i)(max-age|s-maxage|no-cache|no-store|private|public|must-revalidate|must-understand|immutable)",
        "(?i)(min-fresh|max-stale|only-if-cached|stale-if-error|stale-while-revalidate)",
        "[a-z-]{1,8}",
    ];
    let argument = prop_oneof![
        Just(String::new()),
        "=[0-9]{1,12}",
        "=\"[0-9]{0,3}\"",
        "=\"[a-z]{1,3}(, ?[a-z]{0,3}){0,2}\"",
        "=\"(\\\\\\\\|\\\\\"|,){0,3}\"",
        "[ =@a-z-]{0,4}",
    ];
    (name, argument).prop_map(|(name, argument)| name + &argument)
}

proptest! {
    /// RFC 9110 §5.3: where a list is cut into lines does not matter.
    #[test]
    fn lines_may_be_cut_at_any_comma(directives in prop::collection::vec((directive(), any::<bool>()), 0..8)) {
        let mut lines = vec![String::new()];
        for (directive, is_new_line) in &directives {
            if *is_new_line {
                lines.push(directive.clone());
            } else if let Some(line) = lines.last_mut() {
                line.push_str(", ");
                line.push_str(directive);
            }
        }
        let one = directives.iter().map(|(directive, _)| directive.as_str()).collect::<Vec<_>>().join(",");
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        prop_assert_eq!(response(&lines), response(&[&one]));
        prop_assert_eq!(request(&lines), request(&[&one]));
    }

    /// The order of directives does not matter, and to say one twice changes nothing but lists.
    #[test]
    fn order_and_repetition_do_not_matter(directives in prop::collection::vec(directive(), 0..8)) {
        let forward: Vec<&str> = directives.iter().map(String::as_str).collect();
        let backward: Vec<&str> = directives.iter().rev().map(String::as_str).collect();
        prop_assert_eq!(request(&forward), request(&backward));
        prop_assert_eq!(request(&forward), request(&[&forward[..], &forward[..]].concat()));
        let (one, other) = (response(&forward), response(&backward));
        prop_assert_eq!((one.flags(), one.max_age(), one.s_maxage()), (other.flags(), other.max_age(), other.s_maxage()));
    }

    /// Another directive never allows more.
    #[test]
    fn more_directives_never_allow_more(directives in prop::collection::vec(directive(), 1..8), more in directive()) {
        let before: Vec<&str> = directives.iter().map(String::as_str).collect();
        let after = [&before[..], &[&more]].concat();
        let (before, after) = (response(&before), response(&after));
        for flag in [NoStore, NoCache, Private, MustRevalidate, ProxyRevalidate, Unreadable] {
            prop_assert!(!before.has(flag) || after.has(flag), "{:?} is gone", flag);
        }
        prop_assert!(before.max_age().is_none() || after.max_age() <= before.max_age());
        prop_assert!(before.s_maxage().is_none() || after.s_maxage() <= before.s_maxage());
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..4)) {
        let lines = || lines.iter().map(Vec::as_slice);
        let read = ResponseDirectives::read(lines());
        prop_assert!(read.max_age().is_none_or(|seconds| seconds <= 1 << 31));
        let _ = RequestDirectives::read(lines());
    }
}
