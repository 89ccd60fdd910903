//! What can go wrong in the store, by kind.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// What kind of failure a [`StoreError`] is. The names follow the code that Redis itself sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// `NOAUTH`, `WRONGPASS`: the credentials are missing or wrong; or where they come from failed, which is the error's source.
    Auth,
    /// `BUSY`: a script blocks the server.
    Busy,
    /// `CLUSTERDOWN`, `MASTERDOWN`, or a slot that no node has: the key cannot be served now.
    ClusterDown,
    /// A reply did not belong to its request. The connection was dropped.
    Desync,
    /// The connection ended before the reply came. A write may or may not have happened.
    Disconnected,
    /// `NOPERM`: the ACL user lacks a command or a key pattern.
    Forbidden,
    /// The store is full: `OOM` from Redis, or the embedded store's own bound.
    Full,
    /// `LOADING`: the server reads its data set.
    Loading,
    /// `MISCONF`: the server cannot persist and refuses writes.
    Misconfigured,
    /// `MOVED`, `ASK`, `TRYAGAIN`, `CROSSSLOT`: the key lies on another node of a Cluster. A store with a `cluster:` URL follows there.
    Moved,
    /// `NOREPLICAS`: too few replicas to accept a write.
    NoReplicas,
    /// More requests wait for the store than its bound allows; this one was shed at once.
    Overloaded,
    /// `READONLY`: the server is a replica. The connection was dropped.
    ReadOnly,
    /// The connection was refused, or the address could not be resolved.
    Refused,
    /// Another error reply; see [`StoreError::code`].
    Server,
    /// No answer within the deadline. A write may or may not have happened.
    Timeout,
    /// The breaker is open: the store failed several times and is being probed.
    Unavailable,
    /// Too few replicas confirmed in time what was written, see [`Replicas`](super::Replicas). It was done, and a failover could undo it.
    Unreplicated,
    /// A pool of the user's cannot do this.
    Unsupported,
    /// `WRONGTYPE`: the key holds a value of another type.
    WrongType,
}

impl StoreErrorKind {
    /// A short, stable, lower-case name, fit for a metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Busy => "busy",
            Self::ClusterDown => "cluster_down",
            Self::Desync => "desync",
            Self::Disconnected => "disconnected",
            Self::Forbidden => "forbidden",
            Self::Full => "full",
            Self::Loading => "loading",
            Self::Misconfigured => "misconfigured",
            Self::Moved => "moved",
            Self::NoReplicas => "no_replicas",
            Self::Overloaded => "overloaded",
            Self::ReadOnly => "read_only",
            Self::Refused => "refused",
            Self::Server => "server",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Unreplicated => "unreplicated",
            Self::Unsupported => "unsupported",
            Self::WrongType => "wrong_type",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Auth => {
                "the redis credentials are missing or were refused; check user, password and where they come from"
            }
            Self::Busy => "redis is busy running a script",
            Self::ClusterDown => "the redis node cannot serve this key now",
            Self::Desync => "a redis reply did not belong to its request; the connection was dropped",
            Self::Disconnected => "the redis connection ended before the reply came",
            Self::Forbidden => {
                "the redis user lacks a permission; compare its ACL with the documented commands"
            }
            Self::Full => "the store is full; raise its memory bound or shorten lifetimes",
            Self::Loading => "redis is loading its data set",
            Self::Misconfigured => "redis refuses writes because it cannot persist; see its log",
            Self::Moved => "the key lies on another node; connect to a redis cluster by a `cluster:` url",
            Self::NoReplicas => "redis refuses writes because too few replicas are connected",
            Self::Overloaded => "too many requests wait for the store; this one was shed",
            Self::ReadOnly => "redis is a read-only replica; the connection was dropped",
            Self::Refused => "redis cannot be reached; check the address and that the server runs",
            Self::Server => "redis answered with an error",
            Self::Timeout => "redis did not answer within the deadline",
            Self::Unavailable => "redis is unavailable and being probed",
            Self::Unreplicated => {
                "it was written, but too few replicas confirmed it in time; a failover could undo it: repeat it"
            }
            Self::Unsupported => "a pool of yours cannot subscribe; build the store with `connect`",
            Self::WrongType => "the key holds a value of another type",
        }
    }
}

/// A failed store operation. Cheap to clone; holds no key, value or password.
#[derive(Clone)]
pub struct StoreError {
    kind: StoreErrorKind,
    code: Option<Arc<str>>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl StoreError {
    /// An error of a kind, without more detail.
    #[must_use]
    pub const fn new(kind: StoreErrorKind) -> Self {
        Self { kind, code: None, source: None }
    }

    pub(crate) fn with_source(kind: StoreErrorKind, source: impl StdError + Send + Sync + 'static) -> Self {
        Self { kind, code: None, source: Some(Arc::new(source)) }
    }

    pub(crate) fn caused_by(self, source: impl StdError + Send + Sync + 'static) -> Self {
        Self { source: Some(Arc::new(source)), ..self }
    }

    pub(crate) fn with_boxed(kind: StoreErrorKind, source: Box<dyn StdError + Send + Sync>) -> Self {
        Self { kind, code: None, source: Some(source.into()) }
    }

    /// Only the code word of a server's answer is kept: its text can repeat the command's arguments.
    pub(crate) fn with_code(kind: StoreErrorKind, code: &str) -> Self {
        let word: String = code.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
        Self { kind, code: Some(word.into()), source: None }
    }

    /// What kind of failure this is.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// The code word of the server's error reply (`OOM`, `ERR`, …), when the server sent one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Whether the store could not be used at all, as opposed to refusing this one operation.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        use StoreErrorKind as K;
        matches!(
            self.kind,
            K::Auth
                | K::Busy
                | K::ClusterDown
                | K::Disconnected
                | K::Loading
                | K::Moved
                | K::Refused
                | K::Timeout
                | K::Unavailable
        )
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.text())?;
        match &self.code {
            Some(code) => write!(f, " ({code})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError")
            .field("kind", &self.kind)
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

impl From<StoreErrorKind> for StoreError {
    fn from(kind: StoreErrorKind) -> Self {
        Self::new(kind)
    }
}

/// A setting that cannot work, found when the store is built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The key prefix is empty, too long or holds a character that keys must not hold.
    #[error("the key prefix must be 1 to 64 of the characters A-Z a-z 0-9 . _ - and, between words, colons")]
    KeyPrefix,
    /// A duration or a size is zero, or larger than it can be.
    #[error("{0} must be greater than zero and within its documented maximum")]
    OutOfRange(&'static str),
    /// The store was built outside of a tokio runtime and none was handed in.
    #[error("no tokio runtime: build the store inside one, or hand one in with `runtime(handle)`")]
    NoRuntime,
    /// The URL's scheme asks for TLS, but the crate was built without its `tls` feature.
    #[error("a rediss:// url needs the crate feature `tls`")]
    TlsFeature,
    /// A certificate or key could not be used.
    #[cfg(feature = "tls")]
    #[error("the tls certificates cannot be used: {0}")]
    Tls(String),
    /// A setting from outside is not the number or text that it should be. It is not repeated: it may hold a password.
    #[error("not readable; expected a number, or text in utf-8")]
    NotReadable,
    /// What connections are to be called cannot stand in `CLIENT LIST`.
    #[error("the client name must be 1 to 64 printable ASCII characters without blanks")]
    ClientName,
    /// A pool of the user's has its own way in this.
    #[error("`{0}` cannot hold for a pool of yours; build the store with `connect`")]
    ForeignPool(&'static str),
    /// Two settings say the same, and only one can hold.
    #[error("give {0} or {1}, not both")]
    Twice(&'static str, &'static str),
    /// The URL is not one that this crate understands. The text is not repeated: it may hold a password.
    #[error("not a redis url; expected redis://, rediss://, redis+unix://, sentinel: or cluster:")]
    Url,
}

#[cfg(test)]
mod tests {
    use super::*;
    use StoreErrorKind as K;

    #[test]
    fn kinds_have_labels_and_say_whether_the_store_can_be_used_at_all() {
        for (kind, label, is_outage) in [
            (K::Auth, "auth", true),
            (K::Busy, "busy", true),
            (K::ClusterDown, "cluster_down", true),
            (K::Desync, "desync", false),
            (K::Disconnected, "disconnected", true),
            (K::Forbidden, "forbidden", false),
            (K::Full, "full", false),
            (K::Loading, "loading", true),
            (K::Misconfigured, "misconfigured", false),
            (K::Moved, "moved", true),
            (K::NoReplicas, "no_replicas", false),
            (K::Overloaded, "overloaded", false),
            (K::ReadOnly, "read_only", false),
            (K::Refused, "refused", true),
            (K::Server, "server", false),
            (K::Timeout, "timeout", true),
            (K::Unavailable, "unavailable", true),
            (K::Unreplicated, "unreplicated", false),
            (K::Unsupported, "unsupported", false),
            (K::WrongType, "wrong_type", false),
        ] {
            let error = StoreError::from(kind);
            assert_eq!((kind.as_str(), error.kind(), error.is_outage()), (label, kind, is_outage));
            assert_eq!((error.to_string(), error.code()), (kind.text().to_owned(), None));
            assert!(kind.text().len() > 20, "it says what to do");
        }
    }

    #[test]
    fn of_a_servers_answer_the_code_word_alone_is_kept() {
        let error = StoreError::with_code(K::Server, "ERR-1 \n");
        assert_eq!((error.code(), error.to_string()), (Some("ERR1"), format!("{} (ERR1)", K::Server.text())));
        assert_eq!(StoreError::with_code(K::Server, &"X".repeat(40)).code(), Some(&*"X".repeat(32)));
    }

    #[test]
    fn an_error_tells_its_cause() {
        let cause = |error: &StoreError| error.source().map(ToString::to_string);
        assert_eq!(cause(&K::Timeout.into()), None);
        for error in [
            StoreError::with_source(K::Timeout, fmt::Error),
            StoreError::new(K::Timeout).caused_by(fmt::Error),
            StoreError::with_boxed(K::Timeout, Box::new(fmt::Error)),
        ] {
            assert_eq!((error.kind(), cause(&error)), (K::Timeout, Some(fmt::Error.to_string())));
        }
    }
}
