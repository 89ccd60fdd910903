//! Header fields that tell a client what is left.

mod draft;
mod report;
#[cfg(test)]
mod tests;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue};

use crate::fields::{RATELIMIT, RATELIMIT_POLICY};
use crate::view::HeaderSection;

pub use draft::{FieldsDraft, MAX_POLICIES_SENT};
pub use report::{LimitReport, PartitionKey, PolicyName, PolicyReport, PolicyState, QuotaUnit, ReportError};
pub(super) use report::{Told, seconds};

/// Which fields a response carries. Default: `RateLimit` and `RateLimit-Policy` of [`FieldsDraft::Draft11`].
///
/// `Retry-After` stands on each refusal after which waiting helps, whatever is chosen here.
///
/// ```
/// use http::HeaderMap;
/// use tower_keep::rate_limit::{LimitReport, PolicyName, PolicyReport, ResponseFields};
///
/// let mut burst = PolicyReport::new(PolicyName::new("burst")?, 10, 9);
/// (burst.window_us, burst.reset_us) = (Some(60_000_000), Some(5_900_000));
/// let mut headers = HeaderMap::new();
/// ResponseFields::new().apply(&LimitReport::new(vec![burst], None), &mut headers);
/// assert_eq!(headers["ratelimit-policy"], r#""burst";q=10;w=60"#);
/// assert_eq!(headers["ratelimit"], r#""burst";r=9;t=6"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct ResponseFields {
    draft: Option<FieldsDraft>,
    legacy: LegacyFields,
}

/// Whether `X-RateLimit-Limit`, `-Remaining` and `-Reset` are sent as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LegacyFields {
    /// They are not. The default.
    #[default]
    Omit,
    /// They are. The reset is a number of seconds to wait; some clients read it as a time of day, as no standard says which.
    Send,
}

impl Default for ResponseFields {
    fn default() -> Self {
        Self { draft: Some(FieldsDraft::default()), legacy: LegacyFields::Omit }
    }
}

impl ResponseFields {
    /// The default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Neither `RateLimit` fields nor `X-RateLimit-*`.
    pub const fn none() -> Self {
        Self { draft: None, legacy: LegacyFields::Omit }
    }

    /// The draft that clients know. Default [`FieldsDraft::Draft11`].
    pub const fn draft(mut self, draft: FieldsDraft) -> Self {
        self.draft = Some(draft);
        self
    }

    /// Whether `X-RateLimit-*` are sent. Default [`LegacyFields::Omit`].
    pub const fn legacy(mut self, legacy: LegacyFields) -> Self {
        self.legacy = legacy;
        self
    }

    /// Adds a report's fields to a response.
    ///
    /// Fields that are lists of named policies are added to those of other limiters. Of fields that have one value, the one that is there
    /// stays: it comes from closer to the handler. `Retry-After` is replaced on a refusal and left alone on other responses.
    pub fn apply(&self, report: &LimitReport, headers: &mut HeaderMap) {
        self.write(report.told(), None, headers);
    }

    /// `RateLimit-Policy` for these policies, where it is sent: it may be written once for many responses.
    pub(in crate::rate_limit) fn policies(&self, policies: &[PolicyReport]) -> Option<HeaderValue> {
        self.draft?.policies(policies)
    }

    /// The same as [`apply`](Self::apply), with a `RateLimit-Policy` that is written already.
    pub(in crate::rate_limit) fn write(
        &self,
        told: Told<'_>,
        policies: Option<&HeaderValue>,
        headers: &mut dyn HeaderSection,
    ) {
        if let Some(draft) = self.draft.filter(|_| !told.policies.is_empty()) {
            let policies = policies.cloned().or_else(|| draft.policies(told.policies));
            if draft == FieldsDraft::Draft11 {
                let states = draft::list_of_states(told).map(|states| (RATELIMIT, states));
                let lines = policies.map(|policies| (RATELIMIT_POLICY, policies)).into_iter().chain(states);
                lines.for_each(|(name, value)| headers.append(name, value));
            } else {
                let policies = policies.map(|policies| (RATELIMIT_POLICY, policies));
                add(policies.into_iter().chain(draft.states(told)).collect(), headers);
            }
        }
        if self.legacy == LegacyFields::Send {
            add(draft::legacy(told), headers);
        }
        if let Some(seconds) = told.retry_after_seconds().and_then(draft::number) {
            headers.replace(RETRY_AFTER, seconds);
        }
    }
}

/// Fields of one value describe one policy together, so either all of them are added or none.
fn add(lines: draft::Lines, headers: &mut dyn HeaderSection) {
    if !lines.iter().any(|(name, _)| headers.has(name)) {
        lines.into_iter().for_each(|(name, value)| headers.append(name, value));
    }
}
