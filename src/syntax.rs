//! What the grammars of header fields share: tokens, quoted strings and lists (RFC 9110 §5.6).

/// A character of a token (RFC 9110 §5.6.2).
pub(crate) fn is_token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// A whole token: at least one character.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|b| is_token_byte(*b))
}

/// Without the optional white space before and after (RFC 9110 §5.6.3).
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Without the optional white space before.
pub(crate) fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// Where the closing mark of a quoted string is (RFC 9110 §5.6.4). `inner` begins behind the opening mark.
pub(crate) fn closing_mark(inner: &[u8]) -> Option<usize> {
    let mut escaped = false;
    inner.iter().position(|b| match b {
        _ if escaped => {
            escaped = false;
            false
        }
        b'\\' => {
            escaped = true;
            false
        }
        b => *b == b'"',
    })
}

/// The elements of a list (RFC 9110 §5.6.1): what stands between commas outside of quoted strings, without the white space
/// around it. Empty elements are left out, as recipients must.
pub(crate) fn elements(list: &[u8]) -> impl Iterator<Item = Element<'_>> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        loop {
            let (element, after) = cut(rest?);
            rest = after;
            if !element.text.is_empty() {
                return Some(element);
            }
        }
    })
}

/// One element of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    /// Its text.
    pub(crate) text: &'a [u8],
    /// Whether its quoted strings end. One that does not has swallowed what came behind it.
    pub(crate) is_closed: bool,
}

/// The first element, and what stands behind its comma.
fn cut(list: &[u8]) -> (Element<'_>, Option<&[u8]>) {
    let mut at = 0;
    while let Some(b) = list.get(at) {
        match b {
            b',' => {
                let (text, after) = list.split_at(at);
                return (Element { text: trim(text), is_closed: true }, after.get(1..));
            }
            b'"' => match closing_mark(list.get(at + 1..).unwrap_or_default()) {
                Some(length) => at += length + 2,
                None => return (Element { text: trim(list), is_closed: false }, None),
            },
            _ => at += 1,
        }
    }
    (Element { text: trim(list), is_closed: true }, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9110 §5.6.2: all visible characters but the delimiters.
    #[test]
    fn tokens_have_no_delimiters() {
        for b in 0..=u8::MAX {
            let expected = b.is_ascii_graphic() && !br#""(),/:;<=>?@[\]{}"#.contains(&b);
            assert_eq!((is_token_byte(b), is_token(&[b'a', b])), (expected, expected), "{b}");
        }
        assert!(!is_token(b""));
    }

    #[test]
    fn optional_white_space_is_spaces_and_tabs() {
        for (text, trimmed, start) in
            [("", "", ""), (" \t", "", ""), ("\t a b \t", "a b", "a b \t"), ("\n", "\n", "\n")]
        {
            assert_eq!(trim(text.as_bytes()), trimmed.as_bytes(), "{text:?}");
            assert_eq!(trim_start(text.as_bytes()), start.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn lists_part_at_commas_outside_of_quotes() {
        for (list, expected) in [
            ("", &[][..]),
            (" , ,", &[]),
            ("a", &["a"]),
            (" a ,\tb,c ", &["a", "b", "c"]),
            ("a=\"b, c\", d", &["a=\"b, c\"", "d"]),
            ("a=\"\\\", b\", c", &["a=\"\\\", b\"", "c"]),
            ("a=\"\\\\\", b", &["a=\"\\\\\"", "b"]),
        ] {
            let read: Vec<_> = elements(list.as_bytes()).collect();
            let expected: Vec<_> =
                expected.iter().map(|text| Element { text: text.as_bytes(), is_closed: true }).collect();
            assert_eq!(read, expected, "{list}");
        }
        let swallowed = Element { text: b"b=\"c, d", is_closed: false };
        assert_eq!(elements(b"a, b=\"c, d").last(), Some(swallowed));
    }
}
