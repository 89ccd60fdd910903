//! Settings of a layer, checked when they are built.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;

use super::RateLimitLayer;
use super::answers::{Answers, RefuseFn, Refused};
use super::gate::Gate;
use super::settle::Settle;
use super::wait::Wait;
use crate::rate_limit::ask::Ask;
use crate::rate_limit::by::{By, ByClient};
use crate::rate_limit::engine::RateLimiter;
use crate::rate_limit::error::LimitConfigError;
use crate::rate_limit::fields::ResponseFields;
use crate::rate_limit::{MAX_NETWORKS, Network};
use crate::view::RequestView;

const MAX_WAIT: Duration = Duration::from_secs(60);
const MAX_WAITERS: usize = 100_000;

pub(super) type SkipFn = Box<dyn Fn(&dyn RequestView) -> bool + Send + Sync>;
pub(super) type ShapeFn = Box<dyn Fn(&dyn RequestView, Ask) -> Option<Ask> + Send + Sync>;

/// What becomes of a request for which the layer's [`By`] finds no key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WithoutKey {
    /// It is refused: 403, or 500 when this server is not set up for the rule ([`NoKey::is_misconfiguration`](super::super::NoKey)); the
    /// log then says so. The default: nobody is unlimited, and nobody shares a count, without somebody having decided it.
    #[default]
    Refuse,
    /// It passes unlimited, and is counted in `tower_keep_limit_without_key_total`.
    Pass,
    /// All requests without a key share one count, apart from every key.
    Shared,
}

/// Builds a [`RateLimitLayer`].
#[must_use]
pub struct RateLimitLayerBuilder {
    gate: Gate,
    allowed: Option<(ByClient, Vec<String>)>,
    fields: ResponseFields,
    refuse: Option<RefuseFn>,
}

impl RateLimitLayerBuilder {
    pub(super) fn new(limiter: RateLimiter, by: By) -> Self {
        Self { gate: Gate::new(limiter, by), allowed: None, fields: ResponseFields::new(), refuse: None }
    }

    /// What becomes of a request without a key. Default [`WithoutKey::Refuse`].
    pub const fn without_key(mut self, policy: WithoutKey) -> Self {
        self.gate.without_key = policy;
        self
    }

    /// Requests that this layer does not see: no key is looked up, nothing is asked, and the response is left as it is.
    pub fn skip_if(mut self, skip: impl Fn(&dyn RequestView) -> bool + Send + Sync + 'static) -> Self {
        self.gate.skip = Some(Box::new(skip));
        self
    }

    /// Clients that this layer does not see: those whose address lies in one of these networks (up to 1,024).
    pub fn allow<N: AsRef<str>>(mut self, client: ByClient, networks: impl IntoIterator<Item = N>) -> Self {
        let networks = networks.into_iter().take(MAX_NETWORKS + 1);
        self.allowed = Some((client, networks.map(|network| network.as_ref().to_owned()).collect()));
        self
    }

    /// What is asked about a request, beginning with its key at cost 1: its cost, a quota of the customer's plan, limits that do not
    /// concern its method or route, keys of their own for single limits. `None`: the request passes, as with
    /// [`skip_if`](Self::skip_if).
    ///
    /// ```
    /// # use tower_keep::rate_limit::{By, Limit, Quota, RateLimitLayer, RateLimiter};
    /// # use tower_keep::store::Store;
    /// struct Plan(u64); // put into the request's extensions by a layer outside
    ///
    /// # let (read, write) = (Limit::new("read", Quota::per_second(50)), Limit::new("write", Quota::per_second(5)));
    /// # let limiter = RateLimiter::builder(Store::in_memory()).limit(read).limit(write).build()?;
    /// let layer = RateLimitLayer::builder(limiter, By::principal())
    ///     .ask(|request, ask| {
    ///         let plan = request.extensions()?.get::<Plan>()?; // no plan, no limit
    ///         Some(match request.method() {
    ///             "GET" => ask.without("write").quota_for("read", Quota::per_second(plan.0)),
    ///             _ => ask.without("read").cost(if request.path() == "/import" { 5 } else { 1 }),
    ///         })
    ///     })
    ///     .build()?;
    /// # drop(layer);
    /// # Ok::<(), tower_keep::rate_limit::LimitConfigError>(())
    /// ```
    pub fn ask(
        mut self,
        shape: impl Fn(&dyn RequestView, Ask) -> Option<Ask> + Send + Sync + 'static,
    ) -> Self {
        self.gate.shape = Some(Box::new(shape));
        self
    }

    /// Corrects the charge when the response is there. Default: what was charged stays charged.
    pub fn settle(mut self, settle: Settle) -> Self {
        self.gate.settle = Some(settle);
        self
    }

    /// Lets a request that is over a limit wait for its turn, if that comes within `longest` (at most 60 s) and fewer than `waiters`
    /// (1 to 100,000) wait already; else it is refused at once. Waiters are admitted in no particular order, and each holds its
    /// request in memory. Default: none waits.
    pub fn wait(mut self, longest: Duration, waiters: usize) -> Self {
        self.gate.wait = Some(Wait::new(longest, waiters));
        self
    }

    /// Which fields responses carry. Default [`ResponseFields::new`].
    pub const fn fields(mut self, fields: ResponseFields) -> Self {
        self.fields = fields;
        self
    }

    /// The answer to a request that the layer refuses, instead of problem details or a gRPC status: one that is over a limit, one
    /// [without a key](WithoutKey::Refuse), and one about which there is no decision ([`RefusalCause`](super::RefusalCause)). The fields and `Retry-After`
    /// are added to it.
    ///
    /// ```
    /// # use http::Response;
    /// # use tower_keep::rate_limit::{By, Limit, Quota, RateLimitLayer, RateLimiter, RefusalCause};
    /// # use tower_keep::store::Store;
    /// # let limiter = RateLimiter::builder(Store::in_memory()).limit(Limit::new("api", Quota::per_second(5))).build()?;
    /// let layer = RateLimitLayer::builder(limiter, By::principal())
    ///     .refuse_with(|refused| {
    ///         let text = match refused.cause {
    ///             RefusalCause::OverLimit(_) => "slow down",
    ///             RefusalCause::NoKey(_) => "sign in first",
    ///             _ => "something is wrong here",
    ///         };
    ///         let mut response = Response::new(text.into());
    ///         *response.status_mut() = refused.status();
    ///         response
    ///     })
    ///     .build()?;
    /// # drop(layer);
    /// # Ok::<(), tower_keep::rate_limit::LimitConfigError>(())
    /// ```
    pub fn refuse_with(
        mut self,
        refuse: impl Fn(&Refused<'_>) -> Response<Bytes> + Send + Sync + 'static,
    ) -> Self {
        self.refuse = Some(Box::new(refuse));
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`LimitConfigError::OutOfRange`] for bounds of [`wait`](Self::wait), [`LimitConfigError::Network`] for the allow list,
    /// [`LimitConfigError::UnknownLimit`] for a settlement.
    pub fn build(self) -> Result<RateLimitLayer, LimitConfigError> {
        let Self { mut gate, allowed, fields, refuse } = self;
        if let Some(wait) = &gate.wait
            && (wait.longest.is_zero()
                || wait.longest > MAX_WAIT
                || !(1..=MAX_WAITERS).contains(&wait.waiters))
        {
            return Err(LimitConfigError::OutOfRange("wait"));
        }
        if let Some((client, networks)) = allowed {
            if networks.len() > MAX_NETWORKS {
                return Err(LimitConfigError::OutOfRange("allow"));
            }
            let networks = networks.iter().map(|network| network.parse::<Network>());
            gate.allowed = Some((client, networks.collect::<Result<_, _>>()?));
        }
        if let Some(settle) = &gate.settle {
            let known = |name: &String| gate.limiter.limits().any(|limit| limit.name() == name);
            if let Some(unknown) = settle.only.iter().find(|name| !known(name)) {
                return Err(LimitConfigError::UnknownLimit(unknown.clone()));
            }
        }
        gate.answers = Answers::new(&gate.limiter, fields, refuse);
        Ok(RateLimitLayer { gate: Arc::new(gate) })
    }
}

impl fmt::Debug for RateLimitLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayerBuilder")
            .field("gate", &self.gate)
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}
