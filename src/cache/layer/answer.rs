//! Answers from what is stored.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT_RANGES, AGE, CONTENT_LENGTH, CONTENT_RANGE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::body::CacheBody;
use super::stored::{Part, StoredAt, StoredBody};
use crate::body::Problem;
use crate::cache::engine::{HttpCache, random_word};
use crate::cache::lookup::Found;
use crate::cache::rules::{
    CacheStatus, MethodKind, Multipart, Precondition, RangePlan, RequestHead, Span, StoredHead, evaluate,
    not_modified_fields, one_part, plan_range, unsatisfiable,
};

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
pub(super) struct Planned {
    at: StoredAt,
    status: StatusCode,
    headers: HeaderMap,
    parts: VecDeque<Part>,
    /// The segment that was fetched already.
    segment: Option<(u32, Bytes)>,
}

impl Answer<'_> {
    pub(super) fn plan(self, status: &CacheStatus<'_>) -> Planned {
        let entry = Arc::clone(&self.found.entry);
        let headers = self.headers.as_ref().unwrap_or(&entry.headers);
        let stored = StoredHead::new(entry.status, headers, entry.stored.received_ms);
        let not_modified = matches!(evaluate(self.request, &stored), Precondition::NotModified);
        let (code, mut headers, parts) = if not_modified {
            (StatusCode::NOT_MODIFIED, not_modified_fields(headers), VecDeque::new())
        } else {
            self.whole_or_parts(headers, &stored)
        };
        headers.insert(AGE, self.age_s.into());
        status.append_to(&mut headers);
        let Found { place, at: head, first, .. } = self.found;
        let (engine, body) = (Arc::clone(&self.cache.engine), entry.body.clone());
        let at = StoredAt { engine, url: place.key, head, body };
        Planned { at, status: code, headers, parts, segment: first.map(|first| (0, first)) }
    }

    fn whole_or_parts(
        &self,
        stored: &HeaderMap,
        head: &StoredHead<'_>,
    ) -> (StatusCode, HeaderMap, VecDeque<Part>) {
        let entry = &self.found.entry;
        let length = entry.body.length;
        let (mut headers, mut status) = (stored.clone(), entry.status);
        let parts = match plan_range(self.request, head, length, &self.cache.policy.rules) {
            RangePlan::Unsatisfiable => {
                headers.insert(CONTENT_RANGE, unsatisfiable(length));
                status = StatusCode::RANGE_NOT_SATISFIABLE;
                VecDeque::new()
            }
            RangePlan::One(span) => {
                one_part(&mut headers, span, length);
                status = StatusCode::PARTIAL_CONTENT;
                [Part::Span(span)].into()
            }
            RangePlan::Several(spans) => match random_word() {
                Ok(boundary) => {
                    status = StatusCode::PARTIAL_CONTENT;
                    multipart(&Multipart::frame(&mut headers, &spans, length, &boundary))
                }
                Err(_) => whole(length),
            },
            _ => whole(length),
        };
        if status != StatusCode::NO_CONTENT {
            headers.insert(CONTENT_LENGTH, parts.iter().map(Part::length).sum::<u64>().into());
        }
        if entry.status == StatusCode::OK && !headers.contains_key(ACCEPT_RANGES) {
            headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        }
        let has_body = self.head.method() != MethodKind::Head;
        (status, headers, if has_body { parts } else { VecDeque::new() })
    }
}

impl Planned {
    /// Fetches the segment with which the body begins. `false`: the store lost it.
    pub(super) async fn begin(&mut self) -> bool {
        let begins = self.parts.iter().find_map(|part| match part {
            Part::Span(span) if span.start < span.end => Some(StoredAt::segment_of(span.start)),
            _ => None,
        });
        let held = self.segment.as_ref().map(|(number, _)| *number);
        if let Some(number) = begins
            && held != begins
        {
            let Ok(bytes) = self.at.load(number).await else { return false };
            self.segment = Some((number, bytes));
        }
        true
    }

    pub(super) fn into_response<B>(self) -> Response<CacheBody<B>> {
        let Self { at, status, headers, parts, segment } = self;
        let is_all = |bytes: &Bytes| match parts.front() {
            Some(Part::Span(span)) => parts.len() == 1 && *span == Span { start: 0, end: bytes.len() as u64 },
            _ => false,
        };
        let body = match segment {
            _ if parts.is_empty() => CacheBody::own(Bytes::new()),
            Some((0, bytes)) if is_all(&bytes) => CacheBody::own(bytes),
            segment => CacheBody::stored(StoredBody::new(at, parts, segment)),
        };
        let mut response = Response::new(body);
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        response
    }
}

fn whole(length: u64) -> VecDeque<Part> {
    [Part::Span(Span { start: 0, end: length })].into()
}

fn multipart(plan: &Multipart) -> VecDeque<Part> {
    let mut parts: VecDeque<Part> =
        plan.parts().flat_map(|(head, span)| [Part::Bytes(head), Part::Span(span)]).collect();
    parts.push_back(Part::Bytes(plan.end()));
    parts
}

/// Nothing is stored, and the client wants nothing else (RFC 9111 §5.2.1.7). There is no `Cache-Status`: it is neither a hit nor a request
/// that was forwarded.
pub(super) fn unavailable<B>() -> Response<CacheBody<B>> {
    Problem::new(StatusCode::GATEWAY_TIMEOUT)
        .into_response::<()>()
        .map(|body| CacheBody::own(body.into_own()))
}
