//! `delta-seconds` (RFC 9111 §1.2.2).

/// What greater numbers are taken for: 2^31, which is 68 years.
pub(in crate::cache::rules) const MAX_SECONDS: u32 = 1 << 31;

/// The argument of a directive that wants a number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cache::rules) enum Number {
    /// A number, at most [`MAX_SECONDS`].
    Seconds(u32),
    /// Anything else: nothing, a sign, a fraction, letters.
    Invalid,
}

/// Reads a number. No sign, no fraction, no white space; leading zeros do not matter.
pub(in crate::cache::rules) fn number(digits: &[u8]) -> Number {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Number::Invalid;
    }
    let value = digits.iter().fold(0_u32, |value, digit| {
        value.saturating_mul(10).saturating_add(u32::from(digit - b'0')).min(MAX_SECONDS)
    });
    Number::Seconds(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_large_numbers_saturate_and_everything_else_is_invalid() {
        for (text, expected) in [
            ("0", Some(0)),
            ("003600", Some(3600)),
            ("2147483647", Some(2_147_483_647)),
            ("2147483648", Some(MAX_SECONDS)),
            ("2147483649", Some(MAX_SECONDS)),
            ("99999999999999999999999999", Some(MAX_SECONDS)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.0", None),
            ("1e3", None),
            ("0x10", None),
            (" 1", None),
            ("1s", None),
            ("'1'", None),
        ] {
            let expected = expected.map_or(Number::Invalid, Number::Seconds);
            assert_eq!(number(text.as_bytes()), expected, "{text}");
        }
    }
}
