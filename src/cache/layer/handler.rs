//! The handler's turn.

use std::future::Future;
use std::pin::pin;

use http::Response;
use http::header::{CACHE_CONTROL, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, PRAGMA, RANGE};
use http::request::Parts;
use http_body::Body;

use super::body::CacheBody;
use super::outgoing::outgoing;
use super::settle::{Sent, Settle};
use super::visit::{ToHandler, Visit};
use crate::cache::fill::Fill;
use crate::cache::rules::{RequestHead, Validators};
use crate::session::SessionWatch;

impl Visit {
    /// Asks the handler, which gets the request as it is to see it.
    pub async fn ask<T, E, F>(
        self,
        to: Box<ToHandler>,
        handler: impl FnOnce(Parts) -> F,
    ) -> Result<Response<CacheBody<T>>, E>
    where
        T: Body<Data = bytes::Bytes>,
        F: Future<Output = Result<Response<T>, E>>,
    {
        let Self { cache, mut request, head, .. } = self;
        let asked_ms = cache.now_ms();
        let validators = to.found.as_ref().map(|found| Validators::of(&found.entry.headers));
        let validators = validators.filter(|validators| !validators.is_empty());
        let sessions = SessionWatch::begin(&mut request.extensions);
        let sent = outgoing(&cache, &request, validators.as_ref());
        let answered = attended(handler(sent), to.fill.as_deref()).await;
        let settle = Settle {
            cache: &cache,
            request: &request,
            head: &head,
            validated: validators.is_some(),
            sessions,
        };
        match answered {
            Ok(response) => {
                let (head, body) = response.into_parts();
                let sent = Sent { head, asked_ms, received_ms: cache.now_ms() };
                Ok(settle.response(sent, body, *to).await)
            }
            Err(error) => settle.error(*to).await.ok_or(error),
        }
    }

    /// Asks the handler for everybody: without the conditions and directives of the client that happened to come, and unless another process
    /// does.
    pub async fn refresh<T, E, F>(mut self, mut to: Box<ToHandler>, handler: impl FnOnce(Parts) -> F)
    where
        T: Body<Data = bytes::Bytes>,
        F: Future<Output = Result<Response<T>, E>>,
    {
        let Some(fill) = &mut to.fill else { return };
        if !fill.ensure_leased().await {
            return;
        }
        for name in [CACHE_CONTROL, PRAGMA, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_RANGE, RANGE] {
            self.request.headers.remove(name);
        }
        self.head = RequestHead::read(&self.request);
        if let Ok(response) = self.ask(to, handler).await {
            // The body passes by and is dropped when it is stored.
            drain(response.into_body()).await;
        }
    }
}

async fn drain<T: Body>(body: T) {
    let mut body = pin!(body);
    while let Some(Ok(_)) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {}
}

/// Waits for the handler, and meanwhile says that this process is still at it.
async fn attended<F: Future>(handler: F, fill: Option<&Fill>) -> F::Output {
    let mut handler = pin!(handler);
    let Some(fill) = fill else { return handler.await };
    loop {
        match tokio::time::timeout(fill.renew_every(), handler.as_mut()).await {
            Ok(output) => return output,
            Err(_) => {
                if let Some(runtime) = fill.engine.store.background() {
                    runtime.spawn(fill.renew());
                }
            }
        }
    }
}
