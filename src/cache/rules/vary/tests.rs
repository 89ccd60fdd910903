//! RFC 9111 §4.1: which requests select the same response.

use http::{HeaderMap, HeaderName, HeaderValue, Request};
use proptest::prelude::*;

use super::*;

type Lines<'a> = &'a [(&'a str, &'a str)];

fn request(lines: Lines<'_>) -> Request<()> {
    let builder =
        lines.iter().fold(Request::get("/"), |builder, (name, value)| builder.header(*name, *value));
    builder.body(()).unwrap()
}

fn names(names: &str) -> VaryNames {
    VaryNames::from_names(names.split(',').filter(|name| !name.is_empty())).unwrap()
}

fn same(vary: &str, one: Lines<'_>, other: Lines<'_>, normalise: &Normalise) -> bool {
    names(vary).key(&request(one), normalise) == names(vary).key(&request(other), normalise)
}

#[test]
fn names_are_lower_case_sorted_and_each_once() {
    let mut headers = HeaderMap::new();
    for line in ["Foo , BAR", ",,", "foo,\tBaz"] {
        headers.append("vary", HeaderValue::from_static(line));
    }
    let read = VaryNames::of(&headers).unwrap();
    assert_eq!(read.iter().collect::<Vec<_>>(), ["bar", "baz", "foo"]);
    assert_eq!(VaryNames::from_names(read.iter()).unwrap(), read, "what was stored is read again");
    assert!(VaryNames::of(&HeaderMap::new()).unwrap().is_empty() && !read.is_empty());
}

#[test]
fn only_named_fields_count_and_absence_is_a_value() {
    let normalise = Normalise::by_meaning();
    for (vary, one, other, expected) in [
        ("foo", &[("foo", "1")][..], &[("foo", "1")][..], true),
        ("foo", &[("foo", "1")], &[("foo", "2")], false),
        ("foo", &[("foo", "1")], &[], false),
        ("foo", &[("foo", "")], &[], false),
        ("foo", &[], &[], true),
        ("foo", &[("foo", "1"), ("other", "2")], &[("other", "3"), ("foo", "1")], true),
        ("foo,bar", &[("foo", "1"), ("bar", "abc")], &[("bar", "abc"), ("foo", "1")], true),
        ("foo,bar", &[("foo", "1"), ("bar", "abc")], &[("foo", "2"), ("bar", "abc")], false),
        ("foo,bar,baz", &[("foo", "1"), ("baz", "789")], &[("foo", "1"), ("baz", "789")], true),
        ("foo,bar,baz", &[("foo", "1"), ("baz", "789")], &[("foo", "1"), ("bar", "789")], false),
        ("", &[("foo", "1")], &[], true),
        ("cookie", &[("cookie", "sid=a")], &[("cookie", "sid=b")], false),
        ("authorization", &[("authorization", "x")], &[], false),
    ] {
        assert_eq!(same(vary, one, other, &normalise), expected, "{vary}: {one:?} {other:?}");
    }
    // The names belong to the key: a response that varies on less is another one.
    let bare = request(&[]);
    assert_ne!(names("a,b").key(&bare, &normalise), names("a").key(&bare, &normalise));
}

/// §4.1: "known to have identical semantics".
#[test]
fn values_are_normalised_as_their_grammar_allows() {
    let (safe, spec) = (Normalise::safe(), Normalise::by_meaning());
    for (name, one, other, in_safe, in_spec) in [
        ("foo", &["1, 2"][..], &["1", "2"][..], true, true),
        ("foo", &[" 1"], &["1 "], true, true),
        ("foo", &["1,2"], &[" 1, 2 "], false, true),
        ("foo", &["a"], &["A"], false, false),
        ("foo", &["a,b"], &["b,a"], false, false),
        ("foo", &["\"a, b\""], &["\"a,b\""], false, false),
        ("accept-language", &["en, de"], &["en , \t de"], true, true),
        ("accept-language", &["en, de"], &["eN, De"], true, true),
        ("accept-language", &["en, de"], &["de, en"], false, true),
        ("accept-language", &["en, de"], &["ende"], false, false),
        ("accept-language", &["en, de;q=0.5"], &["de;Q=0.500 ; , en;q=1.0"], false, false),
        ("accept-language", &["en, de;q=0.5"], &["de;Q=0.500, en;q=1.0"], true, true),
        ("accept-language", &["en", "de;q=0.5"], &["en,de;q=.5"], false, false),
        ("accept-language", &["en;q=0"], &["en;q=0.000"], true, true),
        ("accept-language", &["en;q=0"], &["en"], false, false),
        ("accept-encoding", &["gzip, br"], &["BR,gzip"], true, true),
        ("accept-encoding", &["gzip, br;q=0.5"], &["gzip;q=0.5, br"], false, false),
        ("accept", &["text/html, */*;q=0.1"], &["TEXT/HTML,*/*; q=0.10"], true, true),
        ("accept", &["text/html;level=1"], &["text/html; LEVEL=1"], true, true),
        ("accept", &["text/html;level=a"], &["text/html;level=A"], false, false),
        ("accept", &["text/html, text/plain"], &["text/plain, text/html"], false, false),
        // What cannot be read is compared as it was sent.
        ("accept-language", &["en;q=2"], &["EN;q=2"], false, false),
        ("accept", &["a/b;c=\"x, y\""], &["a/b;c=\"x,y\""], false, false),
        ("accept-language", &["en;q=0.5;q=0.5"], &["en;q=0.5"], false, false),
        ("accept-language", &["en;q=0.5;x=1"], &["en;q=0.5"], false, false),
        ("accept-language", &["en us"], &["enus"], false, false),
        ("accept-language", &["en us"], &["EN us"], false, false),
        ("accept-language", &["en;q=0.0001"], &["EN;q=0.0001"], false, false),
        ("accept", &["a/b;c d=e"], &["A/b;c d=e"], false, false),
        ("accept", &["a/b;c=d e"], &["A/b;c=d e"], false, false),
    ] {
        let lines = |values: &[&'static str]| values.iter().map(|value| (name, *value)).collect::<Vec<_>>();
        let (one, other) = (lines(one), lines(other));
        assert_eq!(same(name, &one, &other, &safe), in_safe, "safe: {one:?} {other:?}");
        assert_eq!(same(name, &one, &other, &spec), in_spec, "by meaning: {one:?} {other:?}");
    }
}

/// RFC 9110 §12.5.3.
#[test]
fn only_the_best_supported_coding_counts_where_a_route_says_so() {
    let mut normalise = Normalise::safe();
    normalise.encodings = Preferences::best(["br", "gzip"]);
    for (sent, expected) in [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip, br;q=0.5", "gzip"),
        ("*", "br"),
        ("*, br;q=0", "gzip"),
        ("deflate", "identity"),
        ("", "identity"),
        ("br;q=0, gzip;q=0", "identity"),
        ("gzip;q=0.5, identity", "identity"),
        ("gzip, identity", "gzip"),
        ("*;q=0", "identity"),
    ] {
        let request = request(&[("accept-encoding", sent)]);
        let seen = normalise.replacement(&http::header::ACCEPT_ENCODING, &request);
        assert_eq!(seen.unwrap(), expected, "{sent}");
    }
    assert!(same(
        "accept-encoding",
        &[("accept-encoding", "gzip, br")],
        &[("accept-encoding", "br, zstd")],
        &normalise
    ));
    assert!(
        !same("accept-encoding", &[("accept-encoding", "identity")], &[], &normalise),
        "absence is a value"
    );
    let absent = normalise.replacement(&http::header::ACCEPT_ENCODING, &request(&[]));
    assert_eq!(absent, None);
    let other = normalise.replacement(&HeaderName::from_static("foo"), &request(&[("foo", "1")]));
    assert_eq!(other, None);
    let ordered =
        normalise.replacement(&http::header::ACCEPT_LANGUAGE, &request(&[("accept-language", "de")]));
    assert_eq!(ordered, None, "only what is reduced is replaced");
}

/// RFC 9110 §12.5.4, RFC 4647 §3.
#[test]
fn only_the_best_supported_language_counts_where_a_route_says_so() {
    let mut normalise = Normalise::safe();
    normalise.languages = Preferences::best(["en", "de", "fr-CH", "zh-Hant"]);
    for (sent, expected) in [
        ("de", "de"),
        ("DE-at, en;q=0.9", "de"),
        ("it, fr;q=0.9, de;q=0.8", "fr-CH"),
        ("zh-Hant-TW", "zh-Hant"),
        ("zh", "zh-Hant"),
        ("en;q=0.1, de;q=0.2", "de"),
        ("de;q=0", "en"),
        ("it", "en"),
        ("*", "en"),
        ("", "en"),
        ("d", "en"),
    ] {
        let seen =
            normalise.replacement(&http::header::ACCEPT_LANGUAGE, &request(&[("accept-language", sent)]));
        assert_eq!(seen.unwrap(), expected, "{sent}");
    }
    normalise.languages = Preferences::best::<&str>([]);
    let none = normalise.replacement(&http::header::ACCEPT_LANGUAGE, &request(&[("accept-language", "de")]));
    assert_eq!(none.unwrap(), "de");
}

/// §4.1: "that mechanism MAY be used to choose a preferred response".
#[test]
fn a_response_in_one_language_answers_all_who_want_it_most() {
    let (vary, normalise) = (names("accept-language,foo"), Normalise::by_meaning());
    let response = |language: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert("content-language", HeaderValue::from_static(language));
        headers
    };
    let stored = |asked: &str, language| {
        vary.stored_keys(&request(&[("accept-language", asked)]), &response(language), &normalise).by_language
    };
    let wanted = |asked: &str| vary.keys(&request(&[("accept-language", asked)]), &normalise).by_language;

    assert!(stored("en, de", "DE").is_some());
    assert_eq!(wanted("fr;q=0.5, de;q=1.0"), stored("en, de", "de"));
    assert_ne!(wanted("fr, de;q=0.5"), stored("en, de", "de"));
    for asked in ["de, fr", "*", "de;q=0", "de;q=9", ""] {
        assert_eq!(wanted(asked), None, "{asked}");
    }
    for language in ["de, en", "", "d e"] {
        assert_eq!(stored("de", language), None, "{language}");
    }
    for (vary, normalise) in [(&vary, Normalise::safe()), (&names("foo"), Normalise::by_meaning())] {
        let keys = vary.stored_keys(&request(&[("accept-language", "de")]), &response("de"), &normalise);
        assert_eq!(keys.by_language, None, "{normalise:?}");
    }
    // Whoever asks for German alone, and was answered in English, keeps that to himself.
    let own = vary.keys(&request(&[("accept-language", "de")]), &normalise).own;
    assert_ne!(Some(own), stored("de", "de"));
    let other = vary.keys(&request(&[("accept-language", "de"), ("foo", "1")]), &normalise).by_language;
    assert_ne!(other, stored("de", "de"), "other fields count as before");
    assert_eq!(vary.keys(&request(&[("accept-language", "de")]), &Normalise::safe()).by_language, None);
    assert_eq!(names("foo").keys(&request(&[("accept-language", "de")]), &normalise).by_language, None);
}

#[test]
fn a_key_shows_no_value() {
    let key = names("cookie").key(&request(&[("cookie", "sid=secret")]), &Normalise::safe());
    let hex: String = key.as_bytes().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!((key.to_string(), format!("{key:?}")), (hex.clone(), format!("VariantKey({hex})")));
    assert!(!format!("{key:?} {key}").contains("secret"));
}

proptest! {
    /// Injective: the parts of a key cannot be shifted into each other.
    #[test]
    fn keys_are_equal_exactly_when_names_and_values_are(
        one in prop::collection::btree_map("[a-c]{1,2}", prop::option::of("[a, ]{0,3}"), 0..4),
        other in prop::collection::btree_map("[a-c]{1,2}", prop::option::of("[a, ]{0,3}"), 0..4),
    ) {
        let normalise = Normalise::safe();
        let key = |fields: &std::collections::BTreeMap<String, Option<String>>| {
            let lines: Vec<_> = fields.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_deref()?))).collect();
            VaryNames::from_names(fields.keys()).unwrap().key(&request(&lines), &normalise)
        };
        let meant = |fields: &std::collections::BTreeMap<String, Option<String>>| {
            fields.iter().map(|(name, value)| (name.clone(), value.as_ref().map(|value| value.trim_matches(' ').to_owned()))).collect::<Vec<_>>()
        };
        prop_assert_eq!(key(&one) == key(&other), meant(&one) == meant(&other));
    }

    /// A normalised value is its own normal form, and lines do not matter.
    #[test]
    fn normalisation_is_idempotent_and_does_not_see_lines(
        values in prop::collection::vec("[a-c]{1,2}(-[A-C]{1,2})?( ?; ?q=(0|1|0\\.[0-9]{1,3}|1\\.0))?", 1..5),
        name in prop::sample::select(vec!["accept", "accept-language", "accept-encoding", "foo"]),
    ) {
        for normalise in [Normalise::safe(), Normalise::by_meaning()] {
            let one = request(&[(name, &values.join(", "))]);
            let lines: Vec<_> = values.iter().map(|value| (name, value.as_str())).collect();
            let value = normalise.value(name, &one).unwrap();
            prop_assert_eq!(normalise.value(name, &request(&lines)), Some(value.clone()));
            let again = request(&[(name, std::str::from_utf8(&value).unwrap())]);
            prop_assert_eq!(normalise.value(name, &again), Some(value));
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(value: Vec<u8>, vary: Vec<u8>) {
        let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        let mut headers = HeaderMap::new();
        if let Ok(vary) = HeaderValue::from_bytes(&vary) {
            headers.insert("vary", vary);
            let _ = VaryNames::of(&headers);
        }
        for name in ["accept", "accept-language", "accept-encoding", "foo"] {
            let mut request = request(&[]);
            request.headers_mut().insert(HeaderName::from_static(name), value.clone());
            let _ = names(name).keys(&request, &Normalise::by_meaning());
        }
    }
}
