//! The log of a namespace's purges, as one short text.
//!
//! ```text
//! NAMESPACE EPOCH NUMBER
//! NUMBER h|s MILLISECONDS PATTERN
//! ```
//!
//! The first line tells whose log it is, a random word, and how many purges there were since. Each further line is the purge of all
//! URLs below a path that may still concern a stored response, hard (`h`) or soft (`s`). `cache_purge.lua` and `cache_admit.lua`
//! write the same text.

/// How a purge treats what it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It is gone.
    Hard,
    /// It is stale: it must be revalidated, or may be served where stale responses may be.
    Soft,
}

impl Severity {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Hard => "h",
            Self::Soft => "s",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        match word {
            "h" => Some(Self::Hard),
            "s" => Some(Self::Soft),
            _ => None,
        }
    }
}

/// The purge of all URLs below a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// The number of the purge.
    pub number: u64,
    /// How.
    pub severity: Severity,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What: a text without white space; `*` for everything.
    pub pattern: String,
}

/// What was purged in a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgeLog {
    /// A random word. Whatever was stored under another one is gone.
    pub epoch: String,
    /// How many purges there were in this epoch.
    pub number: u64,
    /// The purges by path, the earliest first.
    pub bans: Vec<Ban>,
}

impl PurgeLog {
    /// Reads a log; `None` when it is none of this namespace.
    #[must_use]
    pub fn parse(namespace: &str, text: &[u8]) -> Option<Self> {
        let (epoch, number, rest) = Self::split(namespace, text)?;
        let ban = |line| {
            let [number, severity, at_ms, pattern] = words(line)?;
            let severity = Severity::parse(severity)?;
            Some(Ban {
                number: number.parse().ok()?,
                severity,
                at_ms: at_ms.parse().ok()?,
                pattern: pattern.to_owned(),
            })
        };
        let bans = rest.lines().map(ban).collect::<Option<_>>()?;
        Some(Self { epoch: epoch.to_owned(), number, bans })
    }

    /// Epoch, number and the lines of a log, unread; `None` when it is none of this namespace.
    #[must_use]
    pub fn split<'a>(namespace: &str, text: &'a [u8]) -> Option<(&'a str, u64, &'a str)> {
        let (first, rest) = std::str::from_utf8(text).ok()?.split_once('\n')?;
        let [name, epoch, number] = words(first)?;
        (name == namespace && !epoch.is_empty()).then_some((epoch, number.parse().ok()?, rest))
    }

    /// Writes the log.
    #[must_use]
    pub fn to_text(&self, namespace: &str) -> String {
        let mut text = format!("{namespace} {} {}\n", self.epoch, self.number);
        for Ban { number, severity, at_ms, pattern } in &self.bans {
            text.push_str(&format!("{number} {} {at_ms} {pattern}\n", severity.word()));
        }
        text
    }
}

fn words<const N: usize>(line: &str) -> Option<[&str; N]> {
    let mut words = line.split(' ');
    let mut all = [""; N];
    for word in &mut all {
        *word = words.next()?;
    }
    words.next().is_none().then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_read() {
        let ban =
            |number, severity, pattern: &str| Ban { number, severity, at_ms: 7, pattern: pattern.into() };
        let bans = vec![ban(1, Severity::Soft, "*"), ban(3, Severity::Hard, "example.org/a%20b")];
        let log = PurgeLog { epoch: "e".into(), number: 3, bans };
        assert_eq!(log.to_text("pages"), "pages e 3\n1 s 7 *\n3 h 7 example.org/a%20b\n");
        assert_eq!(PurgeLog::parse("pages", log.to_text("pages").as_bytes()), Some(log.clone()));
        assert_eq!(PurgeLog::parse("other", log.to_text("pages").as_bytes()), None);
    }

    #[test]
    fn a_line_that_is_not_ours_spoils_the_log() {
        for text in [
            "",
            "pages e",
            "pages e x\n",
            "pages e 1 2\n",
            "pages e 1\n1 x 7 *\n",
            "pages  1\n",
            "pages e 1\n1 h 7\n",
        ] {
            assert_eq!(PurgeLog::parse("pages", text.as_bytes()), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn foreign_bytes_are_refused_without_a_panic(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(PurgeLog::parse("pages", &text));
        }
    }
}
