//! The body of a response that may be ours or the inner service's.

use std::borrow::Cow;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use serde::Serialize;

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

    /// The bytes of a body of ours; none of another.
    pub(crate) fn into_own(self) -> Bytes {
        match self.kind {
            Kind::Own { bytes } => bytes.unwrap_or_default(),
            Kind::Inner { .. } => Bytes::new(),
        }
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
            Projected::Own { bytes } => {
                let bytes = bytes.take().filter(|bytes| !bytes.is_empty());
                Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Own { bytes } => bytes.as_ref().is_none_or(Bytes::is_empty),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Own { bytes } => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
        }
    }
}

/// Problem details (RFC 9457): what a refusal of ours says in its body. The default says the status and nothing of the inside.
///
/// ```
/// use http::StatusCode;
/// use tower_keep::body::Problem;
///
/// let problem = Problem::new(StatusCode::CONFLICT).kind("https://example.org/full", "No seats left").member("seats", 0);
/// assert_eq!(
///     problem.to_json(),
///     r#"{"type":"https://example.org/full","title":"No seats left","status":409,"seats":0}"#
/// );
/// ```
#[derive(Clone, Debug, Serialize)]
#[must_use]
pub struct Problem {
    #[serde(rename = "type")]
    kind: Cow<'static, str>,
    title: Cow<'static, str>,
    #[serde(serialize_with = "number")]
    status: StatusCode,
    #[serde(flatten)]
    members: serde_json::Map<String, serde_json::Value>,
}

/// The signature is serde's.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    /// `about:blank` with the status and its usual phrase (RFC 9457 §4.2.1).
    pub fn new(status: StatusCode) -> Self {
        let title = status.canonical_reason().unwrap_or("Error").into();
        Self { kind: "about:blank".into(), title, status, members: serde_json::Map::new() }
    }

    /// The problem type's URI and its title.
    pub fn kind(mut self, uri: impl Into<Cow<'static, str>>, title: impl Into<Cow<'static, str>>) -> Self {
        (self.kind, self.title) = (uri.into(), title.into());
        self
    }

    /// Another member (RFC 9457 §3.2). `type`, `title` and `status` stay as they are.
    pub fn member(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        if !["type", "title", "status"].contains(&name) {
            self.members.insert(name.to_owned(), value.into());
        }
        self
    }

    /// The body, as `application/problem+json`.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Texts and JSON values always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// A response with this body, and with `Retry-After: 1` on a 503.
    pub(crate) fn into_response<B>(self) -> Response<KeepBody<B>> {
        let mut response = Response::new(KeepBody::own(self.to_json().into()));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// The body of a problem response (RFC 9457): the status and nothing of the inside.
#[must_use]
pub fn problem_json(status: StatusCode) -> String {
    Problem::new(status).to_json()
}

/// A problem response of ours, with `Retry-After: 1` on a 503.
#[must_use]
pub fn problem_response(status: StatusCode) -> Response<Bytes> {
    problem::<()>(status).map(KeepBody::into_own)
}

/// The same for what extractors and calls on sessions fail with, of which the client hears the status alone. The log has the error: where
/// it is a fault of the server's own (500) as one, and else for who debugs.
#[must_use]
pub fn error_response(status: StatusCode, error: &(dyn std::error::Error + 'static)) -> Response<Bytes> {
    match status {
        StatusCode::INTERNAL_SERVER_ERROR => tracing::error!("{error}"),
        _ => tracing::debug!(error, "a session call failed"),
    }
    problem_response(status)
}

pub(crate) fn problem<B>(status: StatusCode) -> Response<KeepBody<B>> {
    Problem::new(status).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt as _, Full};
    use std::pin::pin;
    use std::task::Waker;

    /// The whole body, which waits for nothing.
    fn read<B: Body<Data = Bytes>>(body: B) -> Bytes {
        match pin!(body.collect()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(body)) => body.to_bytes(),
            _ => panic!("it waits or fails"),
        }
    }

    #[test]
    fn a_body_is_passed_through_or_ours() {
        type Either = KeepBody<Full<Bytes>>;
        let text = Bytes::from_static(b"text");
        for body in [Either::inner(Full::new(text.clone())), Either::own(text.clone())] {
            assert_eq!((body.is_end_stream(), body.size_hint().exact()), (false, Some(4)));
            assert_eq!(read(body), text);
        }
        assert!(Either::inner(Full::default()).is_end_stream());
        assert_eq!(Either::own(text.clone()).into_own(), text);
        assert_eq!(Either::inner(Full::new(text)).into_own(), "", "it is not ours");
    }

    #[test]
    fn a_problem_says_the_status_alone_and_when_to_come_back() {
        for (status, body, retry) in [
            (404, r#"{"type":"about:blank","title":"Not Found","status":404}"#, None),
            (500, r#"{"type":"about:blank","title":"Internal Server Error","status":500}"#, None),
            (503, r#"{"type":"about:blank","title":"Service Unavailable","status":503}"#, Some("1")),
            (599, r#"{"type":"about:blank","title":"Error","status":599}"#, None),
        ] {
            let code = StatusCode::from_u16(status).unwrap();
            assert_eq!(problem_json(code), body);
            for response in [problem_response(code), error_response(code, &std::fmt::Error)] {
                assert_eq!((response.status(), &**response.body()), (code, body.as_bytes()));
                assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
                assert_eq!(
                    response.headers().get(RETRY_AFTER).map(HeaderValue::as_bytes),
                    retry.map(str::as_bytes)
                );
            }
        }
    }

    #[test]
    fn members_never_replace_what_the_status_says() {
        let problem = Problem::new(StatusCode::CONFLICT).member("status", 200).member("detail", "a\"b");
        assert_eq!(
            problem.to_json(),
            r#"{"type":"about:blank","title":"Conflict","status":409,"detail":"a\"b"}"#
        );
    }

    #[test]
    fn an_empty_body_has_no_frame() {
        let body = KeepBody::<http_body_util::Empty<Bytes>>::own(Bytes::new());
        assert!(body.is_end_stream());
        assert_eq!(body.size_hint().exact(), Some(0));
    }
}
