//! What is measured, and against what.

use crate::servers::Kind;

/// One route of one server.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub name: &'static str,
    /// The name of the case that this one cannot beat.
    pub limit: &'static str,
    pub server: Kind,
    pub method: &'static str,
    pub path: &'static str,
}

const fn get(name: &'static str, limit: &'static str, server: Kind, path: &'static str) -> Case {
    Case { name, limit, server, method: "GET", path }
}

const fn post(name: &'static str, limit: &'static str, server: Kind, path: &'static str) -> Case {
    Case { name, limit, server, method: "POST", path }
}

const BARE: &str = "bare handler";
const GET: &str = "limit: GET";
const GET_JSON: &str = "limit: GET, the demo's answer";
const GET_SET: &str = "limit: GET, then SET";

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
];
