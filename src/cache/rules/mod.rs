//! The rules of HTTP caching (RFC 9111) as pure functions: no I/O, no clock, no store.
//!
//! Times are milliseconds since the Unix epoch. Requests come as a [`RequestView`](crate::view::RequestView), responses as a status and
//! an [`http::HeaderMap`]. What is stored for a response is [`Stored`]: a few numbers, so that a hit is decided by arithmetic.
//!
//! | question | answer | source |
//! |---|---|---|
//! | may the store answer this request at all? | [`RequestHead::admit`] | RFC 9111 §2, §4 |
//! | may this response be stored, and as what? | [`store`] | RFC 9111 §3, RFC 9213 |
//! | which variant of a URL is it? | [`VaryNames::key`] | RFC 9111 §4.1 |
//! | may this entry answer this request? | [`decide`] | RFC 9111 §4.2, §5.2.1, RFC 5861 |
//! | with which validators is the handler asked? | [`Validators`] | RFC 9111 §4.3.1 |
//! | what does its 304 change? | [`freshen`], [`freshen_by_head`] | RFC 9111 §3.2, §4.3.4, §4.3.5 |
//! | is the client's copy still good? | [`evaluate`] | RFC 9111 §4.3.2, RFC 9110 §13 |
//! | which bytes does it want? | [`plan_range`] | RFC 9110 §14 |
//! | what does a write make invalid? | [`invalidated`], [`invalidated_groups`] | RFC 9111 §4.4, RFC 9875 |
//! | which queries are the same? | [`QueryKey`], [`NoVarySearch`] | draft-ietf-httpbis-no-vary-search |
//! | how is it told? | [`CacheStatus`] | RFC 9211 |
//!
//! ```
//! use http::{Request, Response, StatusCode};
//! use tower_keep::cache::rules::{Decision, Received, RequestHead, Rules, decide, store};
//!
//! let rules = Rules::safe();
//! let request = RequestHead::read(&Request::get("/").body(())?);
//! let response = Response::builder().header("cache-control", "max-age=60").body(())?;
//! let received = Received::new(StatusCode::OK, response.headers(), 1_000, 1_200);
//!
//! let entry = store(&request, &received, &rules)?;
//! assert_eq!(decide(&entry.stored, &request, &rules, 31_000).decision, Decision::Fresh);
//! assert_eq!(entry.stored.age_seconds(31_000), 30);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cache_status;
mod control;
mod date;
mod decide;
mod forward;
mod freshness;
mod invalidation;
mod query;
mod range;
mod request;
mod settings;
mod status;
mod storing;
mod structured;
mod targeted;
mod validation;
mod vary;

pub use cache_status::CacheStatus;
pub use control::{RequestDirectives, RequestFlag, ResponseDirectives, ResponseFlag};
pub use date::{http_date, parse_http_date};
pub use decide::{Decision, StaleAllowed, Verdict, decide, may_answer_error};
pub use forward::{Bypass, Forward, Miss, RequestReason, StaleReason};
pub use freshness::{Stored, StoredFlag, StoredFlags};
pub use invalidation::{
    EffectiveUri, GroupsError, MAX_GROUP_BYTES, MAX_GROUPS, cache_groups, invalidated, invalidated_groups,
    invalidates,
};
pub use query::{NoVarySearch, QueryKey, QueryOrder, QueryParams};
pub use range::{Multipart, RangePlan, Span, one_part, plan_range, unsatisfiable};
pub use request::{MethodKind, RequestHead};
pub use settings::{Heuristic, Profile, QueryMethod, RequestControl, Rules, SMaxage, Ttl};
pub use status::{StatusSet, is_heuristically_cacheable, is_server_error, is_understood};
pub use storing::{NotStored, Received, ToStore, store};
pub use targeted::CDN_CACHE_CONTROL;
pub use validation::{
    Freshened, HeadEffect, Mismatch, Precondition, StoredHead, Validators, evaluate, freshen,
    freshen_by_head, not_modified_fields,
};
pub use vary::{
    ContentLanguage, MAX_VARY_NAMES, Normalise, Preferences, UnknownFields, VariantKey, VariantKeys,
    VaryNames,
};
