//! Foreign bytes under a session's key: read, and then used as a session, by its cookie and without.
//!
//! The input is a hash: names and values in turn, with a zero byte between them. The handle of that key is 22 times `A`; its
//! cookie's secret is 43 times `A`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_keep::session::{LazySession, Session, SessionHandle, Sessions};
use tower_keep::store::StoreErrorKind;
use tower_keep::store::fuzzing::{PlantSession, read_session};
use tower_keep::store::op::{Fields, LoadSession, Loaded, META, Meta, SessionAt};
use tower_keep_fuzz::{HeaderLines, now, sessions};

const HANDLE: &str = "AAAAAAAAAAAAAAAAAAAAAA";
const COOKIE: &[u8] = b"session=AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fuzz_target!(|input: &[u8]| {
    let mut parts = input.split(|b| *b == 0);
    let mut fields = Vec::new();
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        fields.push((name, value));
    }
    let at = SessionAt { namespace: "session".into(), handle: HANDLE.into() };
    read(&at, &fields);

    let names = fields
        .iter()
        .filter_map(|(name, value)| Some((String::from_utf8(name.to_vec()).ok()?, value.to_vec())));
    let fields: Fields = names.collect();
    let handle = SessionHandle::parse(HANDLE).expect("a handle");
    let sessions = sessions();
    let plant = PlantSession(at, fields);

    now(sessions.store().run(plant.clone())).expect("there is room");
    if let Ok(Some(session)) = now(sessions.open(&handle)) {
        live(&sessions, &session);
    }
    now(sessions.store().run(plant)).expect("there is room");
    let lazy = sessions.begin(&HeaderLines { name: "cookie", lines: vec![COOKIE] });
    serve(&sessions, &lazy);
    assert!(now(sessions.list("alice")).is_ok());
    assert!(now(sessions.revoke(&handle)).is_ok());
    assert!(matches!(now(sessions.open(&handle)), Ok(None)), "a revoked session came back");
});

/// What the Redis backend does with a reply.
fn read(at: &SessionAt, fields: &[(&[u8], &[u8])]) {
    if let Some((_, line)) = fields.iter().rfind(|(name, _)| *name == META.as_bytes())
        && let Some(meta) = Meta::parse(line)
    {
        assert_eq!(Meta::parse(meta.to_line().as_bytes()), Some(meta), "a record changed by being written");
    }
    match read_session(&LoadSession(at.clone()), fields) {
        Ok(Loaded::Found(record)) => assert_eq!(record.meta.handle, HANDLE, "another session's record"),
        Ok(Loaded::Missing) => assert!(fields.is_empty()),
        Ok(Loaded::Corrupt) => {}
        Err(error) => assert_eq!(error.kind(), StoreErrorKind::Desync),
        Ok(other) => panic!("unknown answer {other:?}"),
    }
}

/// A request that shows the cookie: it reads and writes, and its end is reached.
fn serve(sessions: &Sessions, lazy: &LazySession) {
    let Ok(session) = now(lazy.load()) else { return };
    let _ = now(lazy.finish());
    live(sessions, &session);
    let _ = now(lazy.finish());
}

/// Whatever the bytes were, calls end, with a value or an error.
fn live(sessions: &Sessions, session: &Session) {
    let names: Vec<_> = session.entries().into_keys().collect();
    for name in &names {
        let _ = session.get::<serde_json::Value>(name);
    }
    let _ = session.get::<u64>("visits");
    let _ = session.take_flash::<String>("notice");
    let _ = (session.created_at(), session.last_seen_at(), session.authenticated_at());
    let _ = session.fresh_within(std::time::Duration::from_secs(60));
    let _ = session.csrf_token();
    let _ = now(session.increment("visits", 1));
    let _ = session.insert("visits", "many");
    let _ = now(session.save());
    let _ = session.rotate();
    let _ = now(session.save());
    let _ = session.login("alice");
    let _ = now(session.save());
    if let Some(handle) = session.handle()
        && session.is_stored()
    {
        assert!(matches!(now(sessions.open(&handle)), Ok(Some(_))), "what was saved cannot be read");
    }
}
