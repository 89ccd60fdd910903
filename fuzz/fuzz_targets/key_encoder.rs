//! Keys: different parts make different keys, all short, printable and of the documented shape.
//!
//! The input is two parts with a zero byte between them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_keep::store::key::{Key, KeyPrefix, MAX_PART};

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    let (a, b) = text.split_once('\0').unwrap_or((&text, ""));
    let prefix = KeyPrefix::new("app").expect("a valid prefix");
    let key = |kind, part| Key::new(&prefix, kind, part);

    assert_eq!(a == b, key("session", a) == key("session", b), "two parts, one key");
    assert_ne!(key("session", a), key("session-index", b), "two kinds, one key");
    for key in [key("session", a), key("session", b)] {
        let part = key.as_str().strip_prefix("app:session:").expect("prefix and kind stand in front");
        assert!(part.len() <= MAX_PART);
        assert!(part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%@".contains(&b)), "{part}");
    }
    if let Ok(prefix) = KeyPrefix::new(a) {
        let key = Key::new(&prefix, "session", b);
        assert!(key.as_str().starts_with(a) && key.as_str().bytes().all(|b| b.is_ascii_graphic()));
        assert!(!key.as_str().contains(['{', '}', '*', '?', '[', ']']));
    }
});
