//! A query as a list of names and values: `application/x-www-form-urlencoded` (WHATWG URL §5.1).

use std::borrow::Cow;

/// One pair, as it was sent and as it is meant. What is meant is bytes: a query need not be UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair<'a> {
    pub(super) sent: &'a str,
    pub(super) name: Cow<'a, [u8]>,
    pub(super) value: Cow<'a, [u8]>,
}

/// The pairs of a query, empty ones left out.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = Pair<'_>> {
    query.split('&').filter(|sent| !sent.is_empty()).map(|sent| {
        let (name, value) = sent.split_once('=').unwrap_or((sent, ""));
        Pair { sent, name: decoded(name), value: decoded(value) }
    })
}

/// A `+` is a space, `%41` is a letter; a percent sign without two digits stands for itself.
pub(super) fn decoded(text: &str) -> Cow<'_, [u8]> {
    if !text.bytes().any(|b| matches!(b, b'+' | b'%')) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return Cow::Owned(bytes),
            [b'+', after @ ..] => {
                bytes.push(b' ');
                after
            }
            [b'%', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(digit(*high) * 16 + digit(*low));
                after
            }
            [b, after @ ..] => {
                bytes.push(*b);
                after
            }
        };
    }
}

/// Of a hexadecimal digit.
const fn digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}

/// Pairs in the one form that they have: two lists have the same if and only if they mean the same.
pub(super) fn encoded<'p>(pairs: impl IntoIterator<Item = &'p Pair<'p>>) -> String {
    let mut query = String::new();
    for pair in pairs {
        query.push_str(if query.is_empty() { "" } else { "&" });
        encode(&mut query, &pair.name);
        query.push('=');
        encode(&mut query, &pair.value);
    }
    query
}

fn encode(query: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let hex = |half: u8| DIGITS.get(usize::from(half)).map_or('0', |digit| char::from(*digit));
    for b in bytes {
        match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'*' => {
                query.push(char::from(*b))
            }
            b' ' => query.push('+'),
            b => query.extend(['%', hex(b >> 4), hex(b & 15)]),
        }
    }
}
