//! Which bytes answer a request.

use http::StatusCode;

use super::Span;
use super::spec::{RangeSpec, specs};
use crate::cache::rules::settings::Rules;
use crate::cache::rules::validation::{StoredHead, is_same_representation};
use crate::view::RequestView;

/// Parts that are closer together than this are sent as one: what stands between two parts is as long (RFC 9110 §15.3.7.2).
const OVERHEAD: u64 = 80;

/// Which bytes of a stored response answer a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RangePlan {
    /// All of them: 200.
    Whole,
    /// One part: 206 with [`one_part`](super::one_part).
    One(Span),
    /// Several parts: 206 with [`Multipart`](super::Multipart). They stand in the order of the body and do not touch.
    Several(Vec<Span>),
    /// None: 416 with [`unsatisfiable`](super::unsatisfiable).
    Unsatisfiable,
}

/// Plans the answer to a request for which all of a body is stored, `body_len` bytes.
///
/// `Range` is ignored, as §14.2 allows or demands, unless the method is `GET` and 200 is stored, when `If-Range` names another response,
/// when the field is not understood, stands there twice, or asks for more than [`Rules::max_ranges`] parts. Parts that overlap
/// or nearly touch become one, and parts stand in the order of the body, whatever the client's order.
///
/// ```
/// use http::{HeaderMap, Request, StatusCode};
/// use tower_keep::cache::rules::{RangePlan, Rules, Span, StoredHead, plan_range};
///
/// let request = Request::get("/").header("range", "bytes=-500").body(())?;
/// let headers = HeaderMap::new();
/// let stored = StoredHead::new(StatusCode::OK, &headers, 0);
/// let plan = plan_range(&request, &stored, 10_000, &Rules::safe());
/// assert_eq!(plan, RangePlan::One(Span { start: 9_500, end: 10_000 }));
/// # Ok::<(), http::Error>(())
/// ```
#[must_use]
pub fn plan_range(
    request: &dyn RequestView,
    stored: &StoredHead<'_>,
    body_len: u64,
    rules: &Rules,
) -> RangePlan {
    match wanted(request, stored, rules.max_ranges) {
        Some(specs) => plan(&specs, body_len),
        None => RangePlan::Whole,
    }
}

/// The ranges to answer, if there are any.
fn wanted(request: &dyn RequestView, stored: &StoredHead<'_>, max: usize) -> Option<Vec<RangeSpec>> {
    if request.method() != "GET" || stored.status != StatusCode::OK {
        return None;
    }
    let (mut ranges, mut lines) = (None, 0);
    request.each_header("range", &mut |line| {
        lines += 1;
        ranges = specs(line, max);
    });
    let ranges = ranges.filter(|_| lines == 1)?;
    let fits = request.header("if-range").is_none_or(|if_range| is_same_representation(&if_range, stored));
    fits.then_some(ranges)
}

fn plan(specs: &[RangeSpec], body_len: u64) -> RangePlan {
    // `-5` of nothing is satisfiable (§14.1.2), and no part can say so.
    if body_len == 0 && specs.iter().any(|spec| matches!(spec, RangeSpec::Last(1..))) {
        return RangePlan::Whole;
    }
    let mut spans: Vec<Span> = specs.iter().filter_map(|spec| spec.span(body_len)).collect();
    spans.sort_by_key(|span| span.start);
    let mut parts: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match parts.last_mut() {
            Some(before) if span.start <= before.end.saturating_add(OVERHEAD) => {
                before.end = before.end.max(span.end);
            }
            _ => parts.push(span),
        }
    }
    match parts[..] {
        [] => RangePlan::Unsatisfiable,
        [part] => RangePlan::One(part),
        _ => RangePlan::Several(parts),
    }
}
