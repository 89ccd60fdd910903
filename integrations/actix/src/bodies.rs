//! Bodies of actix-web as bodies of `http-body` and back, for engines that look at what passes. Neither need be `Send`.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BodyStream, BoxBody, MessageBody, SizedStream};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyDataStream;

pin_project_lite::pin_project! {
    /// A body of actix-web.
    pub(crate) struct AsHttp<B> { #[pin] pub(crate) body: B }
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

/// A body for actix-web, which has no trailers. `named` is the length in the head where the body itself is not sent (RFC 9110 §9.3.2).
pub(crate) fn as_actix<B>(body: B, named: Option<u64>) -> BoxBody
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error>>> + 'static,
{
    let length = body.size_hint().exact();
    let data = BodyDataStream::new(body);
    match length {
        Some(0) => BoxBody::new(SizedStream::new(named.unwrap_or(0), data)),
        Some(length) => BoxBody::new(SizedStream::new(length, data)),
        None => BoxBody::new(BodyStream::new(data)),
    }
}
