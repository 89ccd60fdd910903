//! A request's way: to the store, and from there or from the handler back.

use http::request::Parts;
use http::{Request, Response};
use tower_service::Service;

use super::answer::{Answer, unavailable};
use super::body::CacheBody;
use super::handler::Handler;
use crate::cache::engine::HttpCache;
use crate::cache::fill::{Claim, Fill};
use crate::cache::flight::{Landing, Role};
use crate::cache::lookup::{Found, LookUp, Place, WithBody};
use crate::cache::rules::{
    CacheStatus, Decision, Forward, MethodKind, Miss, RequestFlag, RequestHead, StaleAllowed, Stored,
    Verdict, decide,
};
use crate::cache::url::UrlKey;
use crate::store::StoreError;
use crate::store::key::Key;

/// How often a request looks again after somebody else filled, before it goes to the handler.
const LOOKS: usize = 4;

/// A request that may be answered from the store.
pub(super) struct Visit {
    pub(super) cache: HttpCache,
    pub(super) request: Parts,
    pub(super) head: RequestHead,
    url: UrlKey,
    pub(super) collapsed: bool,
}

/// A request, and the service that answers it if the store does not.
pub(super) struct Call<S, B> {
    pub(super) visit: Visit,
    pub(super) inner: S,
    pub(super) body: B,
}

/// What becomes of a request.
pub(super) enum Step<T> {
    /// It is answered.
    Answer(Response<CacheBody<T>>),
    /// It is answered, and the handler makes it anew in the background.
    Refresh(Response<CacheBody<T>>, Box<ToHandler>),
    /// It goes to the handler.
    Handler(Box<ToHandler>),
    /// It goes to the handler, unless somebody else fills already.
    Fill(Box<(Forward, Place, Option<Found>)>),
}

/// Why a request goes to the handler, and what is done with the response.
pub(super) struct ToHandler {
    pub(super) why: Forward,
    /// The right to store the response.
    pub(super) fill: Option<Box<Fill>>,
    /// What is stored and must be validated.
    pub(super) found: Option<Found>,
    /// More about why it is not stored, if that is known.
    pub(super) detail: Option<&'static str>,
}

fn unstored<T>(why: Forward, detail: Option<&'static str>) -> Step<T> {
    Step::Handler(Box::new(ToHandler { why, fill: None, found: None, detail }))
}

impl<S, B, T> Call<S, B>
where
    S: Service<Request<B>, Response = Response<T>> + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Send + 'static,
    T: http_body::Body<Data = bytes::Bytes> + Send + 'static,
{
    /// Answers the request.
    pub(super) async fn run(self: Box<Self>) -> Result<Response<CacheBody<T>>, S::Error> {
        match self.visit.step(self.visit.look().await) {
            Step::Answer(response) => Ok(response),
            // Seldom, so that the future of a hit is small.
            step => Box::pin(self.go_on(step)).await,
        }
    }

    /// Answers it from a first step on.
    pub(super) async fn go_on(
        mut self: Box<Self>,
        mut step: Step<T>,
    ) -> Result<Response<CacheBody<T>>, S::Error> {
        for _ in 0..LOOKS {
            step = match step {
                Step::Answer(response) => return Ok(response),
                Step::Handler(to) => return Handler::new(*self).run(*to).await,
                Step::Refresh(response, to) => {
                    self.refresh(to);
                    return Ok(response);
                }
                Step::Fill(wish) => match self.visit.fill(*wish).await {
                    Some(step) => step,
                    None => self.visit.step(self.visit.look().await),
                },
            };
        }
        let to =
            ToHandler { why: Forward::Miss, fill: None, found: None, detail: Some("collapsed-too-often") };
        Handler::new(*self).run(to).await
    }

    fn refresh(self: Box<Self>, to: Box<ToHandler>) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                // The body passes by and is dropped when it is stored.
                if let Ok(response) = Handler::new(*self).run(*to).await {
                    drain(response.into_body()).await;
                }
            });
        }
    }
}

impl Visit {
    pub(super) fn new(cache: HttpCache, request: Parts, head: RequestHead) -> Self {
        let url = UrlKey::of(&request, &cache.policy.key, None);
        Self { cache, request, head, url, collapsed: false }
    }

    pub(super) async fn look(&self) -> Result<LookUp, StoreError> {
        self.cache.look_up(&self.request, &self.url, self.wants_body()).await
    }

    /// What is to be done after a look.
    pub(super) fn step<T>(&self, looked: Result<LookUp, StoreError>) -> Step<T> {
        let Ok(looked) = looked else { return self.missed(Forward::Miss) };
        let (why, place, found) = match looked {
            LookUp::Missing(why, place) => match self.head.on_miss(why) {
                Miss::Forward(why) => (why, place, None),
                _ => return Step::Answer(unavailable(&self.status(None))),
            },
            LookUp::Found(found) => {
                let (verdict, soft) = self.cache.verdict(&found, &self.head);
                match verdict.decision {
                    Decision::Validate(why) => (why, found.place.clone(), Some(found)),
                    Decision::Forward(why) => return unstored(why, None),
                    Decision::Unavailable => return Step::Answer(unavailable(&self.status(None))),
                    _ => return self.hit(found, verdict, soft),
                }
            }
        };
        if !self.may_fill() || self.cache.engine.is_uncacheable(&place.fill()) {
            return Step::Handler(Box::new(ToHandler { why, fill: None, found, detail: None }));
        }
        Step::Fill(Box::new((why, place, found)))
    }

    /// Becomes the one who fills, or waits for it. `None`: it is worth another look.
    async fn fill<T>(&mut self, (why, place, found): (Forward, Place, Option<Found>)) -> Option<Step<T>> {
        let engine = &self.cache.engine;
        let handler =
            |fill, found| Some(Step::Handler(Box::new(ToHandler { why, fill, found, detail: None })));
        match engine.flights.join(&place.fill(), engine.config.max_fills) {
            Role::Leader(flight) => match self.cache.claim(&self.request, place, flight).await {
                Claim::Granted(fill) => handler(Some(fill), found),
                Claim::LookAgain => {
                    self.collapsed = true;
                    None
                }
                Claim::Alone => handler(None, found),
            },
            Role::Follower(follower) => match follower.wait(engine.config.wait).await {
                Some(Landing::Stored) => {
                    self.collapsed = true;
                    None
                }
                Some(Landing::Lost | Landing::Flying) => None,
                Some(Landing::NotForOthers) | None => handler(None, found),
            },
            Role::Alone => handler(None, found),
        }
    }

    /// Answers from the store, and sees to it that what is stale, or soon will be, is made anew.
    fn hit<T>(&self, found: Found, verdict: Verdict, soft: bool) -> Step<T> {
        let ttl_s = verdict.ttl_ms.div_euclid(1000);
        let stale = verdict.decision == Decision::Stale(StaleAllowed::WhileRevalidate);
        let early = verdict.decision == Decision::Fresh && self.cache.refreshes_early(&found, verdict.ttl_ms);
        let status = self.status(None).ttl(ttl_s);
        crate::metric::count("tower_keep_cache_hits_total", if stale || soft { "stale" } else { "fresh" });
        let refresh = (stale || early).then(|| self.refresh(&found)).flatten();
        let response = self.answer(found, verdict.age_ms / 1000, &status);
        match refresh {
            Some(to) => Step::Refresh(response, Box::new(to)),
            None => Step::Answer(response),
        }
    }

    /// One refresh at a time, in this process and by the lease in all.
    fn refresh(&self, found: &Found) -> Option<ToHandler> {
        if self.head.method() != MethodKind::Get {
            return None;
        }
        let engine = &self.cache.engine;
        let Role::Leader(flight) =
            engine.flights.join(&refresh_key(&found.place.fill()), engine.config.max_fills)
        else {
            return None;
        };
        let fill = self.cache.refill(found.place.clone(), flight)?;
        let again = Found { first: None, ..found.clone() };
        Some(ToHandler { why: Forward::Miss, fill: Some(fill), found: Some(again), detail: None })
    }

    /// The store failed.
    fn missed<T>(&self, why: Forward) -> Step<T> {
        match self.head.on_miss(why) {
            Miss::Forward(why) => unstored(why, Some("store-unavailable")),
            _ => Step::Answer(unavailable(&self.status(None))),
        }
    }

    /// Whether the handler's response could be stored at all.
    fn may_fill(&self) -> bool {
        let partial = self.request.headers.contains_key(http::header::RANGE);
        self.head.method() == MethodKind::Get && !partial && !self.head.directives().has(RequestFlag::NoStore)
    }

    /// A request that is answered by a 304, a part or no body at all should not move the whole one.
    fn wants_body(&self) -> WithBody {
        use http::header::{IF_MODIFIED_SINCE, IF_NONE_MATCH, RANGE};
        let headers = &self.request.headers;
        let partly = [IF_NONE_MATCH, IF_MODIFIED_SINCE, RANGE].iter().any(|name| headers.contains_key(name));
        if partly || self.head.method() != MethodKind::Get { WithBody::No } else { WithBody::First }
    }

    fn answer<T>(&self, found: Found, age_s: u64, status: &CacheStatus<'_>) -> Response<CacheBody<T>> {
        let (cache, request, head) = (&self.cache, &self.request, &self.head);
        Answer { cache, request, head, found, headers: None, age_s }.into_response(status)
    }

    /// What `Cache-Status` says, for a hit or for a request that went to the handler.
    pub(super) fn status(&self, forward: Option<Forward>) -> CacheStatus<'_> {
        let name = &self.cache.engine.config.name;
        let status = forward.map_or(CacheStatus::hit(name), |why| CacheStatus::forward(name, why));
        if self.collapsed { status.collapsed() } else { status }
    }
}

impl HttpCache {
    /// What the rules say about a stored response, and whether it was purged softly.
    pub(in crate::cache) fn verdict(&self, found: &Found, head: &RequestHead) -> (Verdict, bool) {
        let now_ms = self.now_ms();
        let mut stored: Stored = found.entry.stored;
        if found.softly {
            stored.expire(now_ms);
        }
        (decide(&stored, head, &self.policy.rules, now_ms), found.softly)
    }
}

/// Refreshes do not keep anybody waiting, so they are counted apart from fills.
fn refresh_key(fill: &Key) -> Key {
    fill.cached_fill(Some("refresh"))
}

async fn drain<T: http_body::Body>(body: T) {
    let mut body = std::pin::pin!(body);
    while let Some(Ok(_)) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {}
}
