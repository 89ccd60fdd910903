//! The future of a response: the handler's, then the save.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::Body;

use super::lazy::{Finish, LazySession};
use crate::body::{KeepBody, problem};

type Finishing = Pin<Box<dyn Future<Output = Finish> + Send>>;

pin_project_lite::pin_project! {
    /// Future of a [`SessionService`](super::SessionService).
    #[must_use]
    pub struct ResponseFuture<F: Future> {
        #[pin]
        inner: Option<F>,
        session: Option<LazySession>,
        output: Option<F::Output>,
        finishing: Option<Finishing>,
    }
}

impl<F: Future> ResponseFuture<F> {
    pub(super) const fn new(inner: F, session: LazySession) -> Self {
        Self { inner: Some(inner), session: Some(session), output: None, finishing: None }
    }

    /// The origin check failed: the inner service is not called.
    pub(super) const fn refused() -> Self {
        Self { inner: None, session: None, output: None, finishing: None }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Data = Bytes>,
{
    type Output = Result<Response<KeepBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            if let Some(finishing) = this.finishing {
                let finish = ready!(finishing.as_mut().poll(cx));
                *this.finishing = None;
                return match this.output.take() {
                    Some(Ok(response)) => Poll::Ready(Ok(apply(response, finish, this.session.as_ref()))),
                    Some(Err(error)) => Poll::Ready(Err(error)),
                    None => Poll::Pending, // polled again after it was ready
                };
            }
            let Some(inner) = this.inner.as_mut().as_pin_mut() else {
                return Poll::Ready(Ok(problem(StatusCode::FORBIDDEN)));
            };
            let output = ready!(inner.poll(cx));
            match this.session {
                // No response goes out: a rotation would kill the secret that the browser has and deliver no other.
                Some(_) if output.is_err() => {
                    return Poll::Ready(output.map(|response| response.map(KeepBody::inner)));
                }
                Some(session) => match session.finish_now() {
                    Some(finish) => {
                        return Poll::Ready(
                            output.map(|response| apply(response, finish, this.session.as_ref())),
                        );
                    }
                    None => {
                        let session = session.clone();
                        *this.output = Some(output);
                        *this.finishing = Some(Box::pin(async move { session.finish().await }));
                    }
                },
                None => return Poll::Ready(output.map(|response| response.map(KeepBody::inner))),
            }
        }
    }
}

fn apply<B>(response: Response<B>, finish: Finish, session: Option<&LazySession>) -> Response<KeepBody<B>> {
    if let Some(failure) = finish.failure {
        return problem(failure.status());
    }
    let mut response = response.map(KeepBody::inner);
    let headers = response.headers_mut();
    if finish.accessed {
        vary_by_cookie(headers);
    }
    if let Some(line) = finish.set_cookie.and_then(|line| HeaderValue::try_from(line).ok())
        && let Some(session) = session
    {
        set_cookie(headers, line, session.cookie_name());
    }
    response
}

/// A response that depends on the session must not answer another visitor (RFC 9110 §12.5.5).
fn vary_by_cookie(headers: &mut HeaderMap) {
    let covered = |value: &HeaderValue| {
        let mut names = value.as_bytes().split(|b| *b == b',').map(<[u8]>::trim_ascii);
        names.any(|name| name == b"*" || name.eq_ignore_ascii_case(COOKIE.as_str().as_bytes()))
    };
    if !headers.get_all(VARY).iter().any(covered) {
        headers.append(VARY, HeaderValue::from_static("cookie"));
    }
}

/// At most one `Set-Cookie` of a name in a response (RFC 6265bis §4.1.1): ours replaces the app's own of the same name.
fn set_cookie(headers: &mut HeaderMap, mut line: HeaderValue, name: &str) {
    let ours = |value: &HeaderValue| {
        let end = value.as_bytes().iter().position(|b| *b == b'=').unwrap_or(0);
        value.as_bytes().get(..end).is_some_and(|found| found.trim_ascii() == name.as_bytes())
    };
    if headers.get_all(SET_COOKIE).iter().any(ours) {
        let others: Vec<_> =
            headers.get_all(SET_COOKIE).iter().filter(|value| !ours(value)).cloned().collect();
        headers.remove(SET_COOKIE);
        for other in others {
            headers.append(SET_COOKIE, other);
        }
    }
    line.set_sensitive(true);
    headers.append(SET_COOKIE, line);
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

impl<F: Future> std::fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
