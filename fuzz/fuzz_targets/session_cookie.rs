//! A request's cookies against a store that holds one session: only its own cookie opens it, nothing is ever adopted.
//!
//! The input is split into header lines at line feeds; `%h` and `%s` stand for the session's handle and secret, so that
//! almost-right cookies are among the inputs.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_keep::session::FailurePolicy;
use tower_keep_fuzz::{HeaderLines, now, sessions};

fuzz_target!(|input: &[u8]| {
    let sessions = sessions();
    let session = sessions.start();
    let handle = session.login("alice").expect("a valid name");
    now(session.save()).expect("the store has room");
    let line = session.take_set_cookie().expect("a new session has a cookie");
    let cookie = line.split(';').next().expect("a line has a first part");
    let (_, value) = cookie.split_once('=').expect("a cookie has a value");
    let (_, secret) = value.split_once('.').expect("handle.secret");

    let header = expand(input, handle.as_str().as_bytes(), secret.as_bytes());
    let lines: Vec<_> = header.split(|b| *b == b'\n').collect();
    let shown = lines.iter().any(|line| line.windows(value.len()).any(|part| part == value.as_bytes()));

    let lazy = sessions.begin(&HeaderLines { name: "cookie", lines });
    let loaded = now(lazy.load_with(FailurePolicy::Required)).expect("the store works");
    if loaded.is_stored() {
        assert!(shown, "opened without its cookie");
        assert_eq!(loaded.handle(), Some(handle));
        assert_eq!(loaded.principal().as_deref(), Some("alice"));
    } else {
        assert_eq!(loaded.handle(), None, "a handle of the client's was adopted");
        assert_eq!(loaded.principal(), None);
    }
    let finish = now(lazy.finish());
    assert!(finish.failure.is_none() && finish.set_cookie.is_none(), "a read sent something");

    // What is written afterwards goes to the opened session or to one of a new name.
    let was_stored = loaded.is_stored();
    loaded.insert("a", &1).expect("there is room");
    let finish = now(lazy.finish());
    assert_eq!(finish.set_cookie.is_none(), was_stored, "one new cookie for a new session");
    let written = loaded.handle().expect("it was saved");
    assert!(was_stored || !header.windows(22).any(|part| part == written.as_str().as_bytes()));
});

fn expand(input: &[u8], handle: &[u8], secret: &[u8]) -> Vec<u8> {
    let mut header = Vec::with_capacity(input.len() + 128);
    let mut rest = input;
    while let Some((first, tail)) = rest.split_first() {
        match (first, tail.first()) {
            (b'%', Some(b'h')) => header.extend_from_slice(handle),
            (b'%', Some(b's')) => header.extend_from_slice(secret),
            _ => {
                header.push(*first);
                rest = tail;
                continue;
            }
        }
        rest = &tail[1..];
    }
    header
}
