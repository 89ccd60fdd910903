//! What the extractors of frameworks' adapters have in common: finding a request's session and loading it.

use std::future::Future;

use http::{Extensions, StatusCode};

use super::engine::FailurePolicy;
use super::error::SessionError;
use super::handle::Session;
use super::lazy::SessionSet;

/// Why an extractor has no session.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoSession {
    /// No session layer or middleware (of this namespace) is outside of the handler.
    #[error(
        "no session layer `{0}` around this handler; add a `SessionLayer` (`SessionMiddleware`) outside of it and of all that uses the session"
    )]
    MissingLayer(&'static str),
    /// The session could not be loaded.
    #[error("the session could not be loaded")]
    Unavailable(#[source] SessionError),
}

impl NoSession {
    /// The status with which the request should be answered: 500 without a layer, 503 when the store failed.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::MissingLayer(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable(error) => error.status(),
        }
    }
}

/// Loads the session of the layer with this namespace (`None`: of the innermost), by this policy (`None`: the layer's). It is looked for
/// at once, and the future holds nothing of the request.
///
/// # Errors
///
/// [`NoSession`]: there is no such layer, or the store failed and the policy is [`FailurePolicy::Required`].
#[doc(hidden)]
pub fn extract(
    extensions: Option<&Extensions>,
    namespace: Option<&'static str>,
    policy: Option<FailurePolicy>,
) -> impl Future<Output = Result<Session, NoSession>> + Send + use<> {
    let set = extensions.and_then(Extensions::get::<SessionSet>);
    let found = set.and_then(|set| match namespace {
        Some(namespace) => set.named(namespace),
        None => Some(set.innermost()),
    });
    let found = found.cloned().ok_or(NoSession::MissingLayer(namespace.unwrap_or("session")));
    async move {
        let session = found?;
        let loaded = match policy {
            Some(policy) => session.load_with(policy).await,
            None => session.load().await,
        };
        loaded.map_err(NoSession::Unavailable)
    }
}
