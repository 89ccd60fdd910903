//! Sessions and index entries to talk about. Whatever must stay secret holds the word `canary`.

use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use keep_testing::RedisServer;
pub use keep_testing::eventually;
use tower_keep::store::op::{
    AddMember, Change, Commit, CommitOutcome, CommitSession, Committed, Expected, Hash, LoadSession, Loaded,
    PrincipalAt, Rotation, SessionAt,
};
use tower_keep::store::{Store, StoreBuilder, StoreError, StoreErrorKind};

pub const LONG: Duration = Duration::from_secs(10);
pub const HOUR_MS: u64 = 3_600_000;

/// Time enough on a busy machine, and quick probes.
pub fn patient() -> StoreBuilder {
    Store::builder().deadline(LONG).probe_interval(Duration::from_millis(20)).without_self_check()
}

/// A short deadline, for outages.
pub fn hasty() -> StoreBuilder {
    let builder = Store::builder().deadline(Duration::from_millis(100));
    builder.probe_interval(Duration::from_millis(20)).without_self_check()
}

pub fn session(name: &str) -> SessionAt {
    SessionAt { namespace: "session".into(), handle: format!("canary-{name}").into() }
}

pub fn session_key(name: &str) -> String {
    format!("keep:session:canary-{name}")
}

pub fn index(name: &str) -> PrincipalAt {
    PrincipalAt { namespace: "session".into(), principal: format!("canary-{name}").into() }
}

pub fn index_key(name: &str) -> String {
    format!("keep:session-index:canary-{name}")
}

pub fn set(value: &str) -> Change {
    Change::Set("entry".to_owned(), format!("canary-{value}").into_bytes())
}

pub fn count() -> Change {
    Change::Add("count".to_owned(), 1)
}

/// Makes a session whose entry holds `value`.
pub fn create(name: &str, value: &str) -> CommitSession {
    commit(name, Expected::New, vec![set(value)])
}

/// Changes a session that nobody rotated.
pub fn change(name: &str, change: Change) -> CommitSession {
    commit(name, Expected::Generation(0), vec![change])
}

fn commit(name: &str, expected: Expected, changes: Vec<Change>) -> CommitSession {
    let new = expected == Expected::New;
    let secret = Hash::new("canary-secret").unwrap();
    let commit = Commit {
        expected,
        presented: None,
        rotation: if new { Rotation::Swap(secret) } else { Rotation::Keep },
        grace_ms: 0,
        lifetime: new.then_some((HOUR_MS, HOUR_MS)),
        principal: None,
        touch_ms: Some(HOUR_MS),
        max_fields: Some(100),
        not_after_ms: None,
        loaded: None,
        changes,
    };
    CommitSession::new(session(name), commit)
}

/// Signs a session in.
pub fn enter(principal: &str, name: &str) -> AddMember {
    let handle = session(name).handle;
    AddMember { at: index(principal), handle, ttl_ms: HOUR_MS, login_age_us: Some(0), most: 10 }
}

/// The entry of a session, without its `canary-`; `None` when there is no session.
pub fn entry(loaded: Loaded) -> Option<String> {
    match loaded {
        Loaded::Found(record) => {
            let value = String::from_utf8(record.fields["entry"].clone()).unwrap();
            Some(value.strip_prefix("canary-").unwrap().to_owned())
        }
        Loaded::Missing => None,
        other => panic!("not a session: {other:?}"),
    }
}

pub async fn read(store: &Store, name: &str) -> Result<Option<String>, StoreError> {
    store.run(LoadSession(session(name))).await.map(entry)
}

/// The sums of a commit that was carried out.
pub fn done(committed: Committed) -> Vec<i64> {
    match committed.outcome {
        CommitOutcome::Done(_, sums) => sums,
        other => panic!("refused: {other:?}"),
    }
}

pub async fn make(store: &Store, name: &str, value: &str) {
    done(store.run(create(name, value)).await.unwrap());
}

/// The kind of a refusal, after a check that it tells no secret.
pub fn refusal<T: Debug>(result: Result<T, StoreError>) -> StoreErrorKind {
    told(&result.expect_err("was to be refused"))
}

/// The kind of an error, after the same check.
pub fn told(error: &StoreError) -> StoreErrorKind {
    tells_no_secret(error);
    error.kind()
}

/// No form of an error's text repeats a key, a value or a password.
pub fn tells_no_secret(error: &(dyn Error + 'static)) {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let text = format!("{error} {error:?} {error:#?}");
        assert!(!text.contains("canary"), "{text}");
        cause = error.source();
    }
}

/// Waits for the end of the probe with which a store begins.
pub async fn probed(server: &RedisServer) {
    server.probed_by(1).await;
    settle().await;
}

/// Lets the tasks of connections see what has arrived at their sockets.
pub async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// Whether `store` serves reads and writes, the breaker included.
pub async fn serves(store: &Store) -> bool {
    store.health().await.is_up()
}
