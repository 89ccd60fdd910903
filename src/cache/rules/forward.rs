//! Why a request goes to the handler (RFC 9211 §2.2).

/// Why a request goes to the handler. [`as_str`](Self::as_str) is the value of `fwd` in `Cache-Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Forward {
    /// Caching has no part in it.
    Bypass(Bypass),
    /// No response to its method is stored.
    Method,
    /// Nothing is stored for its URL.
    UriMiss,
    /// Its URL is known, but not the variant that it selects.
    VaryMiss,
    /// Nothing is stored for it; whether the URL or the variant is unknown cannot be told.
    Miss,
    /// A fresh response is stored, but the request does not want it.
    Request(RequestReason),
    /// What is stored must be validated first.
    Stale(StaleReason),
    /// Only a part of what it asks for is stored.
    Partial,
}

/// Why caching has no part in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bypass {
    /// It wants to change the connection's protocol.
    Upgrade,
    /// A `GET` or `HEAD` with content: what the content means is not in the key.
    Content,
    /// It names another method in a field that some frameworks obey.
    MethodOverride,
    /// It names another URL in a field that some frameworks obey.
    UrlOverride,
    /// It has a condition that only the origin may evaluate: `If-Match` or `If-Unmodified-Since` (RFC 9111 §4.3.2).
    Condition,
    /// It has `Authorization`, and what is stored is not marked as public.
    Authorization,
    /// The route's policy says so.
    Policy,
}

/// What a request's directives ask for beyond a fresh response (RFC 9111 §5.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestReason {
    /// Validation: `no-cache`.
    NoCache,
    /// A younger one: `max-age`.
    MaxAge,
    /// One that stays fresh for longer: `min-fresh`.
    MinFresh,
}

/// Why what is stored must be validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StaleReason {
    /// Its lifetime is over.
    Expired,
    /// Its lifetime is over, and it says that it must not be served stale.
    MustRevalidate,
    /// It says that it must be validated before each use.
    NoCache,
}

/// What becomes of a request for which nothing is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Miss {
    /// It goes to the handler.
    Forward(Forward),
    /// It is answered with 504: the client wants a stored response or none (RFC 9111 §5.2.1.7).
    Unavailable,
}

impl Forward {
    /// The value of `fwd` (RFC 9211 §2.2).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bypass(_) => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Miss => "miss",
            Self::Request(_) => "request",
            Self::Stale(_) => "stale",
            Self::Partial => "partial",
        }
    }

    /// More about it: for `detail` (RFC 9211 §2.8), labels of metrics and logs.
    #[must_use]
    pub const fn detail(self) -> Option<&'static str> {
        match self {
            Self::Bypass(reason) => Some(reason.as_str()),
            Self::Request(reason) => Some(reason.as_str()),
            Self::Stale(reason) => Some(reason.as_str()),
            Self::Method | Self::UriMiss | Self::VaryMiss | Self::Miss | Self::Partial => None,
        }
    }
}

impl Bypass {
    /// A label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upgrade => "upgrade",
            Self::Content => "content",
            Self::MethodOverride => "method-override",
            Self::UrlOverride => "url-override",
            Self::Condition => "condition",
            Self::Authorization => "authorization",
            Self::Policy => "policy",
        }
    }
}

impl RequestReason {
    /// A label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoCache => "no-cache",
            Self::MaxAge => "max-age",
            Self::MinFresh => "min-fresh",
        }
    }
}

impl StaleReason {
    /// A label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::MustRevalidate => "must-revalidate",
            Self::NoCache => "no-cache",
        }
    }
}
