//! Why a response is not stored.

/// Why a response is not stored. [`as_str`](Self::as_str) is the label in `Cache-Status`, metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum NotStored {
    /// The request's method is not one whose responses are stored (RFC 9111 §3). `HEAD` has no content to store.
    #[error("the method's responses are not stored")]
    Method,
    /// The request went past the cache.
    #[error("the request went past the cache")]
    Bypass,
    /// The request says `no-store` (RFC 9111 §5.2.1.5).
    #[error("the request says no-store")]
    RequestNoStore,
    /// A part of the content, 206 (RFC 9111 §3.3).
    #[error("the response is a part of the content")]
    Partial,
    /// 304: it updates what is stored, and is nothing to store itself.
    #[error("the response is 304")]
    NotModified,
    /// The status code is not one that is stored, by the standards or by the settings.
    #[error("the status code's responses are not stored")]
    Status,
    /// The directives cannot be read: a quoted string has no end.
    #[error("the cache directives cannot be read; close the quoted string")]
    Unreadable,
    /// `must-understand`, and the status code is not understood (RFC 9111 §5.2.2.3).
    #[error("the response says must-understand and its status code is not understood")]
    NotUnderstood,
    /// `no-store` (RFC 9111 §5.2.2.5).
    #[error("the response says no-store")]
    NoStore,
    /// `private` (RFC 9111 §5.2.2.7).
    #[error("the response says private")]
    Private,
    /// The request has `Authorization`, and the response does not say that it is for others too (RFC 9111 §3.5).
    #[error(
        "the request has authorization and the response does not say public, must-revalidate or s-maxage"
    )]
    Authorization,
    /// The response sets a cookie.
    #[error("the response sets a cookie")]
    SetCookie,
    /// `Vary: *`, or a `Vary` that cannot be read (RFC 9111 §4.1).
    #[error("the response varies on more than header fields")]
    VaryStar,
    /// `Vary` names more fields than are looked at.
    #[error("the response varies on too many header fields")]
    VaryTooMany,
    /// Nobody says how long it may be used.
    #[error("nothing says how long the response is fresh; send cache-control: max-age")]
    NoFreshness,
    /// It is stale as it comes, and has no validator.
    #[error("the response is stale already and has no validator")]
    AlreadyStale,
}

impl NotStored {
    /// A label, which does not change.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Bypass => "bypass",
            Self::RequestNoStore => "request-no-store",
            Self::Partial => "partial",
            Self::NotModified => "not-modified",
            Self::Status => "status",
            Self::Unreadable => "unreadable",
            Self::NotUnderstood => "must-understand",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::Authorization => "authorization",
            Self::SetCookie => "set-cookie",
            Self::VaryStar => "vary-star",
            Self::VaryTooMany => "vary-too-many",
            Self::NoFreshness => "no-freshness",
            Self::AlreadyStale => "already-stale",
        }
    }

    /// Whether the request is the reason, not the response: another request's response may well be stored.
    #[must_use]
    pub const fn is_about_request(self) -> bool {
        matches!(
            self,
            Self::Method
                | Self::Bypass
                | Self::RequestNoStore
                | Self::Partial
                | Self::NotModified
                | Self::Authorization
        )
    }
}
