//! What happens to sessions, for a hook of the app.

use super::token::SessionHandle;

/// Something that happened to a session. Handles are safe in logs; principals name people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// A session was made.
    Created(SessionHandle),
    /// Somebody signed in.
    LoggedIn {
        /// The session.
        handle: SessionHandle,
        /// Who.
        principal: String,
    },
    /// The secret changed and the old one ended at once.
    Rotated(SessionHandle),
    /// The secret was renewed in the course of time.
    Renewed(SessionHandle),
    /// The session was ended: by signing out, by its owner from another device, or by an administrator.
    Revoked(SessionHandle),
    /// The session was ended because its principal had more than the allowed number.
    GaveWay(SessionHandle),
    /// A request showed the cookie of a session that is not there any more: it expired, or was deleted elsewhere.
    Expired(SessionHandle),
    /// A request named a session but did not know its secret: a cookie from before a sign-in, or a guess.
    WrongSecret(SessionHandle),
    /// What lay under the session's key was not one of our records.
    Corrupt(SessionHandle),
    /// A request tried to save a session that had ended or been rotated meanwhile. Nothing was written.
    LateSave(SessionHandle),
}

impl SessionEvent {
    /// A short, stable name, fit for a metric's label.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Created(_) => "created",
            Self::LoggedIn { .. } => "logged_in",
            Self::Rotated(_) => "rotated",
            Self::Renewed(_) => "renewed",
            Self::Revoked(_) => "revoked",
            Self::GaveWay(_) => "gave_way",
            Self::Expired(_) => "expired",
            Self::WrongSecret(_) => "wrong_secret",
            Self::Corrupt(_) => "corrupt",
            Self::LateSave(_) => "late_save",
        }
    }
}
