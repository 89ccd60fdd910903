//! The index of a principal's sessions.

use std::sync::Arc;
use std::time::Duration;

use super::unique;
use crate::store::Store;
use crate::store::op::{
    AddMember, AddOutcome, Added, HasMember, LeaveIndex, ListMembers, MarkRevoked, PrincipalAt, RemoveMember,
};

pub(super) async fn accept(store: &Store, advance: &impl AsyncFn(Duration)) {
    members_come_and_go(store).await;
    who_was_entered_anew_stays(store).await;
    those_beyond_the_number_are_named(store).await;
    a_login_from_before_a_revocation_is_refused(store, advance).await;
    what_has_expired_is_trimmed(store, advance).await;
}

struct Index<'a>(&'a Store, PrincipalAt);

impl<'a> Index<'a> {
    fn new(store: &'a Store) -> Self {
        let principal = format!("{} ü:{{}}", unique()).into();
        Self(store, PrincipalAt { namespace: Arc::from("session"), principal })
    }

    async fn add(&self, handle: &str, ttl_ms: u64, login_age_us: Option<u64>) -> Added {
        let add = AddMember { at: self.1.clone(), handle: handle.into(), ttl_ms, login_age_us, most: 3 };
        self.0.run(add).await.expect("serves")
    }

    async fn login(&self, handle: &str, ttl_ms: u64) -> Added {
        self.add(handle, ttl_ms, Some(0)).await
    }

    async fn list(&self) -> Vec<String> {
        self.0.run(ListMembers(self.1.clone())).await.expect("serves")
    }

    async fn has(&self, handle: &str) -> bool {
        self.0.run(HasMember(self.1.clone(), handle.into())).await.expect("serves")
    }

    async fn leave(&self, handle: &str, ends_us: u64) -> bool {
        let (at, handle) = (self.1.clone(), handle.into());
        self.0.run(LeaveIndex { at, handle, ends_us }).await.expect("serves")
    }

    async fn remove(&self, handles: &[&str]) -> u64 {
        let handles = handles.iter().map(|&handle| handle.to_owned()).collect();
        self.0.run(RemoveMember(self.1.clone(), handles)).await.expect("serves")
    }

    async fn revoke(&self) -> Vec<String> {
        let mut handles = self.0.run(MarkRevoked(self.1.clone())).await.expect("serves").handles;
        handles.sort();
        handles
    }
}

async fn members_come_and_go(store: &Store) {
    let index = Index::new(store);
    assert!(index.list().await.is_empty() && !index.has("a").await);
    assert_eq!(index.add("a", 60_000, None).await.outcome, AddOutcome::Absent);
    assert_eq!(index.login("b", 120_000).await.outcome, AddOutcome::Done);
    assert_eq!(index.login("a", 60_000).await.outcome, AddOutcome::Done);
    assert_eq!(index.list().await, ["a", "b"], "those that end first come first");
    assert_eq!(index.add("a", 180_000, None).await.outcome, AddOutcome::Done);
    assert_eq!(index.list().await, ["b", "a"]);
    assert!(index.has("a").await);
    assert_eq!(index.remove(&["a", "x"]).await, 1);
    assert_eq!(index.list().await, ["b"]);
    assert_eq!(index.remove(&["b"]).await, 1);
    assert!(index.list().await.is_empty());
}

async fn who_was_entered_anew_stays(store: &Store) {
    let index = Index::new(store);
    let first = index.login("a", 60_000).await;
    let second = index.login("a", 120_000).await;
    assert_eq!(second.ends_us, second.now_us + 120_000_000);
    assert!(!index.leave("a", first.ends_us).await && index.has("a").await);
    assert!(index.leave("a", second.ends_us).await && !index.has("a").await);
    assert!(!index.leave("a", second.ends_us).await);
}

async fn those_beyond_the_number_are_named(store: &Store) {
    let index = Index::new(store);
    for (handle, ttl_ms) in [("a", 10_000), ("b", 20_000), ("c", 30_000)] {
        assert!(index.login(handle, ttl_ms).await.give_way.is_empty());
    }
    assert!(index.login("b", 20_000).await.give_way.is_empty(), "a session is not counted twice");
    assert_eq!(index.login("d", 40_000).await.give_way, ["a"]);
    assert!(index.has("a").await, "it stays until its session has been removed");
    assert_eq!(
        index.login("e", 5_000).await.give_way,
        ["a", "b"],
        "what failed to be removed is named again"
    );
    assert!(index.add("e", 5_000, None).await.give_way.is_empty(), "moving an expiry ends nobody");
}

async fn a_login_from_before_a_revocation_is_refused(store: &Store, advance: &impl AsyncFn(Duration)) {
    let index = Index::new(store);
    index.login("a", 60_000).await;
    index.login("b", 60_000).await;
    assert_eq!(index.revoke().await, ["a", "b"]);
    assert_eq!(index.revoke().await, ["a", "b"], "they stay until their sessions have been removed");
    assert_eq!(index.list().await.len(), 2);
    assert_eq!(index.remove(&["a", "b"]).await, 2);
    advance(Duration::from_millis(50)).await;
    assert_eq!(index.add("c", 60_000, Some(3_000_000)).await.outcome, AddOutcome::Revoked);
    assert_eq!(index.add("c", 60_000, Some(0)).await.outcome, AddOutcome::Done, "a later login counts");
    assert_eq!(index.list().await, ["c"]);
}

async fn what_has_expired_is_trimmed(store: &Store, advance: &impl AsyncFn(Duration)) {
    let index = Index::new(store);
    index.login("a", 100).await;
    index.login("b", 60_000).await;
    index.login("c", 60_000).await;
    advance(Duration::from_millis(200)).await;
    assert!(index.login("d", 60_000).await.give_way.is_empty(), "an expired session takes no place");
    assert_eq!(index.list().await, ["b", "c", "d"]);
}
