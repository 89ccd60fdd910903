//! A report in the words of one draft.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;

use super::report::{LimitReport, PolicyReport, QuotaUnit, seconds};
use crate::fields;

/// The largest Integer of Structured Fields (RFC 9651 §3.3.1).
const MAX_INTEGER: u64 = 999_999_999_999_999;
/// How many policies a field names; those beyond are left out (draft -11 §4 obliges a server to name none).
pub const MAX_POLICIES_SENT: usize = 16;

/// Which version of draft-ietf-httpapi-ratelimit-headers the response speaks. Each changed the fields; clients know one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FieldsDraft {
    /// -03 and before: `RateLimit-Limit: 10, 10;w=1, 50;w=60`, `RateLimit-Remaining: 9`, `RateLimit-Reset: 1`.
    Draft03,
    /// -04 to -06: the policies stand in a field of their own, `RateLimit-Policy: 10;w=1, 50;w=60`.
    Draft06,
    /// -07: `RateLimit: limit=10, remaining=9, reset=1` and `RateLimit-Policy: 10;w=1, 50;w=60`.
    Draft07,
    /// -08 to -11: `RateLimit: "burst";r=9;t=1` and `RateLimit-Policy: "burst";q=10;w=1`, for each policy. The default.
    #[default]
    Draft11,
}

/// Lines to add to a response.
pub(super) type Lines = Vec<(HeaderName, String)>;

impl FieldsDraft {
    pub(super) fn lines(self, report: &LimitReport) -> Lines {
        let Some(closest) = report.closest() else { return Lines::new() };
        let limit = int(closest.quota);
        let remaining = int(closest.remaining);
        let reset = int(report.window_seconds(closest).unwrap_or(0));
        let windows = || list(report, windowed);
        match self {
            Self::Draft03 => vec![
                (fields::RATELIMIT_LIMIT, format!("{limit}, {}", windows())),
                (fields::RATELIMIT_REMAINING, remaining.to_string()),
                (fields::RATELIMIT_RESET, reset.to_string()),
            ],
            Self::Draft06 => vec![
                (fields::RATELIMIT_POLICY, windows()),
                (fields::RATELIMIT_LIMIT, limit.to_string()),
                (fields::RATELIMIT_REMAINING, remaining.to_string()),
                (fields::RATELIMIT_RESET, reset.to_string()),
            ],
            Self::Draft07 => vec![
                (fields::RATELIMIT_POLICY, windows()),
                (fields::RATELIMIT, format!("limit={limit}, remaining={remaining}, reset={reset}")),
            ],
            Self::Draft11 => vec![
                (fields::RATELIMIT_POLICY, list(report, named_policy)),
                (fields::RATELIMIT, list(report, |item, policy| named_state(item, report, policy))),
            ],
        }
    }
}

/// `X-RateLimit-*`, which no standard defines: the closest policy, with seconds to wait as the reset.
pub(super) fn legacy(report: &LimitReport) -> Lines {
    let Some(closest) = report.closest() else { return Lines::new() };
    let reset = report.window_seconds(closest).unwrap_or(0);
    let values = [closest.quota, closest.remaining, reset].map(|value| int(value).to_string());
    let names = [fields::X_RATELIMIT_LIMIT, fields::X_RATELIMIT_REMAINING, fields::X_RATELIMIT_RESET];
    names.into_iter().zip(values).collect()
}

fn int(value: u64) -> u64 {
    value.min(MAX_INTEGER)
}

/// One text for all items: this is written for each response.
fn list(report: &LimitReport, write_item: impl Fn(&mut String, &PolicyReport)) -> String {
    let policies = report.policies.len().min(MAX_POLICIES_SENT);
    let mut items = String::with_capacity(policies * 32);
    for (i, policy) in report.policies.iter().take(policies).enumerate() {
        items.push_str(if i > 0 { ", " } else { "" });
        write_item(&mut items, policy);
    }
    items
}

/// `10;w=60`, or `10` where there is no window.
fn windowed(item: &mut String, policy: &PolicyReport) {
    // Writing into a String cannot fail.
    let _ = write!(item, "{}", int(policy.quota));
    push_window(item, policy);
}

/// `"burst";q=10;w=60` (draft -11 §3.1).
fn named_policy(item: &mut String, policy: &PolicyReport) {
    push_name(item, policy);
    push(item, "q", policy.quota);
    match policy.unit {
        QuotaUnit::Requests => {}
        QuotaUnit::ContentBytes => item.push_str(r#";qu="content-bytes""#),
        QuotaUnit::ConcurrentRequests => item.push_str(r#";qu="concurrent-requests""#),
    }
    push_window(item, policy);
    push_partition(item, policy);
}

/// `"burst";r=9;t=6` (draft -11 §4.1).
fn named_state(item: &mut String, report: &LimitReport, policy: &PolicyReport) {
    push_name(item, policy);
    push(item, "r", policy.remaining);
    if let Some(window) = report.window_seconds(policy) {
        push(item, "t", window);
    }
    push_partition(item, policy);
}

/// A String (RFC 9651 §4.1.6). A [`PolicyName`](super::report::PolicyName) holds nothing that it could not.
fn push_name(item: &mut String, policy: &PolicyReport) {
    item.push('"');
    for c in policy.name.as_str().chars() {
        if matches!(c, '"' | '\\') {
            item.push('\\');
        }
        item.push(c);
    }
    item.push('"');
}

fn push(item: &mut String, key: &str, value: u64) {
    // Writing into a String cannot fail.
    let _ = write!(item, ";{key}={}", int(value));
}

/// Whole seconds, rounded up, since the field knows no parts of one and no 0 (draft -11 §3.1.3): a client that keeps to the longer
/// window keeps to the true one.
fn push_window(item: &mut String, policy: &PolicyReport) {
    if let Some(us) = policy.window_us {
        push(item, "w", seconds(us).max(1));
    }
}

/// A Byte Sequence (RFC 9651 §4.1.8).
fn push_partition(item: &mut String, policy: &PolicyReport) {
    if let Some(partition) = &policy.partition {
        item.push_str(";pk=:");
        STANDARD.encode_string(partition.as_bytes(), item);
        item.push(':');
    }
}
