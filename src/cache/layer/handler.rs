//! The handler's turn, and what becomes of its response.

use std::borrow::Cow;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use http::header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE};
use http::request::Parts;
use http::{Extensions, HeaderMap, Request, Response, StatusCode, response};
use http_body::Body;
use tower_service::Service;

use super::answer::Answer;
use super::body::CacheBody;
use super::call::{Call, ToHandler, Visit};
use crate::cache::engine::HttpCache;
use crate::cache::fill::Fill;
use crate::cache::lookup::Found;
use crate::cache::policy::{SessionRule, UnkeyedInput};
use crate::cache::publish::Head;
use crate::cache::record::Recorder;
use crate::cache::rules::{
    CacheStatus, Forward, Freshened, Received, Rules, StoredHead, ToStore, Ttl, Validators, freshen,
    is_server_error, may_answer_error, store,
};
use crate::cache::{CacheTags, NoStore, StoreFor};
use crate::session::SessionSet;

/// The most tags of a response, and the longest.
const MAX_TAGS: usize = 64;
const MAX_TAG: usize = 256;

/// A request whose handler is asked.
pub(super) struct Handler<S, B> {
    call: Call<S, B>,
}

/// The head of what the handler sent, and when.
struct Sent {
    head: response::Parts,
    asked_ms: u64,
    received_ms: u64,
}

impl Sent {
    fn received(&self) -> Received<'_> {
        Received::new(self.head.status, &self.head.headers, self.asked_ms, self.received_ms)
    }
}

impl<S, B> Handler<S, B> {
    pub(super) const fn new(call: Call<S, B>) -> Self {
        Self { call }
    }
}

impl<S, B, T> Handler<S, B>
where
    S: Service<Request<B>, Response = Response<T>>,
    T: Body<Data = bytes::Bytes>,
{
    pub(super) async fn run(self, mut to: ToHandler) -> Result<Response<CacheBody<T>>, S::Error> {
        let Self { call } = self;
        let Call { visit: Visit { cache, request, head, collapsed, .. }, mut inner, body } = call;
        if let Some(fill) = &mut to.fill
            && !fill.ensure_leased().await
        {
            to.fill = None;
        }
        let asked_ms = cache.now_ms();
        let validators = to.found.as_ref().map(|found| Validators::of(&found.entry.headers));
        let validators = validators.filter(|validators| !validators.is_empty());
        let sent =
            Request::from_parts(outgoing(&cache, &request, validators.as_ref(), to.fill.is_some()), body);
        let answered = attended(inner.call(sent), to.fill.as_deref()).await;
        let settle = Settle {
            cache: &cache,
            request: &request,
            head: &head,
            collapsed,
            validated: validators.is_some(),
        };
        match answered {
            Ok(response) => {
                let (head, body) = response.into_parts();
                let sent = Sent { head, asked_ms, received_ms: cache.now_ms() };
                Ok(settle.response(sent, body, to).await)
            }
            Err(error) => settle.error(to).ok_or(error),
        }
    }
}

/// The request as the handler gets it.
fn outgoing(cache: &HttpCache, request: &Parts, validators: Option<&Validators>, stores: bool) -> Parts {
    let mut outgoing = request.clone();
    if let Some(validators) = validators {
        validators.apply(&mut outgoing.headers);
    }
    // What the key holds is what the handler decides by.
    let normalise = &cache.policy.rules.normalise;
    for name in [ACCEPT_ENCODING, ACCEPT_LANGUAGE] {
        if let Some(value) = normalise.replacement(&name, request).filter(|_| stores) {
            outgoing.headers.insert(name, value);
        }
    }
    if stores && cache.policy.unkeyed == UnkeyedInput::Hidden {
        let kept: HeaderMap = outgoing
            .headers
            .iter()
            .filter(|(name, _)| cache.policy.shows(name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        // `collect` of a header map appends, so that all lines stay.
        outgoing.headers = kept;
    }
    outgoing
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

/// Decides what becomes of a handler's response.
struct Settle<'a> {
    cache: &'a HttpCache,
    request: &'a Parts,
    head: &'a crate::cache::rules::RequestHead,
    collapsed: bool,
    /// The handler was asked with the stored response's validators.
    validated: bool,
}

impl Settle<'_> {
    async fn response<T: Body<Data = bytes::Bytes>>(
        &self,
        sent: Sent,
        body: T,
        to: ToHandler,
    ) -> Response<CacheBody<T>> {
        let status = sent.head.status;
        if let Some(found) = &to.found {
            if self.validated && status == StatusCode::NOT_MODIFIED {
                return self.not_modified(&sent, to).await;
            }
            if is_server_error(status)
                && let Some(response) = self.stale(found, to.why, Some(status))
            {
                give_up(to.fill);
                return response;
            }
        }
        let ToHandler { why, fill, detail, .. } = to;
        let cache_status = self.status(why);
        let rules = self.rules(&sent.head.extensions);
        let stored = match self.personal(&sent.head.extensions) {
            Some(reason) => Err(reason),
            None => store(self.head, &sent.received(), &rules).map_err(|reason| reason.as_str()),
        };
        let response = Response::from_parts(sent.head, body);
        match (fill, stored) {
            (Some(fill), Ok(to_store)) => self.record(response, fill, to_store, &cache_status),
            (fill, stored) => {
                give_up(fill);
                forwarded(response, &cache_status, stored.err().or(detail))
            }
        }
    }

    fn record<T: Body>(
        &self,
        mut response: Response<T>,
        fill: Box<Fill>,
        to_store: ToStore,
        status: &CacheStatus<'_>,
    ) -> Response<CacheBody<T>> {
        let Some(tags) = self.tags(&response) else {
            give_up(Some(fill));
            return forwarded(response, status, Some("too-many-tags"));
        };
        let expected = response.body().size_hint().exact().or_else(|| named_length(response.headers()));
        let most = self.cache.policy.max_body;
        if expected.is_some_and(|length| length > most) {
            give_up(Some(fill));
            return forwarded(response, status, Some("too-large"));
        }
        let variant = self.cache.variant_word(&to_store.vary, self.request);
        let head = Head { status: response.status(), to_store, tags, variant };
        let recorder = Recorder::start(fill, head, most, expected);
        status.clone().stored().append_to(response.headers_mut());
        // Nothing will be polled of a body that is known to be empty.
        if response.body().is_end_stream() {
            if let Some(recorder) = recorder {
                recorder.end();
            }
            return response.map(CacheBody::inner);
        }
        response.map(|body| CacheBody::recorded(body, recorder))
    }

    /// The handler says that the stored response is still good.
    async fn not_modified<T>(&self, sent: &Sent, to: ToHandler) -> Response<CacheBody<T>> {
        let ToHandler { why, fill, found, .. } = to;
        let status = self.status(why).status(StatusCode::NOT_MODIFIED);
        let Some(found) = found else { return Response::new(CacheBody::own(bytes::Bytes::new())) };
        let stored =
            StoredHead::new(found.entry.status, &found.entry.headers, found.entry.stored.received_ms);
        let rules = self.rules(&sent.head.extensions);
        let freshened = freshen(self.head, &stored, &sent.received(), &rules);
        let (headers, to_store) = match freshened {
            Ok(Freshened { headers, store, .. }) => (headers, store),
            // It is about another response. What is stored cannot be kept, but is what the client gets.
            Err(_) => (found.entry.headers.clone(), Err(crate::cache::rules::NotStored::NotModified)),
        };
        let age_s = to_store.as_ref().map_or(0, |to_store| to_store.stored.age_seconds(sent.received_ms));
        let status = match (fill, to_store) {
            (Some(fill), Ok(to_store)) => {
                let variant = self.cache.variant_word(&to_store.vary, self.request);
                self.cache.freshened(fill, &found, to_store, variant).await;
                status.stored()
            }
            (fill, _) => {
                give_up(fill);
                status
            }
        };
        let (cache, request, head) = (self.cache, self.request, self.head);
        Answer { cache, request, head, found, headers: Some(headers), age_s }.into_response(&status)
    }

    /// A stale response in place of an error, if that is allowed (RFC 5861 §4).
    fn stale<T>(
        &self,
        found: &Found,
        why: Forward,
        status: Option<StatusCode>,
    ) -> Option<Response<CacheBody<T>>> {
        let now_ms = self.cache.now_ms();
        if !may_answer_error(&found.entry.stored, self.head, now_ms) {
            return None;
        }
        crate::metric::count("tower_keep_cache_hits_total", "stale-if-error");
        let mut cache_status = self.status(why);
        if let Some(status) = status {
            cache_status = cache_status.status(status);
        }
        let stored = &found.entry.stored;
        let (cache, request, head) = (self.cache, self.request, self.head);
        let age_s = stored.age_seconds(now_ms);
        let answer = Answer { cache, request, head, found: found.clone(), headers: None, age_s };
        Some(answer.into_response(&cache_status.detail("stale-if-error")))
    }

    fn error<T>(&self, to: ToHandler) -> Option<Response<CacheBody<T>>> {
        let response = to.found.as_ref().and_then(|found| self.stale(found, to.why, None));
        if response.is_some() {
            give_up(to.fill);
        }
        response
    }

    fn status(&self, why: Forward) -> CacheStatus<'_> {
        crate::metric::count("tower_keep_cache_forwarded_total", why.as_str());
        let status = CacheStatus::forward(&self.cache.engine.config.name, why);
        if self.collapsed { status.collapsed() } else { status }
    }

    /// The route's rules, with what the handler says about this response.
    fn rules(&self, response: &Extensions) -> Cow<'_, Rules> {
        let rules = &self.cache.policy.rules;
        match response.get::<StoreFor>() {
            None => Cow::Borrowed(rules),
            Some(StoreFor(time)) => {
                let mut rules = rules.clone();
                rules.ttl = Ttl::Fixed(*time);
                rules.ttl_statuses = rules.statuses.clone();
                Cow::Owned(rules)
            }
        }
    }

    /// Why a response is one visitor's own, whatever its fields say.
    fn personal(&self, response: &Extensions) -> Option<&'static str> {
        if response.get::<NoStore>().is_some() {
            return Some("no-store-by-handler");
        }
        let used = || self.request.extensions.get::<SessionSet>().is_some_and(SessionSet::is_touched);
        (self.cache.policy.sessions == SessionRule::Private && used()).then_some("session")
    }

    /// `None` when there are too many.
    fn tags<T>(&self, response: &Response<T>) -> Option<Vec<Arc<str>>> {
        let mut tags = self.cache.policy.tags_of(self.request);
        if let Some(CacheTags(more)) = response.extensions().get::<CacheTags>() {
            tags.extend(more.iter().cloned());
        }
        let mut tags: Vec<Arc<str>> =
            tags.iter().map(|tag| super::super::purge::app_tag(tag).into()).collect();
        tags.extend(self.cache.groups(self.request, response.headers())?);
        tags.sort_unstable();
        tags.dedup();
        (tags.len() <= MAX_TAGS && tags.iter().all(|tag| tag.len() <= MAX_TAG + 2)).then_some(tags)
    }
}

/// The response is not for others: whoever waits for it goes to the handler, too.
fn give_up(fill: Option<Box<Fill>>) {
    if let Some(fill) = fill {
        fill.not_for_others();
    }
}

fn forwarded<T>(
    mut response: Response<T>,
    status: &CacheStatus<'_>,
    reason: Option<&'static str>,
) -> Response<CacheBody<T>> {
    if let Some(reason) = reason {
        crate::metric::count("tower_keep_cache_not_stored_total", reason);
        status.clone().detail(reason).append_to(response.headers_mut());
    } else {
        status.append_to(response.headers_mut());
    }
    response.map(CacheBody::inner)
}

fn named_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
