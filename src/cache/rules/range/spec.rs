//! `Range` (RFC 9110 §14.1, §14.2).

use super::Span;
use crate::syntax::trim;

/// One range as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RangeSpec {
    /// `5-9` and `5-`: inclusive, as it is written.
    From(u64, Option<u64>),
    /// `-5`: so many at the end.
    Last(u64),
}

impl RangeSpec {
    /// What it means for a body. `None` if no byte of it is meant.
    pub(super) fn span(self, body_len: u64) -> Option<Span> {
        let span = match self {
            Self::From(first, last) => {
                let end = last.map_or(body_len, |last| last.saturating_add(1).min(body_len));
                Span { start: first, end }
            }
            Self::Last(count) => Span { start: body_len.saturating_sub(count), end: body_len },
        };
        (!span.is_empty()).then_some(span)
    }
}

/// Reads a field. `None` if it is of another unit, or against the grammar: then it is ignored (§14.2).
pub(super) fn specs(field: &[u8], max: usize) -> Option<Vec<RangeSpec>> {
    let at = field.iter().position(|b| *b == b'=')?;
    let (unit, set) = field.split_at_checked(at)?;
    if !trim(unit).eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    let mut specs = Vec::new();
    for spec in set.get(1..)?.split(|b| *b == b',').map(trim).filter(|spec| !spec.is_empty()) {
        specs.push(range_spec(spec)?);
        if specs.len() > max {
            return None;
        }
    }
    (!specs.is_empty()).then_some(specs)
}

fn range_spec(spec: &[u8]) -> Option<RangeSpec> {
    let at = spec.iter().position(|b| *b == b'-')?;
    let (first, last) = spec.split_at_checked(at)?;
    let last = last.get(1..)?;
    match (first, last) {
        ([], last) => number(last).map(RangeSpec::Last),
        (first, []) => Some(RangeSpec::From(number(first)?, None)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(RangeSpec::From(first, Some(last)))
        }
    }
}

/// Digits and nothing else. What is too large for any body is the largest number.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let next = |value: u64, digit: &u8| value.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(digits.iter().fold(0, next))
}
