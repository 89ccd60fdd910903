//! The parsing algorithms of RFC 9651 §4.2. `None` is "fail parsing".

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::Dictionary;
use super::item::{Bare, Member};
use crate::syntax::is_token_byte;

/// What is left to read.
pub(super) struct Parser<'a> {
    rest: &'a [u8],
}

impl<'a> Parser<'a> {
    pub(super) const fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    /// §4.2.2.
    pub(super) fn dictionary(mut self) -> Option<Dictionary> {
        let mut members = Dictionary::new();
        self.each_member(|parser| {
            let key = parser.key()?;
            let member = if parser.skip(b'=') {
                parser.member()?
            } else {
                parser.parameters()?;
                Member::Item(Bare::Boolean(true))
            };
            match members.iter_mut().find(|(known, _)| *known == key) {
                Some((_, before)) => *before = member,
                None => members.push((key, member)),
            }
            Some(())
        })?;
        Some(members)
    }

    /// §4.2.1.
    pub(super) fn list(mut self) -> Option<Vec<Member>> {
        let mut members = Vec::new();
        self.each_member(|parser| {
            members.push(parser.member()?);
            Some(())
        })?;
        Some(members)
    }

    /// Members with commas between them, up to the end.
    fn each_member(&mut self, mut read: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.skip_while(|b| b == b' ');
        while !self.rest.is_empty() {
            read(self)?;
            self.skip_while(|b| matches!(b, b' ' | b'\t'));
            if self.rest.is_empty() {
                break;
            }
            if !self.skip(b',') {
                return None;
            }
            self.skip_while(|b| matches!(b, b' ' | b'\t'));
            if self.rest.is_empty() {
                return None;
            }
        }
        Some(())
    }

    /// §4.2.1.1: an item or an inner list, with parameters.
    fn member(&mut self) -> Option<Member> {
        if !self.skip(b'(') {
            return self.item().map(Member::Item);
        }
        let mut items = Vec::new();
        loop {
            self.skip_while(|b| b == b' ');
            if self.skip(b')') {
                self.parameters()?;
                return Some(Member::InnerList(items));
            }
            items.push(self.item()?);
            if !matches!(self.rest.first()?, b' ' | b')') {
                return None;
            }
        }
    }

    fn item(&mut self) -> Option<Bare> {
        let bare = self.bare()?;
        self.parameters()?;
        Some(bare)
    }

    /// §4.2.3.1.
    fn bare(&mut self) -> Option<Bare> {
        match self.rest.first()? {
            b'-' | b'0'..=b'9' => self.number(),
            b'"' => self.string().map(Bare::String),
            b'*' | b'a'..=b'z' | b'A'..=b'Z' => {
                self.skip_while(|b| is_token_byte(b) || matches!(b, b':' | b'/'));
                Some(Bare::Token)
            }
            b':' => self.bytes(),
            b'?' => self.boolean(),
            b'@' => self.date(),
            b'%' => self.display_string(),
            _ => None,
        }
    }

    /// §4.2.3.2.
    fn parameters(&mut self) -> Option<()> {
        while self.skip(b';') {
            self.skip_while(|b| b == b' ');
            self.key()?;
            if self.skip(b'=') {
                self.bare()?;
            }
        }
        Some(())
    }

    /// §4.2.3.3.
    fn key(&mut self) -> Option<String> {
        if !matches!(self.rest.first()?, b'a'..=b'z' | b'*') {
            return None;
        }
        let key = self.take_while(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'*'));
        std::str::from_utf8(key).ok().map(String::from)
    }

    /// §4.2.4.
    fn number(&mut self) -> Option<Bare> {
        let is_negative = self.skip(b'-');
        let whole = self.take_while(|b| b.is_ascii_digit());
        if whole.is_empty() {
            return None;
        }
        if self.skip(b'.') {
            let fraction = self.take_while(|b| b.is_ascii_digit());
            return (whole.len() <= 12 && (1..=3).contains(&fraction.len())).then_some(Bare::Decimal);
        }
        if whole.len() > 15 {
            return None;
        }
        let value: i64 = std::str::from_utf8(whole).ok()?.parse().ok()?;
        Some(Bare::Integer(if is_negative { -value } else { value }))
    }

    /// §4.2.5.
    fn string(&mut self) -> Option<String> {
        let mut text = String::new();
        self.next()?;
        loop {
            match self.next()? {
                b'"' => return Some(text),
                b'\\' => match self.next()? {
                    b @ (b'"' | b'\\') => text.push(char::from(b)),
                    _ => return None,
                },
                b @ b' '..=b'~' => text.push(char::from(b)),
                _ => return None,
            }
        }
    }

    /// §4.2.7. Padding may be left out, and bits beyond the last byte do not matter.
    fn bytes(&mut self) -> Option<Bare> {
        const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true);
        self.next()?;
        let text = self.take_while(|b| b != b':');
        let is_base64 = GeneralPurpose::new(&STANDARD, LENIENT).decode(text).is_ok();
        (self.skip(b':') && is_base64).then_some(Bare::Bytes)
    }

    /// §4.2.8.
    fn boolean(&mut self) -> Option<Bare> {
        self.next()?;
        match self.next()? {
            b'0' => Some(Bare::Boolean(false)),
            b'1' => Some(Bare::Boolean(true)),
            _ => None,
        }
    }

    /// §4.2.9.
    fn date(&mut self) -> Option<Bare> {
        self.next()?;
        match self.number()? {
            Bare::Integer(_) => Some(Bare::Date),
            _ => None,
        }
    }

    /// §4.2.10.
    fn display_string(&mut self) -> Option<Bare> {
        self.next()?;
        if !self.skip(b'"') {
            return None;
        }
        let mut bytes = Vec::new();
        loop {
            match self.next()? {
                b'"' => return std::str::from_utf8(&bytes).ok().map(|_| Bare::DisplayString),
                b'%' => {
                    let (high, low) = (hex(self.next()?)?, hex(self.next()?)?);
                    bytes.push(high * 16 + low);
                }
                b @ b' '..=b'~' => bytes.push(b),
                _ => return None,
            }
        }
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn skip(&mut self, expected: u8) -> bool {
        let is_next = self.rest.first() == Some(&expected);
        if is_next {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        is_next
    }

    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) {
        self.take_while(wanted);
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|b| !wanted(*b)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, &[]));
        self.rest = rest;
        taken
    }
}

/// Display strings are in lower case (§4.2.10).
fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}
