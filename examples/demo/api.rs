//! The routes that need a session: signing in and out, a counter, entries, devices.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FormRejection, PathRejection, QueryRejection};
use axum::extract::{Form, Path, Query};
use axum::http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};
use tower_keep_axum::RequiredSession;
use tower_keep_axum::session::{Login, SessionHandle};

use crate::problem::Problem;

type Answer<T> = Result<T, Problem>;

/// Entries that visitors name themselves stand apart from the site's own, such as the counter.
const ENTRY: &str = "entry:";
const MAX_DELAY_MS: u64 = 5_000;

#[derive(Deserialize)]
pub struct Credentials {
    user: String,
}

/// Any name will do here; a real site checks a password or a passkey first.
pub async fn login(
    session: RequiredSession,
    headers: HeaderMap,
    form: Result<Form<Credentials>, FormRejection>,
) -> Answer<Json<Value>> {
    let Form(Credentials { user }) = form.map_err(|rejection| rejection.status())?;
    let browser = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("unknown");
    let handle = session.login_with(Login::new(&user).label(browser))?;
    Ok(Json(json!({ "user": user, "handle": handle.as_str() })))
}

pub async fn logout(session: RequiredSession) -> Answer<StatusCode> {
    session.logout()?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize)]
pub struct Me {
    user: Option<String>,
    handle: Option<SessionHandle>,
    visits: i64,
    #[serde(serialize_with = "without_prefix")]
    entries: BTreeMap<String, Value>,
}

/// Those that visitors named, by the names that they gave.
fn without_prefix<S: Serializer>(
    entries: &BTreeMap<String, Value>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer
        .collect_map(entries.iter().filter_map(|(name, value)| Some((name.strip_prefix(ENTRY)?, value))))
}

pub async fn me(session: RequiredSession) -> Answer<Json<Me>> {
    Ok(Json(Me {
        user: session.principal(),
        handle: session.handle(),
        visits: session.get("visits")?.unwrap_or(0),
        entries: session.entries(),
    }))
}

pub async fn visits(session: RequiredSession) -> Answer<Json<Value>> {
    Ok(Json(json!({ "visits": session.increment("visits", 1).await? })))
}

#[derive(Deserialize)]
pub struct Delay {
    #[serde(default)]
    delay_ms: u64,
}

/// A slow write: meanwhile the session may be revoked, and the save that comes after must not bring it back.
pub async fn put_entry(
    session: RequiredSession,
    name: Result<Path<String>, PathRejection>,
    delay: Result<Query<Delay>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Answer<StatusCode> {
    let Path(name) = name.map_err(|rejection| rejection.status())?;
    let Query(delay) = delay.map_err(|rejection| rejection.status())?;
    let body = body.map_err(|rejection| rejection.status())?;
    let text = std::str::from_utf8(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    session.insert(&format!("{ENTRY}{name}"), text)?;
    tokio::time::sleep(Duration::from_millis(delay.delay_ms.min(MAX_DELAY_MS))).await;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn delete_entry(
    session: RequiredSession,
    name: Result<Path<String>, PathRejection>,
) -> Answer<StatusCode> {
    let Path(name) = name.map_err(|rejection| rejection.status())?;
    session.remove(&format!("{ENTRY}{name}"))?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn devices(session: RequiredSession) -> Answer<Json<Value>> {
    let current = session.handle();
    let seconds =
        |at: std::time::SystemTime| at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let devices = session.devices().await?;
    let list = devices.iter().map(|device| {
        json!({
            "handle": device.handle.as_str(),
            "created_at": seconds(device.created_at),
            "last_seen_at": seconds(device.last_seen_at),
            "current": Some(&device.handle) == current.as_ref(),
            "user_agent": device.label,
        })
    });
    Ok(Json(list.collect()))
}

pub async fn revoke_device(
    session: RequiredSession,
    handle: Result<Path<String>, PathRejection>,
) -> Answer<StatusCode> {
    let Path(handle) = handle.map_err(|rejection| rejection.status())?;
    if session.principal().is_none() {
        return Err(StatusCode::UNAUTHORIZED.into());
    }
    let handle = SessionHandle::parse(&handle).ok_or(StatusCode::NOT_FOUND)?;
    match session.revoke_device(&handle).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(StatusCode::NOT_FOUND.into()),
    }
}

pub async fn logout_others(session: RequiredSession) -> Answer<Json<Value>> {
    Ok(Json(json!({ "revoked": session.logout_others().await? })))
}
