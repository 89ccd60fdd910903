//! What a layer answers by itself, and what it adds to the answers of others.

use std::fmt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::rate_limit::decision::Decision;
use crate::rate_limit::engine::RateLimiter;
use crate::rate_limit::fields::{PolicyName, ResponseFields};
use crate::rate_limit::quota::Quota;
use crate::rate_limit::{LimitError, NoKey, RefusalForm, RefusalReason};
use crate::store::op::PerLimit;
use crate::view::{HeaderSection, RequestView};

use super::report::{Numbers, policy};

pub(super) type RefuseFn = Box<dyn Fn(&Refused<'_>) -> Response<Bytes> + Send + Sync>;

/// A request that the layer answers by itself, for a function that makes the answer.
#[non_exhaustive]
pub struct Refused<'a> {
    /// The request.
    pub request: &'a dyn RequestView,
    /// Why it is refused.
    pub cause: RefusalCause<'a>,
    /// What kind of client asks.
    pub form: RefusalForm,
}

/// Why a layer answers a request by itself.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum RefusalCause<'a> {
    /// It is over a limit: which ones, and for how long.
    OverLimit(&'a Decision),
    /// It has no key, and the layer's policy for that is [`WithoutKey::Refuse`](super::WithoutKey::Refuse).
    NoKey(&'a NoKey),
    /// There is no decision: the store failed and a limit's policy is [`FailurePolicy::Closed`](super::super::FailurePolicy::Closed), or
    /// the question cannot be asked. It says something of the inside, so tell it to nobody.
    Failed(&'a LimitError),
}

impl<'a> Refused<'a> {
    /// The decision, if there is one: the request is over a limit.
    #[must_use]
    pub const fn decision(&self) -> Option<&'a Decision> {
        match self.cause {
            RefusalCause::OverLimit(decision) => Some(decision),
            RefusalCause::NoKey(_) | RefusalCause::Failed(_) => None,
        }
    }

    /// The status of the answer that the layer would make, gRPC aside: 429 over a limit, 403 without a key (500 when this server is not
    /// set up for the rule), 503 for a failed store.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.cause.status()
    }
}

impl RefusalCause<'_> {
    const fn status(self) -> StatusCode {
        match self {
            Self::OverLimit(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NoKey(reason) if reason.is_misconfiguration() => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NoKey(_) => StatusCode::FORBIDDEN,
            Self::Failed(error) => error.status(),
        }
    }
}

impl fmt::Debug for Refused<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused")
            .field("cause", &self.cause)
            .field("form", &self.form)
            .finish_non_exhaustive()
    }
}

/// A layer's answers: its settings, and what is written once for many of them.
pub(super) struct Answers {
    fields: ResponseFields,
    refuse: Option<RefuseFn>,
    limits: Vec<Written>,
    /// The quotas of all limits, where each has its own.
    policies: Option<HeaderValue>,
    last: Mutex<Last>,
}

/// What an answer says of one limit, while its quota is its own.
struct Written {
    name: Arc<str>,
    quota: Quota,
    /// The problem that this limit alone refused.
    problem: Bytes,
}

/// The problem that was answered last: who floods hears the same for a second.
#[derive(Default)]
struct Last {
    numbers: PerLimit<Numbers>,
    head: HeaderMap,
    body: Bytes,
}

impl Answers {
    pub(super) fn new(limiter: &RateLimiter, fields: ResponseFields, refuse: Option<RefuseFn>) -> Self {
        let unasked = limiter.statuses();
        let policies = unasked.iter().map(|status| policy(status, None)).collect::<Vec<_>>();
        let limits = unasked.into_iter().map(|status| Written {
            problem: RefusalReason::QuotaExceeded.problem([&PolicyName::of_limit(&status.name)].into_iter()),
            name: status.name,
            quota: status.quota,
        });
        let policies = fields.policies(&policies);
        Self { policies, limits: limits.collect(), fields, refuse, last: Mutex::default() }
    }

    /// Adds the fields to the response to an admitted request.
    pub(super) fn tell(&self, decision: &Decision, fields: &mut dyn HeaderSection) {
        if self.fields != ResponseFields::none() {
            decision.tell(|told| self.fields.write(told, self.policies(decision), fields));
        }
    }

    /// The answer to a request that is over a limit.
    pub(super) fn over(&self, decision: &Decision, request: &dyn RequestView) -> Response<Bytes> {
        let form = RefusalForm::of(&request);
        if let Some(refuse) = &self.refuse {
            let cause = RefusalCause::OverLimit(decision);
            let mut response = refuse(&Refused { request, cause, form });
            decision.tell(|told| self.fields.write(told, self.policies(decision), response.headers_mut()));
            return response;
        }
        if form != RefusalForm::Problem || !self.are_own(decision) {
            return self.write(decision, form);
        }
        // Who finds it taken writes one anew.
        let Ok(mut last) = self.last.try_lock() else { return self.write(decision, form) };
        let numbers = decision.numbers();
        if last.numbers != numbers {
            let (head, body) = self.write(decision, form).into_parts();
            *last = Last { numbers, head: head.headers, body };
        }
        let mut response = Response::new(last.body.clone());
        *response.status_mut() = decision.refusal().status();
        *response.headers_mut() = last.head.clone();
        response
    }

    fn write(&self, decision: &Decision, form: RefusalForm) -> Response<Bytes> {
        decision.tell(|told| {
            let mut response = form.refuse(decision.refusal(), told, self.problem(decision));
            self.fields.write(told, self.policies(decision), response.headers_mut());
            response
        })
    }

    /// The answer to a request about which there is no decision.
    pub(super) fn undecided(&self, cause: RefusalCause<'_>, request: &dyn RequestView) -> Response<Bytes> {
        let (form, status) = (RefusalForm::of(&request), cause.status());
        let Some(refuse) = &self.refuse else { return form.plain(status) };
        let mut response = refuse(&Refused { request, cause, form });
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().entry(RETRY_AFTER).or_insert(HeaderValue::from_static("1"));
        }
        response
    }

    /// Whether each limit was asked, with its own quota: then what was written before fits.
    fn are_own(&self, decision: &Decision) -> bool {
        let told = decision.told().map(|status| (&status.name, &status.quota));
        told.eq(self.limits.iter().map(|limit| (&limit.name, &limit.quota)))
    }

    fn policies(&self, decision: &Decision) -> Option<&HeaderValue> {
        self.policies.as_ref().filter(|_| self.are_own(decision))
    }

    /// The problem as it was written, if one limit refused, for want of quota.
    fn problem(&self, decision: &Decision) -> Option<&Bytes> {
        let mut refused = decision.refused();
        let (first, None) = (refused.next()?, refused.next()) else { return None };
        let fits = |limit: &&Written| limit.name == first.name && !first.is_banned();
        self.limits.iter().find(fits).map(|limit| &limit.problem)
    }
}
