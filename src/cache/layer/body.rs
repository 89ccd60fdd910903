//! The body of a response: the handler's, copied as it passes; or one from the store; or a short one of ours.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::cache::engine::Engine;
use crate::cache::entry::{BodyRef, SEGMENT, unseal};
use crate::cache::record::Recorder;
use crate::cache::rules::Span;
use crate::store::key::Key;
use crate::store::op::cache::Fetch;

pin_project_lite::pin_project! {
    /// The body of a response that passed a [`CacheService`](super::CacheService).
    pub struct CacheBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project_lite::pin_project! {
    #[project = Projected]
    enum Kind<B> {
        Inner { #[pin] body: B, recorder: Option<Recorder> },
        Stored { stored: Box<StoredBody> },
        Own { bytes: Option<Bytes> },
    }
}

/// Why a body ended early.
#[derive(Debug)]
#[non_exhaustive]
pub enum CacheBodyError<E> {
    /// The handler's body failed.
    Inner(E),
    /// The store no longer has the rest of a stored body.
    Truncated,
}

impl<E> fmt::Display for CacheBodyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inner(_) => "the handler's body failed",
            Self::Truncated => "the store lost the rest of a body; ask again",
        })
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>> + fmt::Debug> Error for CacheBodyError<E> {}

impl<B> CacheBody<B> {
    pub(in crate::cache) const fn inner(body: B) -> Self {
        Self { kind: Kind::Inner { body, recorder: None } }
    }

    pub(in crate::cache) const fn recorded(body: B, recorder: Option<Recorder>) -> Self {
        Self { kind: Kind::Inner { body, recorder } }
    }

    pub(in crate::cache) fn stored(stored: StoredBody) -> Self {
        Self { kind: Kind::Stored { stored: Box::new(stored) } }
    }

    pub(in crate::cache) const fn own(bytes: Bytes) -> Self {
        Self { kind: Kind::Own { bytes: Some(bytes) } }
    }
}

impl<B: Body<Data = Bytes>> Body for CacheBody<B> {
    type Data = Bytes;
    type Error = CacheBodyError<B::Error>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.project().kind.project() {
            Projected::Inner { mut body, recorder } => {
                let frame = ready!(body.as_mut().poll_frame(cx));
                let over = frame.is_none() || body.is_end_stream();
                record(recorder, frame.as_ref(), over);
                Poll::Ready(frame.map(|frame| frame.map_err(CacheBodyError::Inner)))
            }
            Projected::Stored { stored } => stored.poll(cx).map(|part| match part {
                Some(Ok(bytes)) => Some(Ok(Frame::data(bytes))),
                Some(Err(Lost)) => Some(Err(CacheBodyError::Truncated)),
                None => None,
            }),
            Projected::Own { bytes } => {
                let bytes = bytes.take().filter(|bytes| !bytes.is_empty());
                Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            // Who records must hear of the end, which comes with the last frame.
            Kind::Inner { body, recorder } => recorder.is_none() && body.is_end_stream(),
            Kind::Stored { stored } => stored.left() == 0,
            Kind::Own { bytes } => bytes.as_ref().is_none_or(Bytes::is_empty),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body, .. } => body.size_hint(),
            Kind::Stored { stored } => SizeHint::with_exact(stored.left()),
            Kind::Own { bytes } => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
        }
    }
}

/// A body that fails, or grows too long, is not stored: to drop the recorder is to say so.
fn record<E>(recorder: &mut Option<Recorder>, frame: Option<&Result<Frame<Bytes>, E>>, over: bool) {
    let goes_on = match (recorder.as_mut(), frame) {
        (None, _) => return,
        (Some(recorder), Some(Ok(frame))) => frame.data_ref().is_none_or(|data| recorder.push(data)),
        (Some(_), Some(Err(_))) => false,
        (Some(_), None) => true,
    };
    if !goes_on {
        *recorder = None;
    } else if over && let Some(recorder) = recorder.take() {
        recorder.end();
    }
}

/// A body that is fetched segment by segment.
pub(in crate::cache) struct StoredBody {
    engine: Arc<Engine>,
    url: Key,
    body: BodyRef,
    parts: VecDeque<Part>,
    segment: Option<(u32, Bytes)>,
    loading: Option<Pin<Box<dyn Future<Output = Option<Bytes>> + Send>>>,
}

/// A part of an answer.
pub(in crate::cache) enum Part {
    Bytes(Bytes),
    Span(Span),
}

struct Lost;

impl StoredBody {
    /// `first` is the first segment, if it was fetched already.
    pub(in crate::cache) fn new(
        engine: Arc<Engine>,
        url: Key,
        body: BodyRef,
        parts: VecDeque<Part>,
        first: Option<Bytes>,
    ) -> Self {
        Self { engine, url, body, parts, segment: first.map(|first| (0, first)), loading: None }
    }

    fn left(&self) -> u64 {
        let length = |part: &Part| match part {
            Part::Bytes(bytes) => bytes.len() as u64,
            Part::Span(span) => span.end.saturating_sub(span.start),
        };
        self.parts.iter().map(length).sum()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Lost>>> {
        loop {
            let span = match self.parts.front_mut() {
                None => return Poll::Ready(None),
                Some(Part::Span(span)) if span.start < span.end => span,
                Some(_) => match self.parts.pop_front() {
                    Some(Part::Bytes(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                    _ => continue,
                },
            };
            let number = u32::try_from(span.start / SEGMENT as u64).unwrap_or(u32::MAX);
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
            let loading =
                self.loading.get_or_insert_with(|| load(&self.engine, &self.url, &self.body, number));
            let loaded = ready!(loading.as_mut().poll(cx));
            self.loading = None;
            match loaded {
                Some(bytes) => self.segment = Some((number, bytes)),
                None => return self.lost(),
            }
        }
    }

    fn lost(&mut self) -> Poll<Option<Result<Bytes, Lost>>> {
        self.parts.clear();
        crate::metric::count("tower_keep_cache_corrupt_total", "body");
        Poll::Ready(Some(Err(Lost)))
    }
}

fn load(
    engine: &Arc<Engine>,
    url: &Key,
    body: &BodyRef,
    number: u32,
) -> Pin<Box<dyn Future<Output = Option<Bytes>> + Send>> {
    let (engine, id) = (Arc::clone(engine), Arc::clone(&body.id));
    let key = url.cached_segment(&id, number);
    Box::pin(async move {
        let sealed = engine.run(Fetch::new([key])?).await.ok()?.pop()??;
        unseal(&id, number, sealed)
    })
}

impl<B> fmt::Debug for CacheBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBody").finish_non_exhaustive()
    }
}
