//! What is measured, and against what.

use crate::servers::Kind;

/// What a case is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    Sessions,
    Limits,
    Cache,
    Actix,
}

impl Suite {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "sessions" => Some(Self::Sessions),
            "limits" => Some(Self::Limits),
            "cache" => Some(Self::Cache),
            "actix" => Some(Self::Actix),
            _ => None,
        }
    }
}

/// One route of one server.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub suite: Suite,
    pub name: &'static str,
    /// The name of the case that this one cannot beat.
    pub limit: &'static str,
    pub server: Kind,
    pub method: &'static str,
    pub path: &'static str,
    /// How the status of each answer begins.
    pub status: &'static str,
}

const fn get(name: &'static str, limit: &'static str, server: Kind, path: &'static str) -> Case {
    Case { suite: Suite::Sessions, name, limit, server, method: "GET", path, status: "2" }
}

const fn post(name: &'static str, limit: &'static str, server: Kind, path: &'static str) -> Case {
    Case { method: "POST", ..get(name, limit, server, path) }
}

const fn admitted(name: &'static str, limit: &'static str, server: Kind, path: &'static str) -> Case {
    Case { suite: Suite::Limits, ..get(name, limit, server, path) }
}

const fn refused(name: &'static str, server: Kind) -> Case {
    Case { status: "429", ..admitted(name, BARE_LIMITS, server, "/refused") }
}

const fn cached(name: &'static str, limit: &'static str, server: Kind, path: &'static str) -> Case {
    Case { suite: Suite::Cache, ..get(name, limit, server, path) }
}

const fn actix(name: &'static str, limit: &'static str, server: Kind, path: &'static str) -> Case {
    Case { suite: Suite::Actix, ..get(name, limit, server, path) }
}

const fn actix_post(name: &'static str, limit: &'static str, server: Kind, path: &'static str) -> Case {
    Case { method: "POST", ..actix(name, limit, server, path) }
}

const BARE: &str = "bare handler";
const GET: &str = "limit: GET";
const GET_JSON: &str = "limit: GET, the demo's answer";
const GET_SET: &str = "limit: GET, then SET";
const BARE_LIMITS: &str = "bare handler, no cookie";
const PAGE_1K: &str = "limit: GET 1 KiB";
const PAGE_64K: &str = "limit: GET 64 KiB";
const SCRIPT: &str = "limit: the same script";
const ACTIX_READ: &str = "actix limit: HGETALL";
const ACTIX_WRITE: &str = "actix limit: HGETALL, script";
const ACTIX_SCRIPT: &str = "actix limit: the same script";
const ACTIX_PAGE: &str = "actix limit: GET 1 KiB";

pub const CASES: &[Case] = &[
    get(BARE, BARE, Kind::Limit, "/untouched"),
    get("tower-keep untouched", BARE, Kind::Ours, "/untouched"),
    get("tower-sessions untouched", BARE, Kind::TowerSessions, "/untouched"),
    get(GET, GET, Kind::Limit, "/get"),
    get("limit: HGETALL", GET, Kind::Limit, "/hgetall"),
    get("tower-keep read", GET, Kind::Ours, "/read"),
    get("tower-sessions read", GET, Kind::TowerSessions, "/read"),
    get(GET_JSON, GET_JSON, Kind::Limit, "/get-json"),
    get("demo GET /api/me", GET_JSON, Kind::Demo, "/api/me"),
    post(GET_SET, GET_SET, Kind::Limit, "/get-set"),
    post("tower-keep write", GET_SET, Kind::Ours, "/write"),
    post("tower-keep increment", GET_SET, Kind::Ours, "/increment"),
    post("demo POST /api/visits", GET_SET, Kind::Demo, "/api/visits"),
    post("tower-sessions write", GET_SET, Kind::TowerSessions, "/write"),
    admitted(BARE_LIMITS, BARE_LIMITS, Kind::Limit, "/untouched"),
    refused("tower-keep layer refuses", Kind::Limiter),
    refused("tower-rate-limit-redis refuses", Kind::TowerRateLimitRedis),
    refused("tower_governor refuses", Kind::TowerGovernor),
    admitted("tower-keep layer, embedded", BARE_LIMITS, Kind::Limiter, "/embedded"),
    admitted("tower_governor (in memory)", BARE_LIMITS, Kind::TowerGovernor, "/admitted"),
    admitted(SCRIPT, SCRIPT, Kind::Limit, "/script"),
    admitted("tower-keep layer", SCRIPT, Kind::Limiter, "/admitted"),
    admitted("tower-keep engine by hand", SCRIPT, Kind::Limiter, "/by-hand"),
    admitted("tower-keep layer, two limits", SCRIPT, Kind::Limiter, "/two"),
    admitted("tower-rate-limit-redis", SCRIPT, Kind::TowerRateLimitRedis, "/admitted"),
    cached(PAGE_1K, PAGE_1K, Kind::Limit, "/page-1k"),
    cached("tower-keep hit, 1 KiB", PAGE_1K, Kind::Cache, "/redis-1k"),
    cached("tower-http-cache hit, 1 KiB", PAGE_1K, Kind::TowerHttpCache, "/redis-1k"),
    cached("tower-keep embedded, 1 KiB", PAGE_1K, Kind::Cache, "/memory-1k"),
    cached("tower-http-cache in memory, 1 KiB", PAGE_1K, Kind::TowerHttpCache, "/memory-1k"),
    cached("axum-response-cache, 1 KiB", PAGE_1K, Kind::AxumResponseCache, "/memory-1k"),
    cached(PAGE_64K, PAGE_64K, Kind::Limit, "/page-64k"),
    cached("tower-keep hit, 64 KiB", PAGE_64K, Kind::Cache, "/redis-64k"),
    cached("tower-http-cache hit, 64 KiB", PAGE_64K, Kind::TowerHttpCache, "/redis-64k"),
    cached("tower-keep embedded, 64 KiB", PAGE_64K, Kind::Cache, "/memory-64k"),
    cached("tower-http-cache in memory, 64 KiB", PAGE_64K, Kind::TowerHttpCache, "/memory-64k"),
    cached("axum-response-cache, 64 KiB", PAGE_64K, Kind::AxumResponseCache, "/memory-64k"),
    actix(ACTIX_READ, ACTIX_READ, Kind::ActixLimit, "/hgetall"),
    actix("tower-keep-actix read", ACTIX_READ, Kind::ActixOurs, "/read"),
    actix("actix-session read", ACTIX_READ, Kind::ActixSession, "/read"),
    actix_post(ACTIX_WRITE, ACTIX_WRITE, Kind::ActixLimit, "/write"),
    actix_post("tower-keep-actix write", ACTIX_WRITE, Kind::ActixOurs, "/write"),
    actix_post("actix-session write", ACTIX_WRITE, Kind::ActixSession, "/write"),
    actix(ACTIX_SCRIPT, ACTIX_SCRIPT, Kind::ActixLimit, "/script"),
    actix("tower-keep-actix limit", ACTIX_SCRIPT, Kind::ActixOurs, "/admitted"),
    actix("actix-limitation", ACTIX_SCRIPT, Kind::ActixLimitation, "/admitted"),
    actix(ACTIX_PAGE, ACTIX_PAGE, Kind::ActixLimit, "/page"),
    actix("tower-keep-actix hit, 1 KiB", ACTIX_PAGE, Kind::ActixOurs, "/page"),
];

/// Further ratios, of the first to the second.
pub const PAIRS: &[(&str, &str)] = &[
    ("demo GET /api/me", GET),
    ("tower-keep read", "limit: HGETALL"),
    ("tower-keep untouched", "tower-sessions untouched"),
    ("tower-keep read", "tower-sessions read"),
    ("demo GET /api/me", "tower-sessions read"),
    ("tower-keep write", "tower-sessions write"),
    ("demo POST /api/visits", "tower-sessions write"),
    ("tower-keep layer", "tower-rate-limit-redis"),
    ("tower-keep layer, embedded", "tower_governor (in memory)"),
    ("tower-keep layer refuses", "tower_governor refuses"),
    ("tower-keep layer refuses", "tower-rate-limit-redis refuses"),
    ("tower-keep hit, 1 KiB", "tower-http-cache hit, 1 KiB"),
    ("tower-keep hit, 64 KiB", "tower-http-cache hit, 64 KiB"),
    ("tower-keep embedded, 1 KiB", "tower-http-cache in memory, 1 KiB"),
    ("tower-keep embedded, 1 KiB", "axum-response-cache, 1 KiB"),
    ("tower-keep embedded, 64 KiB", "tower-http-cache in memory, 64 KiB"),
    ("tower-keep embedded, 64 KiB", "axum-response-cache, 64 KiB"),
    ("tower-keep-actix read", "actix-session read"),
    ("tower-keep-actix write", "actix-session write"),
    ("tower-keep-actix limit", "actix-limitation"),
];
