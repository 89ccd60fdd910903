//! A `Cookie` header line: the reader finds what stands there and nothing else, and other cookies hide none.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_keep::session::cookie_values;

const NAME: &[u8] = b"__Host-id";

fuzz_target!(|line: &[u8]| {
    let values: Vec<_> = cookie_values(line, NAME).collect();
    let ours = |value: &&[u8]| !value.contains(&b';');
    assert!(values.iter().all(ours), "a value holds a separator");
    // Each value comes from a pair of its own, whose name stands there byte by byte.
    let pairs = line.split(|b| *b == b';');
    let named = pairs.filter(|pair| pair.windows(NAME.len()).any(|window| window == NAME));
    assert!(values.len() <= named.count(), "a cookie of another name was taken for ours");

    let around = [line, b";__Host-id=mine;", line].concat();
    let found: Vec<_> = cookie_values(&around, NAME).collect();
    assert_eq!(found.len(), 2 * values.len() + 1, "other cookies changed how ours is read");
    assert_eq!(found[values.len()], b"mine");
    assert_eq!(found[..values.len()], values);
});
