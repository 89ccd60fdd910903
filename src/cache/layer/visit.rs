//! What becomes of a request, as far as the store and other requests decide it.

use std::fmt;
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

/// How often a request looks again after somebody else filled, before it goes to the handler.
const LOOKS: usize = 4;

/// A request that may be answered from the store. Knows neither services nor their runtimes, so that adapters of frameworks whose
/// services are not Tower's go through it, too.
pub struct Visit {
    pub(super) cache: HttpCache,
    pub(super) request: Parts,
    pub(super) head: RequestHead,
    key: Key,
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

/// A step towards that.
#[expect(clippy::large_enum_variant, reason = "the usual one is large, and takes no allocation")]
pub(super) enum Step<T> {
    Done(Next<T>),
    /// It goes to the handler, unless somebody else fills.
    Fill(Box<Wish>),
    /// It looks again.
    Again,
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
    fn next<T>(self) -> Next<T> {
        Next::Handler(Box::new(self))
    }
}

fn unstored<T>(why: Forward, detail: Option<&'static str>) -> Next<T> {
    ToHandler { why, fill: None, found: None, detail }.next()
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

    /// Looks the request up, and waits for who fills it.
    pub async fn next<T>(&mut self) -> Next<T> {
        match self.step().await {
            Step::Done(next) => next,
            // Seldom, so that the future of a hit is small.
            step => Box::pin(self.follow(step)).await,
        }
    }

    /// The same from its first step on.
    pub(super) async fn follow<T>(&mut self, mut step: Step<T>) -> Next<T> {
        let until = Instant::now() + self.cache.engine.config.wait;
        let mut looks = 1;
        loop {
            step = match step {
                Step::Done(next) => return next,
                Step::Fill(wish) => self.fill(*wish, until).await,
                Step::Again if looks < LOOKS => {
                    looks += 1;
                    self.step().await
                }
                Step::Again => return unstored(Forward::Miss, Some("collapsed-too-often")),
            };
        }
    }

    /// Looks at what is stored.
    pub(super) async fn step<T>(&self) -> Step<T> {
        let seen = self.cache.engine.flights.seen();
        let Ok(looked) = self.cache.look_up(&self.request, &self.key, self.wants_body()).await else {
            return self.missed(Forward::Miss, |why| Step::Done(unstored(why, Some("store-unavailable"))));
        };
        let found = match looked {
            LookUp::Found(found) => found,
            LookUp::Missing(why, place) => {
                return self.missed(why, |why| self.wish(Wish { why, place, found: None, seen }));
            }
        };
        let verdict = self.cache.verdict(&found, &self.head);
        match verdict.decision {
            Decision::Validate(why) => {
                self.wish(Wish { why, place: found.place.clone(), found: Some(found), seen })
            }
            Decision::Forward(why) => Step::Done(unstored(why, None)),
            Decision::Unavailable => Step::Done(Next::Answer(unavailable())),
            _ => {
                let hit = self.hit(found, verdict, seen);
                if hit.planned.has_begun() { hit.answer() } else { Box::pin(hit.begin()).await }
            }
        }
    }

    fn missed<T>(&self, why: Forward, otherwise: impl FnOnce(Forward) -> Step<T>) -> Step<T> {
        match self.head.on_miss(why) {
            Miss::Forward(why) => otherwise(why),
            _ => Step::Done(Next::Answer(unavailable())),
        }
    }

    /// A wish that cannot be granted is none.
    fn wish<T>(&self, wish: Wish) -> Step<T> {
        if self.may_fill() {
            return Step::Fill(Box::new(wish));
        }
        let Wish { why, found, .. } = wish;
        Step::Done(ToHandler { why, fill: None, found, detail: None }.next())
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
    fn hit(&self, found: Found, verdict: Verdict, seen: Seen) -> Hit<'_> {
        let stale = verdict.decision == Decision::Stale(StaleAllowed::WhileRevalidate);
        let early = verdict.decision == Decision::Fresh && self.cache.refreshes_early(&found, verdict.ttl_ms);
        let kind = if stale || found.softly { "stale" } else { "fresh" };
        let refresh = if stale || early { self.to_refresh(&found, seen) } else { None };
        let status = CacheStatus::hit(&self.cache.engine.config.name).ttl(verdict.ttl_ms.div_euclid(1000));
        let status = if self.collapsed { status.collapsed() } else { status };
        let (cache, request, head) = (&self.cache, &self.request, &self.head);
        let age_s = verdict.age_ms / 1000;
        let planned = Answer { cache, request, head, found, headers: None, age_s }.plan(&status);
        Hit { planned, refresh, kind }
    }

    /// One refresh at a time, in this process and by the lease in all; and a pause after one that failed.
    fn to_refresh(&self, found: &Found, seen: Seen) -> Option<Box<ToHandler>> {
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
    async fn fill<T>(&mut self, wish: Wish, until: Instant) -> Step<T> {
        let Wish { why, place, found, seen } = wish;
        let engine = &self.cache.engine;
        let handler = |fill, found, detail| Step::Done(ToHandler { why, fill, found, detail }.next());
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
        let response = self.planned.into_response();
        Step::Done(match self.refresh {
            Some(to) => Next::Refresh(response, to),
            None => Next::Answer(response),
        })
    }
}

impl HttpCache {
    /// What the rules say about a stored response.
    fn verdict(&self, found: &Found, head: &RequestHead) -> Verdict {
        let now_ms = self.now_ms();
        let mut stored: Stored = found.entry.stored;
        if found.softly {
            stored.expire(now_ms);
        }
        decide(&stored, head, &self.policy.rules, now_ms)
    }
}

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit").field("cache", &self.cache).finish_non_exhaustive()
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
