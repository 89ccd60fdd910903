//! The body of a response that may be ours or the inner service's.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

pin_project_lite::pin_project! {
    /// The body of the inner service, untouched, or a short one of ours.
    #[derive(Debug)]
    pub struct KeepBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project_lite::pin_project! {
    #[project = Projected]
    #[derive(Debug)]
    enum Kind<B> {
        Inner { #[pin] body: B },
        Own { bytes: Option<Bytes> },
    }
}

impl<B> KeepBody<B> {
    /// The inner service's body.
    pub const fn inner(body: B) -> Self {
        Self { kind: Kind::Inner { body } }
    }

    /// A body of ours.
    #[must_use]
    pub const fn own(bytes: Bytes) -> Self {
        Self { kind: Kind::Own { bytes: Some(bytes) } }
    }
}

impl<B: Body<Data = Bytes>> Body for KeepBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            Projected::Inner { body } => body.poll_frame(cx),
            Projected::Own { bytes } => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Own { bytes } => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Own { bytes } => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
        }
    }
}

/// The body of a problem response (RFC 9457): the status and nothing of the inside.
#[must_use]
pub fn problem_json(status: StatusCode) -> String {
    let title = status.canonical_reason().unwrap_or("Error");
    format!(r#"{{"type":"about:blank","title":"{title}","status":{}}}"#, status.as_u16())
}

/// A problem response of ours, with `Retry-After: 1` on a 503.
pub(crate) fn problem<B>(status: StatusCode) -> Response<KeepBody<B>> {
    let mut response = Response::new(KeepBody::own(problem_json(status).into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
