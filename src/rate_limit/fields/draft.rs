//! A report in the words of one draft.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::report::{PolicyReport, QuotaUnit, Told, seconds};
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
pub(super) type Lines = SmallVec<[(HeaderName, HeaderValue); 4]>;
/// A value while it is written: on the stack, since each response has some.
type Text = SmallVec<[u8; 128]>;

impl FieldsDraft {
    /// `RateLimit-Policy`, which tells the quotas and nothing of a client.
    pub(super) fn policies(self, policies: &[PolicyReport]) -> Option<HeaderValue> {
        match self {
            Self::Draft03 => None,
            Self::Draft06 | Self::Draft07 => value(&list(policies, windowed)),
            Self::Draft11 => value(&list(policies, named_policy)),
        }
    }

    /// What is left, where it does not stand in a list.
    pub(super) fn states(self, told: Told<'_>) -> Lines {
        let Some(closest) = told.closest() else { return Lines::new() };
        let reset = told.window_seconds(closest).unwrap_or(0);
        let (limit, remaining, reset) = (int(closest.quota), int(closest.remaining), int(reset));
        if self == Self::Draft07 {
            let states = format!("limit={limit}, remaining={remaining}, reset={reset}");
            return value(states.as_bytes()).map(|states| (fields::RATELIMIT, states)).into_iter().collect();
        }
        let mut most = Text::new();
        push_int(&mut most, limit);
        if self == Self::Draft03 {
            most.extend_from_slice(b", ");
            most.extend_from_slice(&list(told.policies, windowed));
        }
        let names = [fields::RATELIMIT_LIMIT, fields::RATELIMIT_REMAINING, fields::RATELIMIT_RESET];
        lines(names, [value(&most), number(remaining), number(reset)])
    }
}

/// `RateLimit` as a list: what is left of each policy.
pub(super) fn list_of_states(told: Told<'_>) -> Option<HeaderValue> {
    value(&list(told.policies, |item, policy| named_state(item, told, policy)))
}

/// `X-RateLimit-*`, which no standard defines: the closest policy, with seconds to wait as the reset.
pub(super) fn legacy(told: Told<'_>) -> Lines {
    let Some(closest) = told.closest() else { return Lines::new() };
    let reset = told.window_seconds(closest).unwrap_or(0);
    let values = [closest.quota, closest.remaining, reset].map(|value| number(int(value)));
    lines([fields::X_RATELIMIT_LIMIT, fields::X_RATELIMIT_REMAINING, fields::X_RATELIMIT_RESET], values)
}

fn lines(names: [HeaderName; 3], values: [Option<HeaderValue>; 3]) -> Lines {
    names.into_iter().zip(values).filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Names of policies are printable ASCII and the rest is ours, so each text is a value.
fn value(text: &[u8]) -> Option<HeaderValue> {
    HeaderValue::from_bytes(text).ok()
}

pub(super) fn number(number: u64) -> Option<HeaderValue> {
    value(itoa::Buffer::new().format(number).as_bytes())
}

fn int(value: u64) -> u64 {
    value.min(MAX_INTEGER)
}

fn list(policies: &[PolicyReport], write_item: impl Fn(&mut Text, &PolicyReport)) -> Text {
    let mut items = Text::new();
    for (i, policy) in policies.iter().take(MAX_POLICIES_SENT).enumerate() {
        if i > 0 {
            items.extend_from_slice(b", ");
        }
        write_item(&mut items, policy);
    }
    items
}

/// `10;w=60`, or `10` where there is no window.
fn windowed(item: &mut Text, policy: &PolicyReport) {
    push_int(item, policy.quota);
    push_window(item, policy);
}

/// `"burst";q=10;w=60` (draft -11 §3.1).
fn named_policy(item: &mut Text, policy: &PolicyReport) {
    push_name(item, policy);
    push(item, b";q=", policy.quota);
    item.extend_from_slice(match policy.unit {
        QuotaUnit::Requests => b"",
        QuotaUnit::ContentBytes => br#";qu="content-bytes""#,
        QuotaUnit::ConcurrentRequests => br#";qu="concurrent-requests""#,
    });
    push_window(item, policy);
    push_partition(item, policy);
}

/// `"burst";r=9;t=6` (draft -11 §4.1).
fn named_state(item: &mut Text, told: Told<'_>, policy: &PolicyReport) {
    push_name(item, policy);
    push(item, b";r=", policy.remaining);
    if let Some(window) = told.window_seconds(policy) {
        push(item, b";t=", window);
    }
    push_partition(item, policy);
}

/// A String (RFC 9651 §4.1.6). A [`PolicyName`](super::report::PolicyName) holds nothing that it could not.
fn push_name(item: &mut Text, policy: &PolicyReport) {
    item.push(b'"');
    let name = policy.name.as_str().as_bytes();
    if name.iter().any(|b| matches!(b, b'"' | b'\\')) {
        let escaped = |b: &u8| matches!(b, b'"' | b'\\').then_some(b'\\').into_iter().chain([*b]);
        item.extend(name.iter().flat_map(escaped));
    } else {
        item.extend_from_slice(name);
    }
    item.push(b'"');
}

fn push(item: &mut Text, key: &[u8], value: u64) {
    item.extend_from_slice(key);
    push_int(item, value);
}

fn push_int(item: &mut Text, value: u64) {
    item.extend_from_slice(itoa::Buffer::new().format(int(value)).as_bytes());
}

/// Whole seconds, rounded up, since the field knows no parts of one and no 0 (draft -11 §3.1.3): a client that keeps to the longer
/// window keeps to the true one.
fn push_window(item: &mut Text, policy: &PolicyReport) {
    if let Some(us) = policy.window_us {
        push(item, b";w=", seconds(us).max(1));
    }
}

/// A Byte Sequence (RFC 9651 §4.1.8).
fn push_partition(item: &mut Text, policy: &PolicyReport) {
    if let Some(partition) = &policy.partition {
        item.extend_from_slice(b";pk=:");
        item.extend_from_slice(STANDARD.encode(partition.as_bytes()).as_bytes());
        item.push(b':');
    }
}
