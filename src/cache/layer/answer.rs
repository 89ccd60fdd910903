//! Answers from what is stored.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT_RANGES, AGE, CONTENT_LENGTH, CONTENT_RANGE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::body::{CacheBody, Part, StoredBody};
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

impl Answer<'_> {
    pub(super) fn into_response<B>(self, status: &CacheStatus<'_>) -> Response<CacheBody<B>> {
        let entry = &self.found.entry;
        let headers = self.headers.as_ref().unwrap_or(&entry.headers);
        let stored = StoredHead::new(entry.status, headers, entry.stored.received_ms);
        let not_modified = matches!(evaluate(self.request, &stored), Precondition::NotModified);
        let mut response = if not_modified {
            let mut response = Response::new(CacheBody::own(Bytes::new()));
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            *response.headers_mut() = not_modified_fields(headers);
            response
        } else {
            self.whole_or_parts()
        };
        response.headers_mut().insert(AGE, self.age_s.into());
        status.append_to(response.headers_mut());
        response
    }

    fn whole_or_parts<B>(&self) -> Response<CacheBody<B>> {
        let entry = &self.found.entry;
        let stored = self.headers.as_ref().unwrap_or(&entry.headers);
        let length = entry.body.length;
        let head = StoredHead::new(entry.status, stored, entry.stored.received_ms);
        let plan = plan_range(self.request, &head, length, &self.cache.policy.rules);
        let (mut headers, mut status) = (stored.clone(), entry.status);
        let parts: VecDeque<Part> = match plan {
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
        let mut response = Response::new(self.body(parts, status, &mut headers));
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        response
    }

    fn body<B>(&self, parts: VecDeque<Part>, status: StatusCode, headers: &mut HeaderMap) -> CacheBody<B> {
        let entry = &self.found.entry;
        let length: u64 = parts.iter().map(Part::length).sum();
        if status != StatusCode::NO_CONTENT {
            headers.insert(CONTENT_LENGTH, length.into());
        }
        if entry.status == StatusCode::OK && !headers.contains_key(ACCEPT_RANGES) {
            headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        }
        if self.head.method() == MethodKind::Head || length == 0 {
            return CacheBody::own(Bytes::new());
        }
        let first = self.found.first.clone();
        if let (Some(first), true) = (&first, length == entry.body.length && entry.body.segments() == 1) {
            return CacheBody::own(first.clone());
        }
        let (engine, url) = (Arc::clone(&self.cache.engine), self.found.place.key.clone());
        CacheBody::stored(StoredBody::new(engine, url, entry.body.clone(), parts, first))
    }
}

impl Part {
    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Span(span) => span.end.saturating_sub(span.start),
        }
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

/// Nothing is stored, and the client wants nothing else (RFC 9111 §5.2.1.7).
pub(super) fn unavailable<B>(status: &CacheStatus<'_>) -> Response<CacheBody<B>> {
    let mut response = Problem::new(StatusCode::GATEWAY_TIMEOUT)
        .into_response::<()>()
        .map(|body| CacheBody::own(body.into_own()));
    status.append_to(response.headers_mut());
    response
}
