//! Keys of limits: different parts make different keys, bounded, printable, and without any secret.
//!
//! The input is two lists with a 0xFF byte between them, and parts with a zero byte between them; a part's first byte is its kind.

#![no_main]

use http::HeaderName;
use libfuzzer_sys::fuzz_target;
use tower_keep::rate_limit::{KeyPart, LimitKey};
use tower_keep::store::key::{Key, KeyPrefix, MAX_PART, Slot};

fn part(bytes: &[u8]) -> KeyPart<'static> {
    let Some((kind, value)) = bytes.split_first() else { return KeyPart::missing() };
    let text = String::from_utf8_lossy(value);
    match kind % 8 {
        0 => KeyPart::api_key(value),
        1 => KeyPart::header(HeaderName::from_static("x-a"), value),
        2 => KeyPart::header(HeaderName::from_static("x-b"), value),
        3 => KeyPart::path(&text),
        4 => KeyPart::method(&text),
        5 => KeyPart::session(&text),
        6 => KeyPart::principal(&text),
        _ => KeyPart::text(&text),
    }
    .into_owned()
}

fn parts(list: &[u8]) -> Vec<KeyPart<'static>> {
    list.split(|b| *b == 0).map(part).collect()
}

fuzz_target!(|input: &[u8]| {
    let mut lists = input.splitn(2, |b| *b == 0xFF);
    let a = parts(lists.next().unwrap_or_default());
    let b = parts(lists.next().unwrap_or_default());
    let keys = [LimitKey::of(a.clone()), LimitKey::of(b.clone())];
    assert_eq!(a == b, keys[0] == keys[1], "two lists, one key, or one list, two keys");

    let prefix = KeyPrefix::new("app").expect("a valid prefix");
    for (key, parts) in keys.iter().zip([&a, &b]) {
        let text = key.as_str();
        assert!(text.len() <= MAX_PART);
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%@,=+!".contains(&b)), "{text}");
        assert_eq!(format!("{key:?}"), "LimitKey(..)");
        assert_eq!(
            Key::limit(&prefix, ["api", "a", "w1.1"], key.as_composite(), Slot::Subject).as_str(),
            format!("app:limit:api:a:w1.1:{{{text}}}")
        );
        let missing = parts.contains(&KeyPart::missing());
        assert_eq!(LimitKey::complete(parts.clone()).is_none(), missing);
    }
});
