//! What a session is used for: signing in and out, a counter, entries, devices.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::StatusCode;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};
use tower_keep::session::{Login, Session, SessionHandle};

use crate::Failure;

/// Entries that visitors name themselves stand apart from the site's own, such as the counter.
const ENTRY: &str = "entry:";
const MAX_DELAY_MS: u64 = 5_000;

/// The form of the page.
#[derive(Debug, Deserialize)]
pub struct Credentials {
    user: String,
}

/// Any name will do here; a real site checks a password or a passkey first. `browser` is what the list of devices shows.
///
/// # Errors
///
/// A name that cannot be a principal's, a read-only session.
pub fn login(
    session: &Session,
    Credentials { user }: &Credentials,
    browser: Option<&str>,
) -> Result<Value, Failure> {
    let handle = session.login_with(Login::new(user).label(browser.unwrap_or("unknown")))?;
    Ok(json!({ "user": user, "handle": handle.as_str() }))
}

/// Who is asking.
#[derive(Debug, Serialize)]
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

/// Who is asking, and what their session holds.
///
/// # Errors
///
/// An entry that cannot be read.
pub fn me(session: &Session) -> Result<Me, Failure> {
    Ok(Me {
        user: session.principal(),
        handle: session.handle(),
        visits: session.get("visits")?.unwrap_or(0),
        entries: session.entries(),
    })
}

/// Counts, at once and atomically.
///
/// # Errors
///
/// The store's failure.
pub async fn visits(session: &Session) -> Result<Value, Failure> {
    Ok(json!({ "visits": session.increment("visits", 1).await? }))
}

/// For how long a write takes.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Delay {
    #[serde(default)]
    delay_ms: u64,
}

/// A slow write: meanwhile the session may be revoked, and the save that comes after must not bring it back.
///
/// # Errors
///
/// A text that is not UTF-8, a name or a session that is too long.
pub async fn put_entry(session: &Session, name: &str, delay: Delay, text: &[u8]) -> Result<(), Failure> {
    let text = std::str::from_utf8(text).map_err(|_| StatusCode::BAD_REQUEST)?;
    session.insert(&format!("{ENTRY}{name}"), text)?;
    tokio::time::sleep(Duration::from_millis(delay.delay_ms.min(MAX_DELAY_MS))).await;
    Ok(())
}

/// Removes an entry, if it is there.
///
/// # Errors
///
/// A read-only session, a name that is too long.
pub fn delete_entry(session: &Session, name: &str) -> Result<(), Failure> {
    session.remove(&format!("{ENTRY}{name}"))?;
    Ok(())
}

/// The sessions of who is signed in.
///
/// # Errors
///
/// 401 when nobody is signed in; the store's failure.
pub async fn devices(session: &Session) -> Result<Value, Failure> {
    let current = session.handle();
    let seconds = |at: SystemTime| at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
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
    Ok(list.collect())
}

/// Signs another device of the same user out.
///
/// # Errors
///
/// 401 when nobody is signed in, 404 for any other session; the store's failure.
pub async fn revoke_device(session: &Session, handle: &str) -> Result<(), Failure> {
    if session.principal().is_none() {
        return Err(StatusCode::UNAUTHORIZED.into());
    }
    let handle = SessionHandle::parse(handle).ok_or(StatusCode::NOT_FOUND)?;
    match session.revoke_device(&handle).await? {
        true => Ok(()),
        false => Err(StatusCode::NOT_FOUND.into()),
    }
}

/// Signs all other devices of the same user out.
///
/// # Errors
///
/// 401 when nobody is signed in; the store's failure.
pub async fn logout_others(session: &Session) -> Result<Value, Failure> {
    Ok(json!({ "revoked": session.logout_others().await? }))
}
