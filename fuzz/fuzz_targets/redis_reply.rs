//! What comes from a server, or from something that poses as one: however it is cut, the same replies are found in it.
//!
//! The first byte of the input is the size of the pieces.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_keep::store::fuzzing::read_replies;

fuzz_target!(|input: &[u8]| {
    let Some((step, stream)) = input.split_first() else { return };
    let whole = read_replies(stream, usize::MAX);
    assert_eq!(read_replies(stream, usize::from(*step)), whole, "cut in pieces of {step} bytes");
});
