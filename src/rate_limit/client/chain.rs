//! The right end of a forwarding header, taken apart from the right.

use super::forwarded;
use super::outcome::NoClientReason;
use crate::view::RequestView;

/// How many bytes of a forwarding header are looked at, from its end: 8 KiB.
pub const MAX_HEADER_BYTES: usize = 8 << 10;

/// How a list is parted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    /// At each comma: `X-Forwarded-For`.
    Plain,
    /// At commas outside of quotes: `Forwarded`.
    Quoted,
}

/// The end of a header's lines, joined by commas as RFC 9110 §5.3 says.
pub(super) struct Chain {
    bytes: Vec<u8>,
    lines: usize,
    /// How many bytes at the left were left out.
    cut: usize,
}

impl Chain {
    pub(super) fn read(request: &dyn RequestView, name: &str) -> Self {
        let mut chain = Self { bytes: Vec::new(), lines: 0, cut: 0 };
        request.each_header(name, &mut |line| chain.push(line));
        chain
    }

    fn push(&mut self, line: &[u8]) {
        if self.lines > 0 {
            self.bytes.push(b',');
        }
        self.lines += 1;
        self.bytes.extend_from_slice(line);
        let over = self.bytes.len().saturating_sub(MAX_HEADER_BYTES);
        self.bytes.drain(..over);
        self.cut += over;
    }

    pub(super) const fn lines(&self) -> usize {
        self.lines
    }

    /// The whole value, without white space around it.
    pub(super) fn value(&self) -> &[u8] {
        self.bytes.trim_ascii()
    }

    /// The elements from the right, without empty ones (RFC 9110 §5.6.1.2) and without one that was cut.
    pub(super) fn elements(&self, syntax: Syntax) -> impl Iterator<Item = &[u8]> {
        let mut rest = Some(&self.bytes[..]);
        let parts = std::iter::from_fn(move || {
            let list = rest?;
            let comma = match syntax {
                Syntax::Plain => list.iter().rposition(|b| *b == b','),
                Syntax::Quoted => forwarded::last_comma(list),
            };
            let element = match comma {
                Some(at) => list.get(at + 1..),
                None => (self.cut == 0).then_some(list),
            };
            rest = comma.and_then(|at| list.get(..at));
            element.map(<[u8]>::trim_ascii)
        });
        parts.filter(|element| !element.is_empty())
    }

    /// What it means that the elements came to an end after `seen` of them.
    pub(super) const fn end(&self, seen: usize) -> NoClientReason {
        match (self.cut, seen) {
            (1.., _) => NoClientReason::HeaderTooLong,
            (0, 0) => NoClientReason::HeaderMissing,
            (0, _) => NoClientReason::ChainExhausted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(lines: &[&str]) -> Chain {
        let mut request = http::Request::new(());
        for line in lines {
            request.headers_mut().append("x-forwarded-for", line.parse().unwrap());
        }
        Chain::read(&request, "x-forwarded-for")
    }

    fn elements(lines: &[&str], syntax: Syntax) -> Vec<String> {
        let text = |element: &[u8]| String::from_utf8_lossy(element).into_owned();
        chain(lines).elements(syntax).map(text).collect()
    }

    #[test]
    fn lines_are_one_list_read_from_the_right() {
        assert_eq!(elements(&["a, b", "c"], Syntax::Plain), ["c", "b", "a"]);
        assert_eq!(elements(&[" ,a,, \t,b , "], Syntax::Plain), ["b", "a"]);
        assert_eq!(elements(&["a,\"b", "c\",d"], Syntax::Plain), ["d", "c\"", "\"b", "a"]);
        assert_eq!(elements(&["x=\"b,c\",d"], Syntax::Quoted), ["d", "x=\"b,c\""]);
        assert_eq!(elements(&[], Syntax::Plain), [""; 0]);
        assert_eq!(chain(&["", " , "]).end(0), NoClientReason::HeaderMissing);
    }

    #[test]
    fn only_the_end_of_a_long_header_is_kept_and_no_half_element() {
        let long = "1".repeat(MAX_HEADER_BYTES);
        let cut = chain(&[&long, "2.2.2.2"]);
        assert_eq!(cut.bytes.len(), MAX_HEADER_BYTES);
        assert_eq!(cut.elements(Syntax::Plain).collect::<Vec<_>>(), [b"2.2.2.2"]);
        assert_eq!(cut.end(1), NoClientReason::HeaderTooLong);
    }
}
