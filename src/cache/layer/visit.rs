//! What becomes of a request, as far as the store and other requests decide it.

use std::time::Duration;

use http::Response;
use http::header::RANGE;
use http::request::Parts;
use tokio::time::Instant;

use super::answer::{Answer, Planned, unavailable};
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
use crate::store::key::Key;

/// How long a request waits where waiting is seldom of use: for a response that is there already and being stored.
const BRIEFLY: Duration = Duration::from_millis(50);

/// A request that may be answered from the store.
pub(super) struct Visit {
    pub(super) cache: HttpCache,
    pub(super) request: Parts,
    pub(super) head: RequestHead,
    key: Key,
    collapsed: bool,
}

/// What becomes of a request.
pub(super) enum Step<T> {
    /// It is answered.
    Answer(Response<CacheBody<T>>),
    /// It is answered, and the handler makes it anew in the background.
    Refresh(Response<CacheBody<T>>, Box<ToHandler>),
    /// It goes to the handler.
    Handler(Box<ToHandler>),
    /// It goes to the handler, unless somebody else fills.
    Fill(Box<Wish>),
    /// It looks again.
    Again,
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

impl ToHandler {
    pub(super) const fn unstored(why: Forward, detail: Option<&'static str>) -> Self {
        Self { why, fill: None, found: None, detail }
    }
}

/// The wish to fill what a look did not find.
pub(super) struct Wish {
    why: Forward,
    place: Place,
    found: Option<Found>,
    seen: Seen,
}

impl Visit {
    pub(super) fn new(cache: HttpCache, request: Parts, head: RequestHead) -> Self {
        let key = cache.key_of(&request);
        Self { cache, request, head, key, collapsed: false }
    }

    /// Looks at what is stored.
    pub(super) async fn step<T>(&self) -> Step<T> {
        let seen = self.cache.engine.flights.seen();
        let Ok(looked) = self.cache.look_up(&self.request, &self.key, self.wants_body()).await else {
            return self.missed(Forward::Miss, |why| {
                Step::Handler(Box::new(ToHandler::unstored(why, Some("store-unavailable"))))
            });
        };
        let found = match looked {
            LookUp::Found(found) => found,
            LookUp::Missing(why, place) => {
                return self.missed(why, |why| self.wish(Wish { why, place, found: None, seen }));
            }
        };
        let (verdict, soft) = self.cache.verdict(&found, &self.head);
        match verdict.decision {
            Decision::Validate(why) => {
                self.wish(Wish { why, place: found.place.clone(), found: Some(found), seen })
            }
            Decision::Forward(why) => Step::Handler(Box::new(ToHandler::unstored(why, None))),
            Decision::Unavailable => Step::Answer(unavailable()),
            _ => {
                let hit = self.hit(found, verdict, soft, seen);
                if hit.planned.has_begun() { hit.answer() } else { Box::pin(hit.begin()).await }
            }
        }
    }

    fn missed<T>(&self, why: Forward, otherwise: impl FnOnce(Forward) -> Step<T>) -> Step<T> {
        match self.head.on_miss(why) {
            Miss::Forward(why) => otherwise(why),
            _ => Step::Answer(unavailable()),
        }
    }

    /// A wish that cannot be granted is none.
    fn wish<T>(&self, wish: Wish) -> Step<T> {
        if self.may_fill() {
            return Step::Fill(Box::new(wish));
        }
        let Wish { why, found, .. } = wish;
        Step::Handler(Box::new(ToHandler { why, fill: None, found, detail: None }))
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
    const fn wants_body(&self) -> WithBody {
        if self.head.is_for_whole() { WithBody::First } else { WithBody::No }
    }

    /// Answers from the store, and sees to it that what is stale, or soon will be, is made anew.
    fn hit(&self, found: Found, verdict: Verdict, soft: bool, seen: Seen) -> Hit<'_> {
        let stale = verdict.decision == Decision::Stale(StaleAllowed::WhileRevalidate);
        let early = verdict.decision == Decision::Fresh && self.cache.refreshes_early(&found, verdict.ttl_ms);
        let refresh = if stale || early { self.refresh(&found, seen) } else { None };
        let status = CacheStatus::hit(&self.cache.engine.config.name).ttl(verdict.ttl_ms.div_euclid(1000));
        let status = if self.collapsed { status.collapsed() } else { status };
        let (cache, request, head) = (&self.cache, &self.request, &self.head);
        let age_s = verdict.age_ms / 1000;
        let planned = Answer { cache, request, head, found, headers: None, age_s }.plan(&status);
        Hit { planned, refresh, kind: if stale || soft { "stale" } else { "fresh" } }
    }

    /// One refresh at a time, in this process and by the lease in all; and a pause after one that failed.
    fn refresh(&self, found: &Found, seen: Seen) -> Option<Box<ToHandler>> {
        let engine = &self.cache.engine;
        let fill = found.place.fill();
        if self.head.method() != MethodKind::Get || engine.reputation(&fill).is_some() {
            return None;
        }
        // Refreshes do not keep anybody waiting, so they are counted apart from fills.
        let key = fill.cached_fill(Some("refresh"));
        let Role::Leader(flight) = engine.flights.join(&key, engine.config.max_fills, seen) else {
            return None;
        };
        let fill = self.cache.refill(&self.request, found.place.clone(), flight)?;
        let again = Found { first: None, ..found.clone() };
        let why = Forward::Stale(StaleReason::Expired);
        Some(Box::new(ToHandler { why, fill: Some(fill), found: Some(again), detail: None }))
    }

    /// Becomes the one who fills, or waits for it, at most `until`.
    pub(super) async fn fill<T>(&mut self, wish: Wish, until: Instant) -> Step<T> {
        let Wish { why, place, found, seen } = wish;
        let engine = &self.cache.engine;
        let handler = |fill, found, detail| Step::Handler(Box::new(ToHandler { why, fill, found, detail }));
        let key = place.fill();
        // For another process, and for one of this: the response may be there already, and being stored.
        let (until, here) = match engine.reputation(&key) {
            Some(Reputation::NotForOthers) => return handler(None, found, Some("not-for-others-lately")),
            Some(Reputation::NeverWait) => (Instant::now(), until.min(Instant::now() + BRIEFLY)),
            None => (until, until),
        };
        match engine.flights.join(&key, engine.config.max_fills, seen) {
            Role::Leader(flight) => match self.cache.claim(&self.request, place, flight, until).await {
                Claim::Granted(fill) => return handler(Some(fill), found, None),
                Claim::LookAgain => {}
                Claim::Late => return handler(None, found, Some("fill-under-way")),
                Claim::Failed => return handler(None, found, Some("store-unavailable")),
            },
            Role::Follower(follower) => match follower.wait(here).await {
                Some(Landing::Stored) => {}
                Some(Landing::Lost | Landing::Flying) => return Step::Again,
                Some(Landing::NotForOthers) => return handler(None, found, Some("not-for-others-lately")),
                None => return handler(None, found, Some("fill-under-way")),
            },
            Role::Late => {}
            Role::Alone => return handler(None, found, Some("fill-under-way")),
        }
        self.collapsed = true;
        Step::Again
    }
}

/// An answer from the store.
struct Hit<'a> {
    planned: Planned<'a>,
    refresh: Option<Box<ToHandler>>,
    kind: &'static str,
}

impl Hit<'_> {
    async fn begin<T>(mut self) -> Step<T> {
        if self.planned.begin().await { self.answer() } else { Step::Again }
    }

    fn answer<T>(self) -> Step<T> {
        crate::metric::count("tower_keep_cache_hits_total", self.kind);
        match self.refresh {
            Some(to) => Step::Refresh(self.planned.into_response(), to),
            None => Step::Answer(self.planned.into_response()),
        }
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
