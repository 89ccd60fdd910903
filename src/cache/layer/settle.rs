//! What becomes of a handler's response.

use std::borrow::Cow;
use std::sync::Arc;

use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Response, StatusCode, response};
use http_body::Body;

use super::answer::Answer;
use super::body::CacheBody;
use super::visit::ToHandler;
use crate::cache::engine::HttpCache;
use crate::cache::fill::Fill;
use crate::cache::lookup::Found;
use crate::cache::policy::SessionRule;
use crate::cache::publish::Head;
use crate::cache::purge::app_tag;
use crate::cache::record::{Recorder, Wanted};
use crate::cache::reputation::Reputation;
use crate::cache::rules::{
    CacheStatus, Forward, Freshened, NotStored, Received, RequestHead, Rules, StoredHead, ToStore, Ttl,
    freshen, is_server_error, may_answer_error, store,
};
use crate::cache::{CacheTags, NoStore, StoreFor};
use crate::session::SessionWatch;

/// The most tags of a response, and the longest.
const MAX_TAGS: usize = 64;
const MAX_TAG: usize = 256;

/// The head of what the handler sent, and when.
pub(super) struct Sent {
    pub(super) head: response::Parts,
    pub(super) asked_ms: u64,
    pub(super) received_ms: u64,
}

impl Sent {
    fn received(&self) -> Received<'_> {
        Received::new(self.head.status, &self.head.headers, self.asked_ms, self.received_ms)
    }
}

/// Why a response is not stored.
struct Refused {
    label: &'static str,
    /// What is to be expected of the next response.
    reputation: Option<Reputation>,
}

impl Refused {
    const fn lasting(label: &'static str) -> Self {
        Self { label, reputation: Some(Reputation::NotForOthers) }
    }

    const fn once(label: &'static str) -> Self {
        Self { label, reputation: Some(Reputation::NeverWait) }
    }

    /// Where it is the request's doing, the next one may well be stored; and a handler that fails will be well again.
    fn by(reason: NotStored, status: StatusCode) -> Self {
        let reputation = if reason.is_about_request() {
            None
        } else if is_server_error(status) {
            Some(Reputation::NeverWait)
        } else {
            Some(Reputation::NotForOthers)
        };
        Self { label: reason.as_str(), reputation }
    }
}

/// Decides what becomes of a handler's response.
pub(super) struct Settle<'a> {
    pub(super) cache: &'a HttpCache,
    pub(super) request: &'a Parts,
    pub(super) head: &'a RequestHead,
    /// The handler was asked with the stored response's validators.
    pub(super) validated: bool,
    pub(super) sessions: SessionWatch,
}

impl Settle<'_> {
    pub(super) async fn response<T: Body<Data = bytes::Bytes>>(
        &self,
        sent: Sent,
        body: T,
        mut to: ToHandler,
    ) -> Response<CacheBody<T>> {
        let status = sent.head.status;
        if let Some(found) = to.found.take() {
            if self.validated && status == StatusCode::NOT_MODIFIED {
                return self.not_modified(&sent, found, to).await;
            }
            if is_server_error(status)
                && let Some(response) = self.stale(found, to.why, Some(status)).await
            {
                give_up(to.fill, Some(Reputation::NeverWait));
                return response;
            }
        }
        let ToHandler { why, fill, detail, .. } = to;
        let cache_status = self.status(why);
        let to_store = self.to_store(&sent);
        let response = Response::from_parts(sent.head, body);
        match (fill, to_store) {
            (Some(fill), Ok(to_store)) => self.record(response, fill, to_store, &cache_status),
            (fill, Ok(_)) => {
                give_up(fill, None);
                forwarded(response, &cache_status, detail)
            }
            (fill, Err(refused)) => {
                give_up(fill, refused.reputation);
                forwarded(response, &cache_status, Some(refused.label))
            }
        }
    }

    fn to_store(&self, sent: &Sent) -> Result<ToStore, Refused> {
        self.personal(&sent.head.extensions)?;
        let rules = self.rules(&sent.head.extensions);
        store(self.head, &sent.received(), &rules).map_err(|reason| Refused::by(reason, sent.head.status))
    }

    fn record<T: Body>(
        &self,
        mut response: Response<T>,
        mut fill: Box<Fill>,
        to_store: ToStore,
        status: &CacheStatus<'_>,
    ) -> Response<CacheBody<T>> {
        let most = self.cache.policy.max_body;
        let expected = named_length(response.headers()).or_else(|| response.body().size_hint().exact());
        let tags = self.tags(response.extensions(), response.headers(), &[]);
        let refusal = match &tags {
            None => Some("too-many-tags"),
            _ if expected.is_some_and(|length| length > most) => Some("too-large"),
            // They have no end, and who waits for one waits in vain.
            _ if is_event_stream(response.headers()) => Some("event-stream"),
            _ => None,
        };
        if let Some(refusal) = refusal {
            fill.not_for_others(Some(Reputation::NotForOthers));
            return forwarded(response, status, Some(refusal));
        }
        let variant = self.cache.variant_word(&to_store.vary, self.request);
        let head = Head { status: response.status(), to_store, tags: tags.unwrap_or_default(), variant };
        let session = (self.cache.policy.sessions == SessionRule::Private).then(|| self.sessions.clone());
        let recorder = Recorder::start(fill, head, Wanted { most, expected, session });
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
    async fn not_modified<T>(&self, sent: &Sent, found: Found, to: ToHandler) -> Response<CacheBody<T>> {
        let ToHandler { why, fill, .. } = to;
        let mut status = self.status(why).status(StatusCode::NOT_MODIFIED);
        let entry = Arc::clone(&found.entry);
        let stored = StoredHead::new(entry.status, &entry.headers, entry.stored.received_ms);
        let rules = self.rules(&sent.head.extensions);
        let (headers, to_store) = match freshen(self.head, &stored, &sent.received(), &rules) {
            Ok(Freshened { headers, store, .. }) => {
                let store = store.map_err(|reason| Refused::by(reason, entry.status));
                (headers, self.personal(&sent.head.extensions).and(store))
            }
            // It is about another response. What is stored cannot be kept, but is what the client gets.
            Err(_) => (entry.headers.clone(), Err(Refused::once("mismatch"))),
        };
        let age_s = to_store.as_ref().map_or(0, |to_store| to_store.stored.age_seconds(sent.received_ms));
        let tags = self.tags(&sent.head.extensions, &sent.head.headers, &entry.tags);
        match (fill, to_store, tags) {
            (Some(fill), Ok(to_store), Some(tags)) => {
                let variant = self.cache.variant_word(&to_store.vary, self.request);
                let head = Head { status: entry.status, to_store, tags, variant };
                self.cache.freshened(fill, &found, head).await;
                status = status.stored();
            }
            (fill, Err(refused), _) => {
                if refused.reputation.is_some() {
                    self.cache.engine.forget(found.at.clone()).await;
                }
                give_up(fill, refused.reputation);
            }
            (fill, ..) => give_up(fill, None),
        }
        let (cache, request, head) = (self.cache, self.request, self.head);
        let answer = Answer { cache, request, head, found, headers: Some(headers), age_s };
        // If the store lost the body, the client's connection ends early, and the next request finds nothing.
        answer.plan(&status).into_response()
    }

    /// A stale response in place of an error, if that is allowed (RFC 5861 §4).
    async fn stale<T>(
        &self,
        found: Found,
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
        let age_s = found.entry.stored.age_seconds(now_ms);
        let (cache, request, head) = (self.cache, self.request, self.head);
        let answer = Answer { cache, request, head, found, headers: None, age_s };
        let mut planned = answer.plan(&cache_status.detail("stale-if-error"));
        planned.begin().await.then(|| planned.into_response())
    }

    /// The handler failed without a response. Whoever waits for it tries for themselves: all at once, not one after the other.
    pub(super) async fn error<T>(&self, mut to: ToHandler) -> Option<Response<CacheBody<T>>> {
        give_up(to.fill.take(), Some(Reputation::NeverWait));
        self.stale(to.found.take()?, to.why, None).await
    }

    fn status(&self, why: Forward) -> CacheStatus<'_> {
        crate::metric::count("tower_keep_cache_forwarded_total", why.as_str());
        CacheStatus::forward(&self.cache.engine.config.name, why)
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

    /// Whether a response is one visitor's own, whatever its fields say.
    fn personal(&self, response: &Extensions) -> Result<(), Refused> {
        if response.get::<NoStore>().is_some() {
            return Err(Refused::lasting("no-store-by-handler"));
        }
        if self.cache.policy.sessions == SessionRule::Private && self.sessions.is_touched() {
            return Err(Refused::lasting("session"));
        }
        Ok(())
    }

    /// What a response can be purged by, beside what it could be `before`. `None` when that is too much.
    fn tags(
        &self,
        extensions: &Extensions,
        headers: &HeaderMap,
        before: &[Arc<str>],
    ) -> Option<Vec<Arc<str>>> {
        let mut tags = self.cache.policy.tags_of(self.request);
        if let Some(CacheTags(more)) = extensions.get::<CacheTags>() {
            tags.extend(more.iter().cloned());
        }
        let mut tags: Vec<Arc<str>> = tags.iter().map(|tag| app_tag(tag).into()).collect();
        tags.extend(self.cache.groups(self.request, headers)?);
        tags.extend(before.iter().cloned());
        tags.sort_unstable();
        tags.dedup();
        (tags.len() <= MAX_TAGS && tags.iter().all(|tag| tag.len() <= MAX_TAG + 2)).then_some(tags)
    }
}

/// The response is not for others: whoever waits for it goes to the handler, too.
fn give_up(fill: Option<Box<Fill>>, reputation: Option<Reputation>) {
    if let Some(mut fill) = fill {
        fill.not_for_others(reputation);
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

fn is_event_stream(headers: &HeaderMap) -> bool {
    let essence = |value: &HeaderValue| {
        let essence = value.as_bytes().split(|b| *b == b';').next().unwrap_or_default();
        essence.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
    };
    headers.get(http::header::CONTENT_TYPE).is_some_and(essence)
}
