//! The Redis protocol, versions 2 and 3: commands to bytes, the ends of replies in a stream, replies to values.
//!
//! Source: <https://redis.io/docs/latest/develop/reference/protocol-spec/>. Pushed messages and attributes, which nobody here asked
//! for, are skipped. A map is given as its flat list, so that both versions give the same reply.

use bytes::Bytes;

use super::classify::by_reply;
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::wire::{Blob, Reply, desync};

/// The longest line of a reply, in bytes: numbers, simple strings and errors.
const MAX_LINE: usize = 64 << 10;
/// The longest reply, in bytes and in values.
const MAX_REPLY: usize = 256 << 20;
/// How deep lists may be nested; ours are one level deep.
const MAX_DEPTH: u8 = 16;

/// Appends a command: a list of byte strings.
pub(super) fn begin(out: &mut Vec<u8>, words: usize) {
    head(out, b'*', words);
}

/// Appends one word of a command.
pub(super) fn word(out: &mut Vec<u8>, word: &[u8]) {
    head(out, b'$', word.len());
    out.extend_from_slice(word);
    out.extend_from_slice(b"\r\n");
}

fn head(out: &mut Vec<u8>, kind: u8, number: usize) {
    let mut digits = [0; 20]; // u64::MAX has 20
    let mut rest = number;
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.push(kind);
    out.extend_from_slice(&digits[start..]);
    out.extend_from_slice(b"\r\n");
}

/// These bytes are no reply, or a longer one than anybody here waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// What a complete frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Reply,
    /// A reply that is an error.
    Error,
    /// Not a reply: the server spoke by itself.
    Push,
}

/// Finds the end of the frame at the front of a buffer, and goes on where it stopped when more bytes have come.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    at: usize,
    /// How long the buffer must be at least before there is more to find.
    needs: usize,
    /// How many values are still to come, less one: a frame begins with one.
    open: usize,
}

impl Scanner {
    /// How many bytes are missing at least, as far as that is known.
    pub(super) const fn missing(&self, buf: &[u8]) -> usize {
        self.needs.saturating_sub(buf.len())
    }

    /// The kind and the length of the frame at the front of `buf`; `None` until it is complete. After a frame the caller
    /// takes it off the buffer.
    pub(super) fn next(&mut self, buf: &[u8]) -> Result<Option<(Frame, usize)>, Malformed> {
        loop {
            let Some((kind, line, after)) = line(buf, self.at)? else { return Ok(None) };
            let (mut end, mut more) = (after, 0);
            match kind {
                b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => {}
                b'$' | b'!' | b'=' => {
                    if let Some(length) = length(line)? {
                        end = after + length + 2;
                    }
                }
                b'*' | b'~' | b'>' => more = length(line)?.unwrap_or(0),
                b'%' => more = length(line)?.unwrap_or(0) * 2,
                b'|' => more = length(line)?.unwrap_or(0) * 2 + 1, // and then the value itself
                _ => return Err(Malformed),
            }
            if end > MAX_REPLY || self.open + more > MAX_REPLY {
                return Err(Malformed);
            }
            if buf.len() < end {
                self.needs = end;
                return Ok(None);
            }
            // A text that does not end where its length says has lost bytes, or got some that are not its own.
            if end > after && buf.get(end - 2..end) != Some(b"\r\n") {
                return Err(Malformed);
            }
            (self.at, self.open) = (end, self.open + more);
            match self.open.checked_sub(1) {
                Some(open) => self.open = open,
                None => {
                    *self = Self::default();
                    return Ok(Some((frame(buf), end)));
                }
            }
        }
    }
}

fn frame(buf: &[u8]) -> Frame {
    match buf.first() {
        Some(b'-' | b'!') => Frame::Error,
        Some(b'>') => Frame::Push,
        _ => Frame::Reply,
    }
}

/// The kind, the text and the end of a line.
type Line<'a> = (u8, &'a [u8], usize);

/// The line at `at`; `None` until it is complete.
fn line(buf: &[u8], at: usize) -> Result<Option<Line<'_>>, Malformed> {
    let rest = buf.get(at..).unwrap_or_default();
    let Some(end) = rest.iter().take(MAX_LINE).position(|b| *b == b'\r') else {
        return if rest.len() < MAX_LINE { Ok(None) } else { Err(Malformed) };
    };
    match (rest.split_at(end), rest.get(end + 1)) {
        ((_, _), None) => Ok(None),
        (([kind, text @ ..], _), Some(b'\n')) => Ok(Some((*kind, text, at + end + 2))),
        _ => Err(Malformed),
    }
}

/// A length; `None` for the null of version 2.
fn length(text: &[u8]) -> Result<Option<usize>, Malformed> {
    match text {
        b"-1" => Ok(None),
        [b'0'..=b'9', ..] => {
            let length = number(text).and_then(|n| usize::try_from(n).ok());
            length.filter(|n| *n <= MAX_REPLY).map(Some).ok_or(Malformed)
        }
        _ => Err(Malformed),
    }
}

fn number(text: &[u8]) -> Option<i64> {
    let (digits, sign) = match text {
        [b'-', digits @ ..] => (digits, -1),
        [b'+', digits @ ..] | digits => (digits, 1),
    };
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0i64, |number, b| match b {
        // Built up with its sign, since the smallest number has no positive counterpart.
        b'0'..=b'9' => number.checked_mul(10)?.checked_add(sign * i64::from(b - b'0')),
        _ => None,
    })
}

/// Reads the replies of a round trip, one after another.
#[derive(Debug)]
pub(super) struct Replies<'a> {
    buf: &'a [u8],
    at: usize,
    /// The same bytes, where values may share them.
    whole: Option<&'a Bytes>,
}

impl<'a> Replies<'a> {
    pub(super) const fn new(buf: &'a [u8]) -> Self {
        Self { buf, at: 0, whole: None }
    }

    /// The same of a long reply, whose values then need no copy.
    pub(super) fn shared(whole: &'a Bytes) -> Self {
        Self { buf: whole, at: 0, whole: Some(whole) }
    }

    fn value(&mut self, depth: u8) -> Result<Reply<'a>, StoreError> {
        let (kind, text, after) = line(self.buf, self.at).ok().flatten().ok_or_else(desync)?;
        self.at = after;
        match kind {
            b'+' => Ok(self.bytes(text)),
            b'-' => Err(by_reply(text)),
            b':' => number(text).map(Reply::Int).ok_or_else(desync),
            b',' | b'(' => Ok(self.bytes(text)),
            b'_' => Ok(Reply::Nil),
            b'#' => Ok(Reply::Int((text == b"t").into())),
            b'$' => Ok(self.string(text)?.map_or(Reply::Nil, |text| self.bytes(text))),
            b'=' => {
                let text = self.string(text)?.and_then(|text| text.get(4..)).ok_or_else(desync)?;
                Ok(self.bytes(text))
            }
            b'!' => Err(self.string(text)?.map_or_else(desync, by_reply)),
            b'*' | b'~' | b'%' => match length(text).map_err(|_| desync())? {
                None => Ok(Reply::Nil),
                Some(items) => self.list(if kind == b'%' { items * 2 } else { items }, depth),
            },
            b'|' => {
                let pairs = length(text).ok().flatten().ok_or_else(desync)?;
                self.list(pairs * 2, depth)?;
                self.value(depth)
            }
            _ => Err(desync()),
        }
    }

    const fn bytes(&self, text: &'a [u8]) -> Reply<'a> {
        Reply::Bytes(Blob::Part(text, self.whole))
    }

    fn string(&mut self, length_text: &[u8]) -> Result<Option<&'a [u8]>, StoreError> {
        let Some(length) = length(length_text).map_err(|_| desync())? else { return Ok(None) };
        let text = self.buf.get(self.at..self.at + length).ok_or_else(desync)?;
        self.at += length + 2;
        Ok(Some(text))
    }

    fn list(&mut self, items: usize, depth: u8) -> Result<Reply<'a>, StoreError> {
        if depth >= MAX_DEPTH {
            return Err(desync());
        }
        // A value has three bytes at least, so a length that lies reserves no more than what was sent.
        let mut list = Vec::with_capacity(items.min(self.buf.len() / 3));
        let mut error = None;
        for _ in 0..items {
            match self.value(depth + 1) {
                Ok(item) => list.push(item),
                Err(found) if found.kind() == StoreErrorKind::Desync => return Err(found),
                Err(found) => error = error.or(Some(found)),
            }
        }
        error.map_or(Ok(Reply::Array(list)), Err)
    }
}

impl<'a> Iterator for Replies<'a> {
    type Item = Result<Reply<'a>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let reply = (self.at < self.buf.len()).then(|| self.value(0))?;
        if reply.as_ref().is_err_and(|error| error.kind() == StoreErrorKind::Desync) {
            self.at = self.buf.len(); // nothing behind it can be read either
        }
        Some(reply)
    }
}

/// For the fuzz target: finds the frames of a stream that comes in pieces, and reads each.
#[cfg(feature = "test-util")]
pub(in crate::store) fn read_replies(stream: &[u8], step: usize) -> Option<usize> {
    let (mut scanner, mut from, mut found) = (Scanner::default(), 0, 0);
    for end in (0..=stream.len()).step_by(step.max(1)).chain([stream.len()]) {
        while let Some((_, length)) = scanner.next(stream.get(from..end)?).ok()? {
            let frame = stream.get(from..from + length)?;
            found += Replies::new(frame).filter(Result::is_ok).count();
            from += length;
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests;
