//! The future of a response: the handler's, then the save.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::Body;

use super::finish::Finish;
use super::lazy::LazySession;
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
                    Some(Ok(response)) => Poll::Ready(Ok(apply(response, &finish))),
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
                        return Poll::Ready(output.map(|response| apply(response, &finish)));
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

fn apply<B>(response: Response<B>, finish: &Finish) -> Response<KeepBody<B>> {
    let mut response = match &finish.failure {
        Some(failure) if finish.set_cookie.is_none() => return problem(failure.status()),
        Some(failure) => problem(failure.status()),
        None => response.map(KeepBody::inner),
    };
    finish.write(response.headers_mut());
    response
}

impl<F: Future> std::fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
