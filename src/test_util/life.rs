//! A session is made once, lives, and never comes back.

use super::{Case, is_done, set};
use crate::store::Store;
use crate::store::op::{CommitOutcome, Loaded, PeekSession, RemoveSession, SessionExists};

pub(super) async fn accept(store: &Store) {
    nothing_is_there_before(store).await;
    a_session_is_made_once(store).await;
    a_late_save_brings_nothing_back(store).await;
}

async fn nothing_is_there_before(store: &Store) {
    let case = Case::new(store);
    assert_eq!(case.load().await, Loaded::Missing);
    assert_eq!(store.run(PeekSession(case.at.clone())).await.expect("serves"), None);
    assert!(!store.run(SessionExists(case.at.clone())).await.expect("serves"));
    assert!(!store.run(RemoveSession(case.at.clone())).await.expect("serves"));
    assert_eq!(case.change(&[set("a", "1")]).await, CommitOutcome::Gone);
    assert_eq!(case.load().await, Loaded::Missing);
}

async fn a_session_is_made_once(store: &Store) {
    let case = Case::new(store);
    let mut creation = case.creation();
    creation.changes = vec![set("a", "1"), set("@label", "laptop")];
    creation.principal = Some(Some("alice in {wonder}:land".to_owned()));
    assert!(is_done(&case.commit(creation.clone()).await));
    assert_eq!(case.commit(creation).await, CommitOutcome::Exists);

    let record = case.record().await;
    assert_eq!(record.meta.handle, *case.at.handle);
    assert_eq!(record.meta.principal.as_deref(), Some("alice in {wonder}:land"));
    assert_eq!(record.meta.created_ms, record.meta.authenticated_ms);
    assert_eq!(record.fields["a"], b"1");
    let peeked = store.run(PeekSession(case.at.clone())).await.expect("serves").expect("lives");
    assert_eq!((peeked.meta, peeked.label.as_deref()), (record.meta, Some("laptop")));
    assert!(store.run(SessionExists(case.at.clone())).await.expect("serves"));
}

async fn a_late_save_brings_nothing_back(store: &Store) {
    let case = Case::created(store).await;
    assert!(store.run(RemoveSession(case.at.clone())).await.expect("serves"));
    assert_eq!(case.change(&[set("a", "1")]).await, CommitOutcome::Gone);
    assert_eq!(case.change(&[]).await, CommitOutcome::Gone);
    assert_eq!(case.load().await, Loaded::Missing);
}
