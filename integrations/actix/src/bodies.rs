//! Bodies of actix-web as bodies of `http-body` and back, for engines that look at what passes. Neither need be `Send`.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

pin_project_lite::pin_project! {
    /// A body of actix-web.
    pub(crate) struct AsHttp<B> { #[pin] pub(crate) body: B }
}

pin_project_lite::pin_project! {
    /// A body for actix-web.
    pub(crate) struct AsActix<B> {
        #[pin]
        pub(crate) body: B,
        // The length that the head names, where the body itself is not sent (RFC 9110 §9.3.2).
        pub(crate) unsent: u64,
    }
}

impl<B: MessageBody> Body for AsHttp<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.project().body.poll_next(cx).map(|next| next.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        match self.body.size() {
            BodySize::None => SizeHint::with_exact(0),
            BodySize::Sized(length) => SizeHint::with_exact(length),
            BodySize::Stream => SizeHint::default(),
        }
    }
}

impl<B: Body<Data = Bytes, Error: Into<Box<dyn Error>>>> MessageBody for AsActix<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        match self.body.size_hint().exact() {
            Some(0) => BodySize::Sized(self.unsent),
            Some(length) => BodySize::Sized(length),
            None => BodySize::Stream,
        }
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, B::Error>>> {
        let mut body = self.project().body;
        loop {
            match ready!(body.as_mut().poll_frame(cx)).map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => return Poll::Ready(Some(Ok(data))),
                Some(Ok(Err(_))) => {} // actix-web has no trailers
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}
