//! Where a RESP value ends.

/// The length of the first value in `bytes`, request or reply, once it is complete.
pub(crate) fn frame_len(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|pair| pair == b"\r\n")? + 2;
    // A null (`$-1`) has no number that fits, and nothing after its line.
    let number: Option<usize> =
        std::str::from_utf8(bytes.get(1..line - 2)?).ok().and_then(|n| n.parse().ok());
    let items = match (bytes[0], number) {
        (b'$' | b'=' | b'!', Some(n)) => {
            return Some(line.saturating_add(n).saturating_add(2)).filter(|end| *end <= bytes.len());
        }
        (b'*' | b'~' | b'>', Some(n)) => n,
        (b'%', Some(n)) => n.saturating_mul(2),
        _ => 0,
    };
    (0..items).try_fold(line, |end, _| Some(end + frame_len(&bytes[end..])?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_end_where_they_end() {
        for value in [
            "+OK\r\n",
            ":1\r\n",
            "$-1\r\n",
            "$2\r\nv0\r\n",
            "*0\r\n",
            "*2\r\n$1\r\na\r\n*1\r\n:1\r\n",
            "%1\r\n+a\r\n+b\r\n",
        ] {
            let more = format!("{value}+next\r\n");
            assert_eq!(frame_len(more.as_bytes()), Some(value.len()), "{value:?}");
            for cut in 0..value.len() {
                assert_eq!(frame_len(&value.as_bytes()[..cut]), None, "{value:?} cut at {cut}");
            }
        }
    }
}
