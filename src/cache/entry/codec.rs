//! The stored form of a head.
//!
//! ```text
//! version (1 byte)  check (8 bytes)  body
//! ```
//!
//! All numbers are little endian, texts have their length before them. The check covers everything behind it: a flipped bit is a miss,
//! and so is any other version.

use std::sync::Arc;

use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::segment::check;
use super::{BodyRef, Entry};
use crate::cache::rules::{Stored, StoredFlags, VaryNames};

const VERSION: u8 = 1;
const HEAD: usize = 9;
/// The most header lines that are read.
const MAX_LINES: u32 = 1024;
/// The most tags, and the most names in `Vary`, that are read.
const MAX_WORDS: u32 = 1024;

impl Entry {
    /// Writes the head.
    pub(in crate::cache) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer(Vec::with_capacity(512));
        out.text(self.url.as_bytes());
        out.text(self.target.as_bytes());
        out.number(self.status.as_u16().into());
        let stored = &self.stored;
        for number in [
            stored.received_ms,
            stored.age_ms,
            stored.lifetime_ms,
            stored.stale_while_revalidate_ms,
            stored.stale_if_error_ms,
            stored.flags.bits().into(),
            self.number,
            self.took_ms,
            self.body.length,
        ] {
            out.number(number);
        }
        out.text(self.epoch.as_bytes());
        out.text(self.body.id.as_bytes());
        out.words(self.vary.iter());
        out.text(self.variant.as_bytes());
        out.words(self.tags.iter().map(|tag| &**tag));
        out.count(self.headers.len());
        for (name, value) in &self.headers {
            out.text(name.as_str().as_bytes());
            out.text(value.as_bytes());
        }
        with_check(&out.0)
    }

    /// Reads a head; `None` when it is none, or not as it was written.
    pub(in crate::cache) fn parse(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(HEAD)?;
        let (version, sum) = head.split_first()?;
        if *version != VERSION || *sum != check("", VERSION.into(), rest) {
            return None;
        }
        let mut from = Reader(rest);
        let (url, target) = (from.str()?.into(), from.str()?.into());
        let status = StatusCode::from_u16(u16::try_from(from.number()?).ok()?).ok()?;
        let stored = Stored {
            received_ms: from.number()?,
            age_ms: from.number()?,
            lifetime_ms: from.number()?,
            stale_while_revalidate_ms: from.number()?,
            stale_if_error_ms: from.number()?,
            flags: StoredFlags::from_bits(u8::try_from(from.number()?).ok()?)?,
        };
        let (number, took_ms, length) = (from.number()?, from.number()?, from.number()?);
        let (epoch, id) = (from.str()?.into(), from.str()?.into());
        let vary = VaryNames::from_names(from.words()?).ok()?;
        let variant = from.str()?.into();
        let tags = from.words()?.into_iter().map(Arc::from).collect();
        let mut headers = HeaderMap::new();
        for _ in 0..from.count(MAX_LINES)? {
            let name = HeaderName::from_bytes(from.text()?).ok()?;
            headers.append(name, HeaderValue::from_bytes(from.text()?).ok()?);
        }
        let body = BodyRef { id, length };
        from.0.is_empty().then_some(Self {
            url,
            target,
            status,
            headers,
            stored,
            vary,
            variant,
            tags,
            epoch,
            number,
            took_ms,
            body,
        })
    }
}

/// Version and check, and what they stand before.
pub(super) fn with_check(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + body.len());
    bytes.push(VERSION);
    bytes.extend_from_slice(&check("", VERSION.into(), body));
    bytes.extend_from_slice(body);
    bytes
}

struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    /// Bounded by what a response head can hold.
    fn count(&mut self, count: usize) {
        self.0.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
    }

    fn text(&mut self, text: &[u8]) {
        self.count(text.len());
        self.0.extend_from_slice(text);
    }

    fn words<'a>(&mut self, words: impl Iterator<Item = &'a str>) {
        let words: Vec<_> = words.collect();
        self.count(words.len());
        words.iter().for_each(|word| self.text(word.as_bytes()));
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn count(&mut self, most: u32) -> Option<u32> {
        let count = u32::from_le_bytes(self.take(4)?.try_into().ok()?);
        (count <= most).then_some(count)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.count(u32::MAX)?;
        self.take(usize::try_from(length).ok()?)
    }

    fn str(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.text()?).ok()
    }

    fn words(&mut self) -> Option<Vec<&'a str>> {
        (0..self.count(MAX_WORDS)?).map(|_| self.str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let mut headers = HeaderMap::new();
        headers.append("link", HeaderValue::from_static("</a>"));
        headers.append("link", HeaderValue::from_static("</b>"));
        headers.append("x-bytes", HeaderValue::from_bytes(b"\xff ok").unwrap());
        Entry {
            url: "hash".into(),
            target: "h/a".into(),
            status: StatusCode::NOT_FOUND,
            headers,
            stored: Stored {
                received_ms: 1,
                age_ms: 2,
                lifetime_ms: 3,
                stale_while_revalidate_ms: 4,
                stale_if_error_ms: 5,
                flags: StoredFlags::default(),
            },
            vary: VaryNames::from_names(["accept-language"]).unwrap(),
            variant: "word".into(),
            tags: vec!["a".into(), "b c".into()],
            epoch: "e".into(),
            number: 7,
            took_ms: 8,
            body: BodyRef { id: "id".into(), length: 9 },
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let read = Entry::parse(&entry().to_bytes()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{:?}", entry()));
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_a_miss() {
        let bytes = entry().to_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Entry::parse(&flipped).is_none(), "bit {bit}");
        }
        assert!((0..bytes.len()).all(|end| Entry::parse(&bytes[..end]).is_none()));
    }
}
