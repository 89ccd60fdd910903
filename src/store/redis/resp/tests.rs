use proptest::prelude::*;

use super::*;
use crate::store::error::StoreErrorKind;

fn scan(bytes: &[u8]) -> Result<Option<(Frame, usize)>, Malformed> {
    Scanner::default().next(bytes)
}

fn read(bytes: &[u8]) -> Vec<Result<Reply<'_>, StoreErrorKind>> {
    Replies::new(bytes).map(|reply| reply.map_err(|error| error.kind())).collect()
}

fn list(items: &[&'static str]) -> Reply<'static> {
    Reply::Array(items.iter().map(|item| (*item).into()).collect())
}

#[test]
fn a_command_is_a_list_of_byte_strings() {
    let mut out = Vec::new();
    begin(&mut out, 3);
    for text in ["SET", "", "0123456789"] {
        word(&mut out, text.as_bytes());
    }
    assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$10\r\n0123456789\r\n");
}

#[test]
fn every_kind_of_reply_is_read() {
    for (bytes, reply) in [
        ("+OK\r\n", "OK".into()),
        (":-42\r\n", Reply::Int(-42)),
        ("$3\r\na\rb\r\n", "a\rb".into()),
        ("$0\r\n\r\n", "".into()),
        ("$-1\r\n", Reply::Nil),
        ("*-1\r\n", Reply::Nil),
        ("_\r\n", Reply::Nil),
        ("*0\r\n", list(&[])),
        ("*2\r\n$1\r\na\r\n*1\r\n:1\r\n", Reply::Array(vec!["a".into(), Reply::Array(vec![Reply::Int(1)])])),
        ("~1\r\n+a\r\n", list(&["a"])),
        ("%1\r\n+a\r\n+b\r\n", list(&["a", "b"])),
        (",1.5\r\n", "1.5".into()),
        ("(12345678901234567890\r\n", "12345678901234567890".into()),
        ("#t\r\n", Reply::Int(1)),
        ("#f\r\n", Reply::Int(0)),
        ("=7\r\ntxt:abc\r\n", "abc".into()),
        ("|1\r\n+ttl\r\n:5\r\n$1\r\na\r\n", "a".into()),
    ] {
        assert_eq!(scan(bytes.as_bytes()), Ok(Some((Frame::Reply, bytes.len()))), "{bytes}");
        assert!(read(bytes.as_bytes()) == [Ok(reply)], "{bytes}");
    }
}

#[test]
fn errors_keep_their_code_and_pushes_are_no_replies() {
    assert_eq!(scan(b"-OOM no\r\n"), Ok(Some((Frame::Error, 9))));
    assert_eq!(scan(b"!6\r\nOOM no\r\n"), Ok(Some((Frame::Error, 12))));
    assert_eq!(scan(b">2\r\n+message\r\n+x\r\n:1\r\n"), Ok(Some((Frame::Push, 18))));
    for bytes in [&b"-OOM no\r\n"[..], b"!6\r\nOOM no\r\n", b"*2\r\n-OOM no\r\n:1\r\n"] {
        assert!(read(bytes) == [Err(StoreErrorKind::Full)]);
    }
    assert!(read(b"-ERR x\r\n:1\r\n") == [Err(StoreErrorKind::Server), Ok(Reply::Int(1))]);
}

#[test]
fn what_is_no_reply_is_refused() {
    for bytes in [
        "HTTP/1.1 400\r\n",
        "\r\n",
        "$x\r\n",
        "$-2\r\n",
        "*9999999999999\r\n",
        "+a\rb\r\n",
        "$99999999999\r\n",
        "$2\r\nabc\r\n",
        "$4\r\nab\r\ncd\r\n",
        "*2\r\n$1\r\nab\r\n:1\r\n",
    ] {
        assert_eq!(scan(bytes.as_bytes()), Err(Malformed), "{bytes}");
    }
    assert_eq!(scan(&[b'+'; MAX_LINE]), Err(Malformed));
    let deep = "*1\r\n".repeat(100) + ":1\r\n";
    assert!(read(deep.as_bytes())[0] == Err(StoreErrorKind::Desync));
}

fn reply() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(|n| format!(":{n}\r\n")),
        "[a-zA-Z ]{0,9}".prop_map(|text| format!("+{text}\r\n")),
        ".{0,9}".prop_map(|text| format!("${}\r\n{text}\r\n", text.len())),
        Just("$-1\r\n".to_owned()),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        proptest::collection::vec(inner, 0..5)
            .prop_map(|items| format!("*{}\r\n{}", items.len(), items.concat()))
    })
}

proptest! {
    /// However a stream is cut, the same frames are found in it.
    #[test]
    fn replies_are_found_however_they_are_cut(replies in proptest::collection::vec(reply(), 1..5), step in 1usize..20) {
        let stream = replies.concat().into_bytes();
        let (mut scanner, mut buf, mut found) = (Scanner::default(), Vec::new(), Vec::new());
        for part in stream.chunks(step) {
            buf.extend_from_slice(part);
            while let Some((_, end)) = scanner.next(&buf).unwrap() {
                found.push(String::from_utf8(buf.drain(..end).collect()).unwrap());
            }
        }
        prop_assert!(buf.is_empty());
        prop_assert_eq!(&found, &replies);
        prop_assert!(read(&stream).iter().all(Result::is_ok));
        prop_assert_eq!(read(&stream).len(), replies.len());
    }

    #[test]
    fn foreign_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), proptest::sample::select(&b"$*%|>-\r\n019"[..])], 0..200)) {
        let _ = scan(&bytes);
        prop_assert!(read(&bytes).len() <= bytes.len());
    }
}
