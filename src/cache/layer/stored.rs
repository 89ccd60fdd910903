//! A body that is fetched from the store segment by segment, as the client takes it.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::cache::engine::Engine;
use crate::cache::entry::{BodyRef, SEGMENT};
use crate::cache::rules::Span;
use crate::store::key::Key;
use crate::store::op::cache::Fetch;

/// A part of an answer.
pub(in crate::cache) enum Part {
    Bytes(Bytes),
    Span(Span),
}

/// Where a stored response lies.
#[derive(Clone)]
pub(in crate::cache) struct StoredAt {
    pub(in crate::cache) engine: Arc<Engine>,
    pub(in crate::cache) url: Key,
    pub(in crate::cache) head: Key,
    pub(in crate::cache) body: BodyRef,
}

/// The store no longer has it.
pub(super) struct Lost;

type Loading = Pin<Box<dyn Future<Output = Result<Bytes, Lost>> + Send>>;

pub(in crate::cache) struct StoredBody {
    at: StoredAt,
    parts: VecDeque<Part>,
    segment: Option<(u32, Bytes)>,
    loading: Option<Loading>,
}

impl Part {
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Span(span) => span.end.saturating_sub(span.start),
        }
    }
}

impl StoredAt {
    /// A segment, if it is the one that was written. Otherwise the head is forgotten, so that the next request finds nothing.
    pub(super) async fn load(&self, number: u32) -> Result<Bytes, Lost> {
        let key = self.url.cached_segment(&self.body.id, number);
        let wanted = [key.into()];
        let fetch = Fetch::new(&wanted).ok_or(Lost)?;
        let Ok(mut values) = self.engine.run(fetch).await else { return Err(Lost) };
        let sealed = values.pop().flatten();
        if let Some(bytes) = sealed.and_then(|sealed| self.engine.unseal(&self.body.id, number, sealed)) {
            return Ok(bytes);
        }
        crate::metric::count("tower_keep_cache_corrupt_total", "body");
        self.engine.forget(self.head.clone()).await;
        Err(Lost)
    }

    /// In which segment a byte lies.
    pub(super) fn segment_of(at: u64) -> u32 {
        u32::try_from(at / SEGMENT as u64).unwrap_or(u32::MAX)
    }
}

impl StoredBody {
    /// `segment` is one that was fetched already.
    pub(super) const fn new(at: StoredAt, parts: VecDeque<Part>, segment: Option<(u32, Bytes)>) -> Self {
        Self { at, parts, segment, loading: None }
    }

    pub(super) fn left(&self) -> u64 {
        self.parts.iter().map(Part::length).sum()
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Lost>>> {
        loop {
            let span = match self.parts.front_mut() {
                None => return Poll::Ready(None),
                Some(Part::Span(span)) if span.start < span.end => span,
                Some(_) => match self.parts.pop_front() {
                    Some(Part::Bytes(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                    _ => continue,
                },
            };
            let number = StoredAt::segment_of(span.start);
            if let Some((held, bytes)) = &self.segment
                && *held == number
            {
                let from = (span.start % SEGMENT as u64) as usize;
                let until = (span.end - (span.start - from as u64)).min(SEGMENT as u64) as usize;
                // A segment that is shorter than it was is not what was written.
                let Some(_) = bytes.get(from..until) else { return self.lost() };
                let part = bytes.slice(from..until);
                span.start += part.len() as u64;
                return Poll::Ready(Some(Ok(part)));
            }
            let at = &self.at;
            let loading = self.loading.get_or_insert_with(|| {
                let at = at.clone();
                Box::pin(async move { at.load(number).await })
            });
            let loaded = ready!(loading.as_mut().poll(cx));
            self.loading = None;
            match loaded {
                Ok(bytes) => self.segment = Some((number, bytes)),
                Err(Lost) => return self.lost(),
            }
        }
    }

    fn lost(&mut self) -> Poll<Option<Result<Bytes, Lost>>> {
        self.parts.clear();
        Poll::Ready(Some(Err(Lost)))
    }
}
