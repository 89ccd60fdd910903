//! The body of a response, counted where a limit is charged by bytes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::settle::Meter;
use crate::body::KeepBody;

pin_project_lite::pin_project! {
    /// The body of the inner service, untouched, or a short one of ours. Where a limit is charged by bytes, they are counted as they
    /// pass.
    #[derive(Debug)]
    pub struct RateLimitBody<B> {
        #[pin]
        body: KeepBody<B>,
        meter: Option<Box<Meter>>,
    }
}

impl<B> RateLimitBody<B> {
    pub(super) const fn inner(body: B) -> Self {
        Self { body: KeepBody::inner(body), meter: None }
    }

    pub(super) const fn own(bytes: Bytes) -> Self {
        Self { body: KeepBody::own(bytes), meter: None }
    }

    pub(super) fn metered(body: B, meter: Option<Meter>) -> Self {
        Self { body: KeepBody::inner(body), meter: meter.map(Box::new) }
    }
}

impl<B: Body<Data = Bytes>> Body for RateLimitBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        if let (Some(meter), Some(Ok(frame))) = (this.meter.as_mut(), &frame)
            && let Some(data) = frame.data_ref()
        {
            meter.add(data.len());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
