//! What was decided about a request, for its handler and for layers further in.

use std::sync::Arc;

use http::{Extensions, StatusCode};

use crate::rate_limit::ask::Ask;
use crate::rate_limit::decision::Decision;
use crate::rate_limit::engine::RateLimiter;
use crate::store::key::Key;
use crate::store::op::PerLimit;

/// What rate limit layers decided about an admitted request. Found in the request's extensions; not there when every layer skipped the
/// request or let it pass without a key.
#[derive(Clone, Debug)]
pub struct RateLimits(Arc<Admitted>);

/// Why an extractor has no [`RateLimits`]: no layer outside of the handler counted the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no rate limit layer counted this request; add a `RateLimitLayer` (`RateLimitMiddleware`) outside of it, or take an `Option` where requests may be skipped"
)]
#[non_exhaustive]
pub struct NotCounted;

impl NotCounted {
    /// The status with which the request should be answered: 500, since the server is not set up for its handler.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }
}

#[derive(Debug)]
struct Admitted {
    limiter: RateLimiter,
    decision: Decision,
    /// Under which the request was counted.
    keys: PerLimit<Key>,
    /// What was asked, where it may have to be settled.
    ask: Option<Box<Ask>>,
    outer: Option<RateLimits>,
}

impl RateLimits {
    pub(super) fn new(
        limiter: RateLimiter,
        decision: Decision,
        keys: PerLimit<Key>,
        ask: Option<Box<Ask>>,
        outer: Option<Self>,
    ) -> Self {
        Self(Arc::new(Admitted { limiter, decision, keys, ask, outer }))
    }

    /// What was decided about a request with these extensions.
    ///
    /// # Errors
    ///
    /// [`NotCounted`]: nothing was.
    pub fn of(extensions: Option<&Extensions>) -> Result<Self, NotCounted> {
        extensions.and_then(Extensions::get).cloned().ok_or(NotCounted)
    }

    /// What the innermost layer decided.
    pub fn decision(&self) -> &Decision {
        &self.0.decision
    }

    /// What each layer decided, the innermost first.
    pub fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.layers().map(|layer| &layer.0.decision)
    }

    /// What is left of the limit that is closest to exhaustion, of all layers. `None` when the store could not tell.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        self.decisions().filter_map(Decision::remaining).min()
    }

    fn layers(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |layer| layer.0.outer.as_ref())
    }

    /// Whether a layer of this limiter counted the request under this key.
    pub(super) fn has_counted(&self, limiter: &RateLimiter, key: &Key) -> bool {
        self.layers().any(|layer| layer.0.limiter.is(limiter) && layer.0.keys.contains(key))
    }

    pub(super) fn ask(&self) -> Option<&Ask> {
        self.0.ask.as_deref()
    }
}
