//! Structured fields, compared with an implementation that is not ours.

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

fn dictionary_of(text: &str) -> Option<Dictionary> {
    Parser::new(text.as_bytes()).dictionary()
}

fn list_of(text: &str) -> Option<Vec<Member>> {
    Parser::new(text.as_bytes()).list()
}

fn item(bare: Bare) -> Member {
    Member::Item(bare)
}

/// RFC 9651 §3.2, §3.3.
#[test]
fn every_type_is_read() {
    let text = "a=1, b=-15, c=\"x\\\"\\\\\", d=tok/en:*, e, f=?0, g=1.5, h=:YQ==:, h=:YQ:, i=@1659578233, j=%\"f%c3%bc\", k=(1 \"x\";p=1  y);q, a=2;p=\"z\";q";
    let expected = [
        ("a", item(Bare::Integer(2))),
        ("b", item(Bare::Integer(-15))),
        ("c", item(Bare::String("x\"\\".into()))),
        ("d", item(Bare::Token)),
        ("e", item(Bare::Boolean(true))),
        ("f", item(Bare::Boolean(false))),
        ("g", item(Bare::Decimal)),
        ("h", item(Bare::Bytes)),
        ("i", item(Bare::Date)),
        ("j", item(Bare::DisplayString)),
        ("k", Member::InnerList(vec![Bare::Integer(1), Bare::String("x".into()), Bare::Token])),
    ];
    let expected: Dictionary = expected.into_iter().map(|(key, member)| (key.to_owned(), member)).collect();
    assert_eq!(dictionary_of(text), Some(expected));
}

/// RFC 9651 §4.2: "fail parsing" fails all of the field.
#[test]
fn one_error_fails_the_field() {
    for text in [
        "a=1,",
        "a=1, ,b",
        ",a",
        "a=1 b=2",
        "A=1",
        "a=",
        "a= 1",
        "a =1",
        "a=1;",
        "a=1;B",
        "a=1;b=",
        "a=\"x",
        "a=\"\\x\"",
        "a=\"\u{7f}\"",
        "a=\"ü\"",
        "a=1.",
        "a=.5",
        "a=1.2345",
        "a=1234567890123.1",
        "a=1234567890123456",
        "a=-",
        "a=--1",
        "a=?2",
        "a=?",
        "a=(1",
        "a=(1 2",
        "a=(1,2)",
        "a=(1)2",
        "a=:YQ",
        "a=@1.5",
        "a=@",
        "a=%\"%C3\"",
        "a=%\"%ff\"",
        "a=%x",
        "a=&",
        "&&&&&",
        "a=1, &&&&&",
        "a=1\u{b}",
        "1=a",
        "a=(1(2))",
    ] {
        assert_eq!(dictionary_of(text), None, "{text}");
    }
    assert_eq!(dictionary_of(""), Some(Vec::new()));
    assert_eq!(dictionary_of("   "), Some(Vec::new()));
    assert_eq!(dictionary_of("  a ").map(|members| members.len()), Some(1));
}

/// RFC 9651 §4.2.1.
#[test]
fn lists_hold_items_and_inner_lists() {
    let expected = vec![item(Bare::String("a".into())), item(Bare::Token), Member::InnerList(Vec::new())];
    assert_eq!(list_of("\"a\";revalidate,  b\t,( )"), Some(expected));
    assert_eq!(list_of("\"a\" \"b\""), None);
    assert_eq!(list_of("\"a\","), None);
    assert_eq!(list_of(""), Some(Vec::new()));
}

/// RFC 9651 §4.2: lines are one value; a value that one line begins and the next one ends is an error of its own.
#[test]
fn lines_are_joined_with_commas() {
    let name = HeaderName::from_static("x");
    let mut headers = HeaderMap::new();
    assert_eq!(dictionary(&headers, &name), None);
    headers.append("x", HeaderValue::from_static("a=1"));
    headers.append("x", HeaderValue::from_static("b, a=3"));
    let keys: Vec<_> = dictionary(&headers, &name).unwrap().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["a", "b"]);
    headers.append("x", HeaderValue::from_static(""));
    assert_eq!(dictionary(&headers, &name), None);
    assert_eq!(list(&headers, &name), None);
}

/// Texts that are structured fields, or nearly so.
fn text() -> impl Strategy<Value = String> {
    let bare = prop_oneof![
        "-?[0-9]{1,16}",
        "-?[0-9]{1,13}\\.[0-9]{0,4}",
        "\"([ -~]|\\\\\"|\\\\\\\\){0,4}\"",
        "[a-zA-Z*][a-z:/*-]{0,3}",
        "\\?[01]",
        "@[0-9]{1,5}",
        "%\"[ a-f0-9%]{0,6}\"",
        ":[a-zA-Z0-9+/]{0,5}={0,3}:",
        "[ -~]{0,3}",
    ];
    let parameters = "(; ?[a-z*][a-z0-9_]?(=[0-9])?){0,2}";
    let item = (bare, parameters).prop_map(|(bare, parameters)| bare + &parameters);
    let list = prop::collection::vec(item.clone(), 0..3).prop_map(|items| format!("({})", items.join(" ")));
    let member =
        ("[a-z*][a-z0-9]?", prop_oneof![item, list]).prop_map(|(key, value)| format!("{key}={value}"));
    let separator = prop_oneof![Just(","), Just(" ,\t"), Just(", ")];
    let members = prop::collection::vec((member, separator), 0..4);
    members
        .prop_map(|members| {
            members.into_iter().map(|(member, separator)| member + separator).collect::<String>()
        })
        .prop_flat_map(|text| {
            prop_oneof![Just(text.trim_end_matches([',', ' ', '\t']).to_owned()), Just(text)]
        })
}

proptest! {
    #[test]
    fn another_implementation_reads_the_same_keys(text in text()) {
        let theirs = sfv::Parser::new(&text).with_version(sfv::Version::Rfc9651).parse::<sfv::Dictionary>().ok();
        let theirs: Option<Vec<String>> = theirs.map(|members| members.keys().map(|key| key.as_str().to_owned()).collect());
        let ours: Option<Vec<String>> = dictionary_of(&text).map(|members| members.into_iter().map(|(key, _)| key).collect());
        prop_assert_eq!(ours, theirs, "{}", text);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
        let _ = (Parser::new(&bytes).dictionary(), Parser::new(&bytes).list());
    }
}
