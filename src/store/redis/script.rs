//! The Lua scripts: one file each, called by hash.

use std::sync::LazyLock;

use redis::Script;

use crate::store::wire::ScriptId;

const SOURCES: [&str; 6] = [
    include_str!("scripts/session_commit.lua"),
    include_str!("scripts/principal_add.lua"),
    include_str!("scripts/principal_leave.lua"),
    include_str!("scripts/principal_mark.lua"),
    include_str!("scripts/rate_limit.lua"),
    include_str!("scripts/lease.lua"),
];

static HASHES: LazyLock<[String; 6]> =
    LazyLock::new(|| SOURCES.map(|source| Script::new(source).get_hash().to_owned()));

const fn index(id: ScriptId) -> usize {
    match id {
        ScriptId::SessionCommit => 0,
        ScriptId::PrincipalAdd => 1,
        ScriptId::PrincipalLeave => 2,
        ScriptId::PrincipalMark => 3,
        ScriptId::RateLimit => 4,
        ScriptId::Lease => 5,
    }
}

pub(super) fn hash(id: ScriptId) -> &'static str {
    &HASHES[index(id)]
}

pub(in crate::store) const fn source(id: ScriptId) -> &'static str {
    SOURCES[index(id)]
}

pub(super) const fn sources() -> &'static [&'static str] {
    &SOURCES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_declares_what_it_is() {
        for source in sources() {
            for heading in ["-- KEYS[1]", "-- ARGV", "-- Returns", "-- Invariant"] {
                assert!(source.contains(heading), "{heading} is missing in\n{source}");
            }
            let several = *source == super::source(ScriptId::RateLimit);
            assert_eq!(source.contains("KEYS[2]"), several, "only limits are decided together, in one slot");
        }
    }
}
