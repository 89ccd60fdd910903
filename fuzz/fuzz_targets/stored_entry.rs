//! The head of a stored response: foreign bytes are refused or read, and what was read is written and read the same.
//!
//! The input is a head, or one without its version and check.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_keep::cache::read_entry;

fuzz_target!(|input: &[u8]| {
    let _ = read_entry(input);
});
