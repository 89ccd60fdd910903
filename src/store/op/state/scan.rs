//! Finding keys by how they begin, and removing them.

use crate::store::error::StoreError;
use crate::store::key::{Key, KeyPrefix};
use crate::store::memory::Db;
use crate::store::operation::{Operation, sealed::Sealed};
use crate::store::wire::{Command, Reply, desync};

/// One page of the keys that match a pattern: one `SCAN`.
#[derive(Clone, Debug)]
pub struct Scan {
    /// A glob, made by [`KeySpace`](crate::store::key::KeySpace): `*` stands for anything.
    pub pattern: Key,
    /// 0 to begin with, then what the page before gave.
    pub cursor: u64,
    /// How many keys the server looks at, about.
    pub count: u32,
}

/// One page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// Where the next page begins; 0: this was the last.
    pub next: u64,
    /// Keys; one can come more than once.
    pub keys: Vec<Key>,
}

impl Sealed for Scan {}

impl Operation for Scan {
    type Output = Scanned;

    fn command(&self, _: &KeyPrefix) -> Command {
        Command::scan(self.pattern.clone(), self.cursor, self.count)
    }

    /// All in one page: what the embedded store holds is bounded.
    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        let keys = db.keys().map(Key::as_str).filter(|key| glob(self.pattern.as_str(), key));
        Ok(Reply::Array(vec!["0".into(), Reply::Array(keys.map(Reply::from).collect())]))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<Scanned, StoreError> {
        let Ok([next, keys]) = <[Reply; 2]>::try_from(reply.array()?) else { return Err(desync()) };
        let next = next.text()?.parse().map_err(|_| desync())?;
        let keys = keys.array()?.into_iter().map(|key| key.text().map(Key::scanned));
        let keys: Vec<_> = keys.collect::<Result<_, _>>()?;
        // Keys of another pattern are the answer to another question, and must not be removed by mistake.
        if !keys.iter().all(|key| glob(self.pattern.as_str(), key.as_str())) {
            return Err(desync());
        }
        Ok(Scanned { next, keys })
    }
}

/// Whether a text matches a pattern in which `*` stands for anything and everything else for itself.
pub(in crate::store) fn glob(pattern: &str, text: &str) -> bool {
    let Some((start, mut pattern)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    while let Some((piece, rest)) = pattern.split_once('*') {
        let Some((_, after)) = text.split_once(piece) else { return false };
        (text, pattern) = (after, rest);
    }
    text.ends_with(pattern)
}

/// Removes keys, each by itself; their memory is freed in the background: one `UNLINK`. The answer tells whether it was there.
#[derive(Clone, Debug)]
pub struct Unlink(pub Key);

impl Sealed for Unlink {}

impl Operation for Unlink {
    type Output = bool;

    fn command(&self, _: &KeyPrefix) -> Command {
        Command::write("UNLINK", self.0.clone())
    }

    fn apply(&self, _: &KeyPrefix, db: &mut Db) -> Result<Reply<'static>, StoreError> {
        Ok(Reply::Int(db.remove(&self.0).into()))
    }

    fn output(&self, _: &KeyPrefix, reply: Reply<'_>) -> Result<bool, StoreError> {
        Ok(reply.int()? > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, matches) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "a", true),
            ("a*", "ba", false),
            ("a*c", "abc", true),
            ("a*c", "abcd", false),
            ("*b*", "abc", true),
            ("a*b*c", "axbxxc", true),
            ("a*b*b", "ab", false),
            ("ab*bc", "abc", false),
            ("*", "", true),
        ] {
            assert_eq!(glob(pattern, text), matches, "{pattern} {text}");
        }
    }
}
