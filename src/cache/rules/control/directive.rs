//! One directive: a name and perhaps an argument (RFC 9111 §5.2).

use super::seconds::{Number, number};
use crate::syntax::{Element, closing_mark, elements, is_token, is_token_byte, trim};

/// A directive of any name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Directive<'a> {
    pub(super) name: &'a [u8],
    pub(super) argument: Argument<'a>,
}

/// What stands behind the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Argument<'a> {
    None,
    Token(&'a [u8]),
    /// What stands between the marks, escapes and all. No directive that is known here needs any.
    Quoted(&'a [u8]),
    /// What the grammar does not allow, such as white space around the `=`.
    Malformed,
}

impl Argument<'_> {
    /// As seconds, whether quoted or not.
    pub(super) fn number(self) -> Number {
        match self {
            Self::Token(digits) | Self::Quoted(digits) => number(digits),
            Self::None | Self::Malformed => Number::Invalid,
        }
    }
}

/// One piece of a line.
pub(super) enum Piece<'a> {
    Directive(Directive<'a>),
    /// A quoted string without an end: nobody can tell what it hides.
    Unreadable,
}

/// The directives of one line. Elements that begin with no name are left out.
pub(super) fn pieces(line: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    elements(line).filter_map(piece)
}

fn piece(element: Element<'_>) -> Option<Piece<'_>> {
    if !element.is_closed {
        return Some(Piece::Unreadable);
    }
    let text = element.text;
    let end = text.iter().position(|b| !is_token_byte(*b)).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end).filter(|(name, _)| !name.is_empty())?;
    let argument = match rest {
        [] => Argument::None,
        [b'=', b'"', inner @ ..] => quoted(inner),
        [b'=', value @ ..] if is_token(value) => Argument::Token(value),
        _ => Argument::Malformed,
    };
    Some(Piece::Directive(Directive { name, argument }))
}

fn quoted(inner: &[u8]) -> Argument<'_> {
    let Some((value, after)) = closing_mark(inner).and_then(|at| inner.split_at_checked(at)) else {
        return Argument::Malformed;
    };
    if trim(after) == b"\"" { Argument::Quoted(value) } else { Argument::Malformed }
}
