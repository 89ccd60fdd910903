//! What does not suit about the server, found out once and told.

use std::fmt;
use std::time::Duration;

use super::error::{StoreError, StoreErrorKind};
use super::health::StoreStatus;
use super::op::examine::Examine;
use super::redis::{Redis, Server};
use super::{Backend, Part, Store};

/// What waiting for replicas needs.
const REPLICAS: Part = Part { name: "replicas", is_kept: false, commands: &["WAIT", "SET"] };

/// How long after the first connection the check in the background waits: engines are built meanwhile, and it looks at what they need.
const SETTLE: Duration = Duration::from_millis(100);
/// How often it tries, while the server comes and goes.
const TRIES: u32 = 3;
/// From when on clocks are told to be apart.
const CLOCKS: Duration = Duration::from_secs(30);

/// What does not suit about the server. Its `Display` says what to do; no secret stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The server is older than 7.0, the oldest that the tests run against.
    OldServer {
        /// As the server tells it; empty where it does not.
        version: String,
    },
    /// When its memory is full, the server removes keys that must be kept. Only where engines were built on the store that need theirs kept:
    /// all but the response cache.
    Eviction {
        /// The server's `maxmemory-policy`.
        policy: String,
        /// What would be lost.
        lost: Vec<&'static str>,
    },
    /// The user may not run these commands on the keys of this store, which the engines that were built on it need.
    MissingCommands(Vec<&'static str>),
    /// The server takes no writes: it is a replica.
    Replica,
    /// The server's clock and this process's are apart by more than 30 s.
    Clock {
        /// By how much.
        apart: Duration,
        /// Whether it is the server's that is ahead.
        server_is_ahead: bool,
    },
    /// The server is a node of a Cluster, of which it serves a part of the keys, and the store takes it for a server alone.
    ClusterNode,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OldServer { version } => {
                let version = if version.is_empty() { "of unknown version" } else { version };
                write!(f, "the redis server is {version}; use 7.0 or newer")
            }
            Self::Eviction { policy, lost } => write!(
                f,
                "redis may evict what must be kept ({}), by maxmemory-policy {policy}; set noeviction, and give the response cache a \
                 server of its own",
                lost.join(", ")
            ),
            Self::MissingCommands(commands) => write!(
                f,
                "the redis user may not run {} on the keys of this store; compare its ACL with docs/operations.md",
                commands.join(", ")
            ),
            Self::Replica => f.write_str("the redis server is a replica and takes no writes; use the primary's address"),
            Self::Clock { apart, server_is_ahead } => write!(
                f,
                "the redis server's clock is {} s {} this process's; ends of life go by the server's: set both by ntp",
                apart.as_secs(),
                if *server_is_ahead { "ahead of" } else { "behind" }
            ),
            Self::ClusterNode => {
                f.write_str("the redis server is a node of a cluster, and serves a part of the keys only; connect to the cluster")
            }
        }
    }
}

impl Store {
    /// Looks whether the server suits what is built on this store: its version, its `maxmemory-policy`, what its user may do, its role, its
    /// clock, and whether it is a Cluster's. For a readiness command or an operator; what cannot be asked, because this user may not or the
    /// server is too old to know, is no finding. The embedded store suits always.
    ///
    /// The same happens once by itself, a tenth of a second after the first connection, and each finding is a `warn!` in the log, unless this was
    /// called before, or the store was built [without](super::StoreBuilder::without_self_check).
    ///
    /// Two round trips: `HELLO`, and one script that writes nothing, asks for `INFO` if it may, and has the server judge permissions without
    /// a line in `ACL LOG`.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] when the server cannot be asked.
    pub async fn self_check(&self) -> Result<Vec<Finding>, StoreError> {
        let Backend::Redis(redis) = &self.backend else { return Ok(Vec::new()) };
        let findings = self.examine(redis).await?;
        self.parts.checked();
        Ok(findings)
    }

    async fn examine(&self, redis: &Redis) -> Result<Vec<Finding>, StoreError> {
        let server = redis.introduced().await?;
        let mut findings = about(&server, redis);
        let examined = match self.run(Examine(self.parts.commands())).await {
            Ok(examined) => examined,
            // It may serve other keys than the one that was asked about.
            Err(error)
                if server.is_cluster
                    && matches!(error.kind(), StoreErrorKind::Moved | StoreErrorKind::ClusterDown) =>
            {
                return Ok(findings);
            }
            Err(error) if error.kind() == StoreErrorKind::Forbidden => {
                findings.push(Finding::MissingCommands(vec!["EVALSHA", "EVAL"]));
                return Ok(findings);
            }
            Err(error) => return Err(error),
        };
        if is_old(if examined.version.is_empty() { &server.version } else { &examined.version }) {
            findings.push(Finding::OldServer { version: server.version });
        }
        let lost = self.parts.kept();
        if !["", "noeviction"].contains(&&*examined.policy) && !lost.is_empty() {
            findings.push(Finding::Eviction { policy: examined.policy, lost });
        }
        if !examined.refused.is_empty() {
            findings.push(Finding::MissingCommands(examined.refused));
        }
        Ok(findings)
    }

    /// Looks once, in the background, and holds nothing up. Ends with the store.
    pub(super) fn check_in_background(&self) {
        let Backend::Redis(redis) = &self.backend else { return };
        if redis.has_replicas() {
            self.serves(&REPLICAS);
        }
        let Some(mut up) = redis.when_up() else { return };
        let (weak, prefix, parts) = (redis.downgrade(), self.prefix.clone(), self.parts.clone());
        redis.runtime().spawn(async move {
            if up.wait_for(|up| *up).await.is_err() {
                return;
            }
            drop(up);
            for _ in 0..TRIES {
                tokio::time::sleep(SETTLE).await;
                let Some(redis) = weak.upgrade() else { return };
                if parts.are_checked() {
                    return;
                }
                let store = Self::over(Backend::Redis(redis), prefix.clone(), parts.clone());
                if let Ok(findings) = store.self_check().await {
                    findings.iter().for_each(|finding| tracing::warn!("{finding}"));
                    return;
                }
            }
        });
    }
}

fn about(server: &Server, redis: &Redis) -> Vec<Finding> {
    let mut findings = Vec::new();
    if server.is_cluster && !redis.is_cluster() {
        findings.push(Finding::ClusterNode);
    }
    let says_nothing = server.version.is_empty();
    if server.is_replica || (says_nothing && redis.status() == StoreStatus::ReadOnly) {
        findings.push(Finding::Replica);
    }
    let ahead_ms = redis.ahead_ms().unwrap_or(0);
    let apart = Duration::from_millis(ahead_ms.unsigned_abs());
    if apart > CLOCKS {
        findings.push(Finding::Clock { apart, server_is_ahead: ahead_ms > 0 });
    }
    findings
}

/// What cannot be read is not judged.
fn is_old(version: &str) -> bool {
    version.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major < 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_before_seven_are_old_and_unreadable_ones_are_not_judged() {
        for (version, old) in [
            ("6.2.14", true),
            ("7.0.0", false),
            ("10.1", false),
            ("8.0.1", false),
            ("255.255.255", false),
            ("", false),
        ] {
            assert_eq!(is_old(version), old, "{version}");
        }
    }
}
