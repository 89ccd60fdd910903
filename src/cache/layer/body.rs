//! The body of a response: the handler's, copied as it passes; or one from the store; or a short one of ours.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::stored::{Lost, StoredBody};
use crate::cache::record::Recorder;

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

impl<E: fmt::Debug> Error for CacheBodyError<E> {}

impl<B> CacheBody<B> {
    /// The handler's body, if nothing is copied of it: then it need not go through here.
    ///
    /// # Errors
    ///
    /// The body as it is.
    #[doc(hidden)]
    pub fn into_inner(self) -> Result<B, Self> {
        match self.kind {
            Kind::Inner { body, recorder: None } => Ok(body),
            kind => Err(Self { kind }),
        }
    }

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
                recorder.iter().for_each(Recorder::asked);
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

/// Lets the recorder hear what the client hears.
fn record<E>(recorder: &mut Option<Recorder>, frame: Option<&Result<Frame<Bytes>, E>>, over: bool) {
    let Some(mut held) = recorder.take() else { return };
    let goes_on = match frame {
        Some(Ok(frame)) => frame.data_ref().is_none_or(|data| held.push(data)),
        Some(Err(_)) => return held.fail(),
        None => true,
    };
    match (goes_on, over) {
        (true, true) => held.end(),
        (true, false) => *recorder = Some(held),
        (false, _) => {}
    }
}

impl<B> fmt::Debug for CacheBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBody").finish_non_exhaustive()
    }
}
