//! Answers from what is stored.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AGE, CONTENT_LENGTH, CONTENT_RANGE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use smallvec::SmallVec;

use super::body::CacheBody;
use super::stored::{Part, StoredAt, StoredBody};
use crate::body::Problem;
use crate::cache::engine::{Engine, HttpCache};
use crate::cache::known::whole_fields;
use crate::cache::lookup::Found;
use crate::cache::rules::{
    CacheStatus, MethodKind, Multipart, Precondition, RangePlan, RequestHead, Span, StoredHead, evaluate,
    not_modified_fields, one_part, plan_range, unsatisfiable,
};

/// The parts of a body: one, usually.
type BodyParts = SmallVec<[Part; 1]>;

/// The answer to a request from a stored response, whose fields may have been updated just now.
pub(super) struct Answer<'a> {
    pub(super) cache: &'a HttpCache,
    pub(super) request: &'a Parts,
    pub(super) head: &'a RequestHead,
    pub(super) found: Found,
    /// The fields to answer with, if they are not the stored ones.
    pub(super) headers: Option<HeaderMap>,
    /// Its age, in seconds.
    pub(super) age_s: u64,
}

/// An answer whose head is ready. Its body lies in the store, if it has one.
pub(super) struct Planned<'a> {
    engine: &'a Arc<Engine>,
    found: Found,
    status: StatusCode,
    headers: HeaderMap,
    parts: BodyParts,
    /// The segment that was fetched already.
    segment: Option<(u32, Bytes)>,
}

impl<'a> Answer<'a> {
    pub(super) fn plan(mut self, status: &CacheStatus<'_>) -> Planned<'a> {
        let (code, mut headers, parts) = self.choose();
        headers.insert(AGE, self.age_s.into());
        status.append_to(&mut headers);
        let segment = self.found.first.take().map(|first| (0, first));
        Planned { engine: &self.cache.engine, found: self.found, status: code, headers, parts, segment }
    }

    fn choose(&self) -> (StatusCode, HeaderMap, BodyParts) {
        let entry = &self.found.entry;
        if self.headers.is_none() && self.head.is_for_whole() {
            return (entry.status, entry.whole.clone(), whole(entry.body.length));
        }
        let stored = self.headers.as_ref().unwrap_or(&entry.headers);
        let head = StoredHead::new(entry.status, stored, entry.stored.received_ms);
        if matches!(evaluate(self.request, &head), Precondition::NotModified) {
            return (StatusCode::NOT_MODIFIED, not_modified_fields(stored), BodyParts::new());
        }
        let (status, headers, parts) = self.whole_or_parts(stored, &head);
        let has_body = self.head.method() != MethodKind::Head;
        (status, headers, if has_body { parts } else { BodyParts::new() })
    }

    fn whole_or_parts(
        &self,
        stored: &HeaderMap,
        head: &StoredHead<'_>,
    ) -> (StatusCode, HeaderMap, BodyParts) {
        let entry = &self.found.entry;
        let length = entry.body.length;
        let mut headers = whole_fields(stored, entry.status, length);
        match plan_range(self.request, head, length, &self.cache.policy.rules) {
            RangePlan::Unsatisfiable => {
                headers.insert(CONTENT_RANGE, unsatisfiable(length));
                headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
                (StatusCode::RANGE_NOT_SATISFIABLE, headers, BodyParts::new())
            }
            RangePlan::One(span) => {
                one_part(&mut headers, span, length);
                (StatusCode::PARTIAL_CONTENT, headers, [Part::Span(span)].into())
            }
            RangePlan::Several(spans) => match crate::random::token() {
                Ok(boundary) => {
                    let parts = multipart(&Multipart::frame(&mut headers, &spans, length, &boundary));
                    (StatusCode::PARTIAL_CONTENT, headers, parts)
                }
                Err(_) => (entry.status, headers, whole(length)),
            },
            _ => (entry.status, headers, whole(length)),
        }
    }
}

impl Planned<'_> {
    /// The segment with which the body begins, unless there is none or it is there.
    fn missing(&self) -> Option<u32> {
        let first = self.parts.iter().find_map(|part| match part {
            Part::Span(span) if span.start < span.end => Some(StoredAt::segment_of(span.start)),
            _ => None,
        });
        first.filter(|first| self.segment.as_ref().is_none_or(|(held, _)| held != first))
    }

    pub(super) fn has_begun(&self) -> bool {
        self.missing().is_none()
    }

    /// Fetches the segment with which the body begins. `false`: the store lost it.
    pub(super) async fn begin(&mut self) -> bool {
        let Some(first) = self.missing() else { return true };
        let Ok(bytes) = self.stored_at().load(first).await else { return false };
        self.segment = Some((first, bytes));
        true
    }

    fn stored_at(&self) -> StoredAt {
        let Found { entry, place, at, .. } = &self.found;
        let (url, head, body) = (place.key.clone(), at.clone(), entry.body.clone());
        StoredAt { engine: Arc::clone(self.engine), url, head, body }
    }

    pub(super) fn into_response<B>(mut self) -> Response<CacheBody<B>> {
        let is_all = |bytes: &Bytes| match &self.parts[..] {
            [Part::Span(span)] => *span == Span { start: 0, end: bytes.len() as u64 },
            _ => false,
        };
        let body = match self.segment.take() {
            _ if self.parts.is_empty() => CacheBody::own(Bytes::new()),
            Some((0, bytes)) if is_all(&bytes) => CacheBody::own(bytes),
            segment => {
                let at = self.stored_at();
                CacheBody::stored(StoredBody::new(at, self.parts.into_iter().collect(), segment))
            }
        };
        let mut response = Response::new(body);
        (*response.status_mut(), *response.headers_mut()) = (self.status, self.headers);
        response
    }
}

fn whole(length: u64) -> BodyParts {
    [Part::Span(Span { start: 0, end: length })].into()
}

fn multipart(plan: &Multipart) -> BodyParts {
    let mut parts: BodyParts =
        plan.parts().flat_map(|(head, span)| [Part::Bytes(head), Part::Span(span)]).collect();
    parts.push(Part::Bytes(plan.end()));
    parts
}

/// Nothing is stored, and the client wants nothing else (RFC 9111 §5.2.1.7). There is no `Cache-Status`: it is neither a hit nor a request
/// that was forwarded.
pub(super) fn unavailable<B>() -> Response<CacheBody<B>> {
    Problem::new(StatusCode::GATEWAY_TIMEOUT)
        .into_response::<()>()
        .map(|body| CacheBody::own(body.into_own()))
}
