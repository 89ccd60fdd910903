//! What a request costs once its response is there.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use http::StatusCode;
use http::response::Parts;

use super::body::RateLimitBody;
use super::gate::{Boxed, Gate};
use super::limits::RateLimits;
use crate::rate_limit::ask::Ask;
use crate::rate_limit::decision::{LimitStatus, Source};
use crate::rate_limit::engine::RateLimiter;

/// What a request really cost, as an extension that the handler puts into its response, for [`Settle::by_handler`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cost(pub u64);

/// Corrects the charge when the response is there: what was charged too much is given back, what was charged too little is charged, or
/// what is left if that is less.
///
/// Admission charges the cost of the question (1, unless [`ask`](super::RateLimitLayerBuilder::ask) says otherwise), so that requests
/// under way at the same time cannot exceed a limit together. Costs one round trip when something is to be corrected, which ends before
/// the response goes out; by bytes, it begins when the body ends. A correction that fails is counted
/// (`tower_keep_limit_settle_failures_total`) and not repeated. A request whose future is dropped, or whose service fails, keeps its
/// charge. Limits for which the question set a cost of their own, limits that an outer layer counted, and those that did not charge
/// because the store failed are left alone.
///
/// ```
/// use tower_keep::rate_limit::Settle;
///
/// let failed_logins = Settle::count_if(|status| status.is_client_error());
/// let failed_logins_of_one_limit = failed_logins.only(["login-failures"]);
/// # drop(failed_logins_of_one_limit);
/// ```
#[derive(Clone)]
#[must_use]
pub struct Settle {
    how: How,
    pub(super) only: Vec<String>,
}

type CostFn = Arc<dyn Fn(&Parts) -> Option<u64> + Send + Sync>;

#[derive(Clone)]
enum How {
    /// `None`: what was charged is right.
    Head(CostFn),
    Bytes(NonZeroU64),
}

impl Settle {
    const fn new(how: How) -> Self {
        Self { how, only: Vec::new() }
    }

    /// Only responses of certain statuses count: the charge of others is given back. For limits on failed sign-ins.
    pub fn count_if(counts: impl Fn(StatusCode) -> bool + Send + Sync + 'static) -> Self {
        Self::by_head(move |head| (!counts(head.status)).then_some(0))
    }

    /// The cost is what the handler says: the extension [`Cost`] of its response. Without one, the charge stays.
    pub fn by_handler() -> Self {
        Self::by_head(|head| head.extensions.get::<Cost>().map(|cost| cost.0))
    }

    /// The cost is what the function finds in the response's head; `None`: the charge stays.
    pub fn by_head(cost: impl Fn(&Parts) -> Option<u64> + Send + Sync + 'static) -> Self {
        Self::new(How::Head(Arc::new(cost)))
    }

    /// One for each `unit` bytes of the response's body, and for a part of one; as many as went out when the client left early. Settled in
    /// a task of its own when the body ends, so it needs a tokio runtime.
    pub fn by_bytes(unit: NonZeroU64) -> Self {
        Self::new(How::Bytes(unit))
    }

    /// Corrects these limits and leaves the others as they were charged. Default: all.
    pub fn only<N: Into<String>>(mut self, limits: impl IntoIterator<Item = N>) -> Self {
        self.only = limits.into_iter().map(Into::into).collect();
        self
    }
}

impl Gate {
    /// Whether charges are corrected when the response is there: by [`settle`](Self::settle), or else by [`metered`](Self::metered).
    #[must_use]
    pub const fn settles(&self) -> bool {
        self.settle.is_some()
    }

    /// The correction after a response's head, if there is one to make.
    pub fn settle(&self, limits: &RateLimits, head: &Parts) -> Option<Boxed<()>> {
        let settle = self.settle.as_ref()?;
        let How::Head(cost) = &settle.how else { return None };
        let cost = cost(head).filter(|cost| limits.ask().is_some_and(|ask| ask.cost != *cost))?;
        let correction = Correction::new(&self.limiter, settle, limits)?;
        Some(Box::pin(correction.settle(cost)))
    }

    /// A response's body, counted where the cost is by bytes.
    pub fn metered<B>(&self, limits: &RateLimits, body: B) -> RateLimitBody<B> {
        RateLimitBody::metered(body, self.meter(limits))
    }

    fn meter(&self, limits: &RateLimits) -> Option<Meter> {
        let settle = self.settle.as_ref()?;
        let How::Bytes(unit) = settle.how else { return None };
        let correction = Some(Correction::new(&self.limiter, settle, limits)?);
        Some(Meter { bytes: 0, unit, correction })
    }
}

/// A charge that may be corrected.
struct Correction {
    limiter: RateLimiter,
    /// What was asked, of the limits that are to be corrected.
    ask: Ask,
}

impl Correction {
    fn new(limiter: &RateLimiter, settle: &Settle, limits: &RateLimits) -> Option<Self> {
        let mut ask = limits.ask()?.clone();
        let charged = |status: &LimitStatus| {
            matches!(status.source, Source::Store | Source::Ahead) && !status.would_refuse()
        };
        let mut any = false;
        for limit in limiter.limits() {
            let name = limit.name();
            let concerned = (settle.only.is_empty() || settle.only.iter().any(|only| only == name))
                && limits.decision().limit(name).is_some_and(charged)
                && !ask.has_own_cost(name);
            if concerned {
                any = true;
            } else {
                ask = ask.without(name);
            }
        }
        any.then(|| Self { limiter: limiter.clone(), ask })
    }

    async fn settle(self, cost: u64) {
        let Self { limiter, ask } = self;
        let charged = ask.cost;
        let done = match cost.checked_sub(charged) {
            Some(0) => return,
            Some(more) => limiter.penalise(ask.cost(more)).await,
            None => limiter.refund(ask.cost(charged - cost)).await,
        };
        if let Err(error) = done {
            crate::metric::count("tower_keep_limit_settle_failures_total", "store");
            tracing::debug!(error = &error as &dyn std::error::Error, "a charge could not be corrected");
        }
    }
}

/// Counts the bytes of a body, and settles when it ends or is dropped.
pub(super) struct Meter {
    bytes: u64,
    unit: NonZeroU64,
    correction: Option<Correction>,
}

impl Meter {
    pub(super) fn add(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let Some(correction) = self.correction.take() else { return };
        match correction.limiter.store().background() {
            Some(runtime) => drop(runtime.spawn(correction.settle(self.bytes.div_ceil(self.unit.get())))),
            None => crate::metric::count("tower_keep_limit_settle_failures_total", "no_runtime"),
        }
    }
}

impl fmt::Debug for Settle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settle").field("only", &self.only).finish_non_exhaustive()
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
