//! Structured fields (RFC 9651), read strictly: one error anywhere, and the whole field is ignored.
//!
//! Only what caches need: dictionaries and lists. Parameters are checked and dropped.

mod item;
mod parser;
#[cfg(test)]
mod tests;

pub(super) use item::{Bare, Member};

use http::{HeaderMap, HeaderName};
use parser::Parser;

/// A dictionary's members (§4.2.2), in order. A key that comes again replaces what was there.
pub(super) type Dictionary = Vec<(String, Member)>;

/// Reads a dictionary from all lines of a field. `None` where it is absent or no dictionary.
pub(super) fn dictionary(headers: &HeaderMap, name: &HeaderName) -> Option<Dictionary> {
    Parser::new(&combined(headers, name)?).dictionary()
}

/// Reads a list from all lines of a field (§4.2.1). `None` where it is absent or no list.
pub(super) fn list(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<Member>> {
    Parser::new(&combined(headers, name)?).list()
}

/// Several lines are one value with commas between them (§4.2).
fn combined(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(|line| line.as_bytes()).collect();
    (!lines.is_empty()).then(|| lines.join(&b", "[..]))
}
