//! The handler's turn.

use std::future::Future;
use std::pin::pin;

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::body::CacheBody;
use super::call::Call;
use super::outgoing::outgoing;
use super::settle::{Sent, Settle};
use super::visit::{ToHandler, Visit};
use crate::cache::fill::Fill;
use crate::cache::rules::Validators;
use crate::session::SessionWatch;

impl<S, B, T> Call<S, B>
where
    S: Service<Request<B>, Response = Response<T>>,
    T: Body<Data = bytes::Bytes>,
{
    /// Asks the handler.
    pub(super) async fn ask(self: Box<Self>, to: ToHandler) -> Result<Response<CacheBody<T>>, S::Error> {
        let Self { visit: Visit { cache, mut request, head, .. }, mut inner, body } = *self;
        let asked_ms = cache.now_ms();
        let validators = to.found.as_ref().map(|found| Validators::of(&found.entry.headers));
        let validators = validators.filter(|validators| !validators.is_empty());
        let sessions = SessionWatch::begin(&mut request.extensions);
        let sent = Request::from_parts(outgoing(&cache, &request, validators.as_ref()), body);
        let answered = attended(inner.call(sent), to.fill.as_deref()).await;
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
                Ok(settle.response(sent, body, to).await)
            }
            Err(error) => settle.error(to).await.ok_or(error),
        }
    }
}

/// Waits for the handler, and meanwhile says that this process is still at it.
async fn attended<F: Future>(handler: F, fill: Option<&Fill>) -> F::Output {
    let mut handler = pin!(handler);
    let Some(fill) = fill else { return handler.await };
    loop {
        match tokio::time::timeout(fill.renew_every(), handler.as_mut()).await {
            Ok(output) => return output,
            Err(_) => {
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    runtime.spawn(fill.renew());
                }
            }
        }
    }
}
