//! The Lua scripts: one file each, called by hash.

use std::sync::LazyLock;

use redis::Script;

use crate::store::wire::ScriptId;

const SOURCES: [&str; 16] = [
    include_str!("scripts/session_commit.lua"),
    include_str!("scripts/principal_add.lua"),
    include_str!("scripts/principal_leave.lua"),
    include_str!("scripts/principal_mark.lua"),
    include_str!("scripts/rate_limit.lua"),
    include_str!("scripts/lease.lua"),
    include_str!("scripts/cache_admit.lua"),
    include_str!("scripts/cache_expire.lua"),
    include_str!("scripts/cache_publish.lua"),
    include_str!("scripts/cache_purge.lua"),
    include_str!("scripts/lock.lua"),
    include_str!("scripts/state_count.lua"),
    include_str!("scripts/state_list.lua"),
    include_str!("scripts/state_members.lua"),
    include_str!("scripts/state_write.lua"),
    include_str!("scripts/self_check.lua"),
];

static HASHES: LazyLock<[String; 16]> =
    LazyLock::new(|| SOURCES.map(|source| Script::new(source).get_hash().to_owned()));

const fn index(id: ScriptId) -> usize {
    match id {
        ScriptId::SessionCommit => 0,
        ScriptId::PrincipalAdd => 1,
        ScriptId::PrincipalLeave => 2,
        ScriptId::PrincipalMark => 3,
        ScriptId::RateLimit => 4,
        ScriptId::Lease => 5,
        ScriptId::CacheAdmit => 6,
        ScriptId::CacheExpire => 7,
        ScriptId::CachePublish => 8,
        ScriptId::CachePurge => 9,
        ScriptId::Lock => 10,
        ScriptId::StateCount => 11,
        ScriptId::StateList => 12,
        ScriptId::StateMembers => 13,
        ScriptId::StateWrite => 14,
        ScriptId::SelfCheck => 15,
    }
}

pub(super) fn hash(id: ScriptId) -> &'static str {
    &HASHES[index(id)]
}

pub(in crate::store) const fn source(id: ScriptId) -> &'static str {
    SOURCES[index(id)]
}

/// Those that are loaded ahead: all but the last one, which is called once.
pub(super) fn sources() -> &'static [&'static str] {
    SOURCES.split_last().map_or(&[], |(_, sources)| sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_declares_what_it_is() {
        for source in &SOURCES {
            for heading in ["-- KEYS[1]", "-- ARGV", "-- Returns", "-- Invariant"] {
                assert!(source.contains(heading), "{heading} is missing in\n{source}");
            }
            let several = [
                ScriptId::CacheAdmit,
                ScriptId::CacheExpire,
                ScriptId::CachePublish,
                ScriptId::CachePurge,
                ScriptId::Lock,
                ScriptId::RateLimit,
                ScriptId::StateWrite,
            ];
            assert_eq!(
                source.contains("KEYS[2]"),
                several.iter().any(|id| *source == super::source(*id)),
                "only these are called with several keys, in one slot"
            );
        }
    }
}
