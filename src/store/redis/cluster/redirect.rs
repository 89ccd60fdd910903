//! What a node answers when it does not have a slot. The command was surely not carried out.

use std::fmt;

use super::view::Place;
use crate::store::error::{StoreError, StoreErrorKind};

/// Where to go instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store::redis) enum Redirect {
    /// `MOVED`: the slot lies on another node from now on.
    Moved { slot: u16, to: Place },
    /// `ASK`: this key has gone ahead of its slot.
    Ask { to: Place },
    /// `TRYAGAIN`: of several keys, some have gone ahead of their slot.
    TryAgain,
}

impl Redirect {
    /// Reads the line of an error reply, as `MOVED 3999 127.0.0.1:6381`. The host is empty where it is the one that was asked.
    pub(in crate::store::redis) fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let code = words.next()?;
        if code == "TRYAGAIN" {
            return Some(Self::TryAgain);
        }
        let slot = words.next()?.parse().ok()?;
        let (host, port) = words.next()?.rsplit_once(':')?;
        let to = (host.to_owned(), port.parse().ok()?);
        match code {
            "MOVED" => Some(Self::Moved { slot, to }),
            "ASK" => Some(Self::Ask { to }),
            _ => None,
        }
    }

    /// What an error says.
    pub(super) fn of(error: &StoreError) -> Option<&Self> {
        if error.kind() != StoreErrorKind::Moved {
            return None;
        }
        std::error::Error::source(error)?.downcast_ref()
    }
}

impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Moved { .. } => "the slot lies on another node",
            Self::Ask { .. } => "the key has gone ahead of its slot",
            Self::TryAgain => "some of the keys have gone ahead of their slot",
        })
    }
}

impl std::error::Error for Redirect {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirections_are_read() {
        let to = |host: &str| (host.to_owned(), 6381);
        let moved = |host| Some(Redirect::Moved { slot: 3999, to: to(host) });
        for (line, expected) in [
            ("MOVED 3999 127.0.0.1:6381", moved("127.0.0.1")),
            ("MOVED 3999 ::1:6381", moved("::1")),
            ("MOVED 3999 :6381", moved("")),
            ("ASK 3999 127.0.0.1:6381", Some(Redirect::Ask { to: to("127.0.0.1") })),
            ("TRYAGAIN Multiple keys request during rehashing of slot", Some(Redirect::TryAgain)),
            ("CROSSSLOT Keys in request don't hash to the same slot", None),
            ("MOVED 3999", None),
            ("MOVED x 127.0.0.1:6381", None),
            ("MOVED 3999 127.0.0.1:x", None),
            ("", None),
        ] {
            assert_eq!(Redirect::read(line), expected, "{line}");
        }
    }
}
