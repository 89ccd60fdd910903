//! The Tower layer.

use tower_layer::Layer;

use super::engine::Sessions;
use super::service::SessionService;

/// Gives each request a session. See the [module docs](crate::session) for examples.
///
/// # Redis
///
/// No command for a request whose session nobody loads, or that has no well-formed cookie. Else one `HGETALL`, and one script
/// when something is to be written. An inner service that fails without a response saves nothing: a new secret would reach nobody.
#[derive(Clone, Debug)]
#[must_use]
pub struct SessionLayer {
    sessions: Sessions,
}

impl SessionLayer {
    /// A layer over an engine, which other layers and tasks may share.
    pub const fn new(sessions: Sessions) -> Self {
        Self { sessions }
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> SessionService<S> {
        SessionService::new(inner, self.sessions.clone())
    }
}
