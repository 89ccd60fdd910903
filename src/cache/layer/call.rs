//! A request's way: to the store, and from there or from the handler back.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use http::Response;
use http::header::{CACHE_CONTROL, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, PRAGMA, RANGE};
use http::request::Parts;
use tokio::time::Instant;

use super::answer::{Answer, unavailable};
use super::body::CacheBody;
use crate::cache::engine::HttpCache;
use crate::cache::fill::{Claim, Fill};
use crate::cache::flight::{Landing, Role, Seen};
use crate::cache::lookup::{Found, LookUp, Place, WithBody};
use crate::cache::reputation::Reputation;
use crate::cache::rules::{
    CacheStatus, Decision, Forward, MethodKind, Miss, RequestFlag, RequestHead, StaleAllowed, StaleReason,
    Stored, Verdict, decide,
};
use crate::cache::url::UrlKey;
use crate::store::key::Key;

/// How often a request looks again after somebody else filled, before it goes to the handler.
const LOOKS: usize = 4;
/// How long a request waits where waiting is seldom of use: for a response that is there already and being stored.
const BRIEFLY: Duration = Duration::from_millis(50);

/// A request that may be answered from the store. Knows neither services nor their runtimes, so that adapters of frameworks whose
/// services are not Tower's go through it, too.
pub struct Call {
    pub(super) cache: HttpCache,
    pub(super) request: Parts,
    pub(super) head: RequestHead,
    collapsed: bool,
}

/// What becomes of a request.
pub enum Next<T> {
    /// It is answered.
    Answer(Response<CacheBody<T>>),
    /// It is answered, and the handler makes it anew in the background.
    Refresh(Response<CacheBody<T>>, Box<ToHandler>),
    /// It goes to the handler.
    Handler(Box<ToHandler>),
}

/// Why a request goes to the handler, and what is done with the response.
pub struct ToHandler {
    pub(super) why: Forward,
    /// The right to store the response.
    pub(super) fill: Option<Box<Fill>>,
    /// What is stored and must be validated.
    pub(super) found: Option<Found>,
    /// More about why it is not stored, if that is known.
    pub(super) detail: Option<&'static str>,
}

impl ToHandler {
    pub(super) const fn unstored(why: Forward, detail: Option<&'static str>) -> Self {
        Self { why, fill: None, found: None, detail }
    }
}

impl Call {
    pub(super) const fn new(cache: HttpCache, request: Parts, head: RequestHead) -> Self {
        Self { cache, request, head, collapsed: false }
    }

    /// Asks the handler for everybody: without the conditions and directives of the client that happened to come, and unless another process
    /// does.
    pub async fn refresh<T, E, F>(mut self, mut to: Box<ToHandler>, handler: impl FnOnce(Parts) -> F)
    where
        T: http_body::Body<Data = bytes::Bytes>,
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

    /// Looks the request up, and waits for who fills it.
    pub async fn next<T>(&mut self) -> Next<T> {
        let url = UrlKey::of(&self.request, &self.cache.policy.key, None);
        let until = Instant::now() + self.cache.engine.config.wait;
        for _ in 0..LOOKS {
            let seen = self.cache.engine.flights.seen();
            let looked = self.cache.look_up(&self.request, &url, self.wants_body()).await;
            let Ok(looked) = looked else {
                return self.missed(Forward::Miss, |why| ToHandler::unstored(why, Some("store-unavailable")));
            };
            let (why, place, found) = match looked {
                LookUp::Missing(why, place) => match self.head.on_miss(why) {
                    Miss::Forward(why) => (why, place, None),
                    _ => return Next::Answer(unavailable()),
                },
                LookUp::Found(found) => {
                    let (verdict, soft) = self.cache.verdict(&found, &self.head);
                    match verdict.decision {
                        Decision::Validate(why) => (why, found.place.clone(), Some(found)),
                        Decision::Forward(why) => {
                            return Next::Handler(Box::new(ToHandler::unstored(why, None)));
                        }
                        Decision::Unavailable => return Next::Answer(unavailable()),
                        _ => match self.hit(found, verdict, soft, seen).await {
                            Some(next) => return next,
                            None => continue,
                        },
                    }
                }
            };
            if !self.may_fill() {
                return Next::Handler(Box::new(ToHandler { why, fill: None, found, detail: None }));
            }
            if let Some(next) = self.fill(why, place, found, (seen, until)).await {
                return next;
            }
        }
        Next::Handler(Box::new(ToHandler::unstored(Forward::Miss, Some("collapsed-too-often"))))
    }

    /// Becomes the one who fills, or waits for it. `None`: it is worth another look.
    async fn fill<T>(
        &mut self,
        why: Forward,
        place: Place,
        found: Option<Found>,
        (seen, until): (Seen, Instant),
    ) -> Option<Next<T>> {
        let engine = &self.cache.engine;
        let handler =
            |fill, found, detail| Some(Next::Handler(Box::new(ToHandler { why, fill, found, detail })));
        // For another process, and for one of this: the response may be there already, and being stored.
        let (until, here) = match engine.reputation(&place.fill) {
            Some(Reputation::NotForOthers) => return handler(None, found, Some("not-for-others-lately")),
            Some(Reputation::NeverWait) => (Instant::now(), until.min(Instant::now() + BRIEFLY)),
            None => (until, until),
        };
        match engine.flights.join(&place.fill, engine.config.max_fills, seen) {
            Role::Leader(flight) => match self.cache.claim(&self.request, place, flight, until).await {
                Claim::Granted(fill) => return handler(Some(fill), found, None),
                Claim::LookAgain => {}
                Claim::Late => return handler(None, found, Some("fill-under-way")),
                Claim::Failed => return handler(None, found, Some("store-unavailable")),
            },
            Role::Follower(follower) => match follower.wait(here).await {
                Some(Landing::Stored) => {}
                Some(Landing::Lost | Landing::Flying) => return None,
                Some(Landing::NotForOthers) => return handler(None, found, Some("not-for-others-lately")),
                None => return handler(None, found, Some("fill-under-way")),
            },
            Role::Late => {}
            Role::Alone => return handler(None, found, Some("fill-under-way")),
        }
        self.collapsed = true;
        None
    }

    /// Answers from the store, and sees to it that what is stale, or soon will be, is made anew. `None`: the store lost the body.
    async fn hit<T>(&mut self, found: Found, verdict: Verdict, soft: bool, seen: Seen) -> Option<Next<T>> {
        let stale = verdict.decision == Decision::Stale(StaleAllowed::WhileRevalidate);
        let early = verdict.decision == Decision::Fresh && self.cache.refreshes_early(&found, verdict.ttl_ms);
        let refresh = if stale || early { self.to_refresh(&found, seen) } else { None };
        let mut planned = {
            let (cache, request, head) = (&self.cache, &self.request, &self.head);
            let age_s = verdict.age_ms / 1000;
            let status = self.status().ttl(verdict.ttl_ms.div_euclid(1000));
            Answer { cache, request, head, found, headers: None, age_s }.plan(&status)
        };
        if !planned.begin().await {
            return None;
        }
        crate::metric::count("tower_keep_cache_hits_total", if stale || soft { "stale" } else { "fresh" });
        let response = planned.into_response();
        Some(match refresh {
            Some(to) => Next::Refresh(response, Box::new(to)),
            None => Next::Answer(response),
        })
    }

    /// One refresh at a time, in this process and by the lease in all; and a pause after one that failed.
    fn to_refresh(&self, found: &Found, seen: Seen) -> Option<ToHandler> {
        let engine = &self.cache.engine;
        if self.head.method() != MethodKind::Get || engine.reputation(&found.place.fill).is_some() {
            return None;
        }
        let key = refresh_key(&found.place.fill);
        let Role::Leader(flight) = engine.flights.join(&key, engine.config.max_fills, seen) else {
            return None;
        };
        let fill = self.cache.refill(found.place.clone(), flight)?;
        let again = Found { first: None, ..found.clone() };
        let why = Forward::Stale(StaleReason::Expired);
        Some(ToHandler { why, fill: Some(fill), found: Some(again), detail: None })
    }

    fn missed<T>(&self, why: Forward, to: impl FnOnce(Forward) -> ToHandler) -> Next<T> {
        match self.head.on_miss(why) {
            Miss::Forward(why) => Next::Handler(Box::new(to(why))),
            _ => Next::Answer(unavailable()),
        }
    }

    /// Whether the handler's response could be stored at all.
    fn may_fill(&self) -> bool {
        let partial = self.request.headers.contains_key(RANGE);
        let wanted = self.head.method() == MethodKind::Get && !partial;
        // Bodies are written beside the response, which takes a runtime.
        let runs = tokio::runtime::Handle::try_current().is_ok();
        wanted && runs && !self.head.directives().has(RequestFlag::NoStore)
    }

    /// A request that is answered by a 304, a part or no body at all should not move the whole one.
    fn wants_body(&self) -> WithBody {
        let headers = &self.request.headers;
        let partly = [IF_NONE_MATCH, IF_MODIFIED_SINCE, RANGE].iter().any(|name| headers.contains_key(name));
        if partly || self.head.method() != MethodKind::Get { WithBody::No } else { WithBody::First }
    }

    /// What `Cache-Status` says of an answer from the store.
    fn status(&self) -> CacheStatus<'_> {
        let status = CacheStatus::hit(&self.cache.engine.config.name);
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

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("cache", &self.cache).finish_non_exhaustive()
    }
}

impl fmt::Debug for ToHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToHandler").field("why", &self.why).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Next<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answer(_) => "Answer",
            Self::Refresh(..) => "Refresh",
            Self::Handler(_) => "Handler",
        })
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
