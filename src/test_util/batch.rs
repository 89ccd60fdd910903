//! Operations of different kinds in one batch, each with an answer of its own.

use std::sync::Arc;

use super::{Case, is_done, set, unique};
use crate::store::Store;
use crate::store::op::{
    AddMember, AddOutcome, CommitSession, ListMembers, LoadSession, Loaded, PrincipalAt, RemoveSession,
    SessionExists,
};

pub(super) async fn accept(store: &Store) {
    let (living, dead) = (Case::created(store).await, Case::new(store));
    let index = PrincipalAt { namespace: Arc::from("session"), principal: unique().into() };
    let add =
        AddMember { at: index.clone(), handle: "h".into(), ttl_ms: 60_000, login_age_us: Some(0), most: 9 };
    let change = CommitSession::new(living.at.clone(), living.update(&[set("a", "1")]));
    let late = CommitSession::new(dead.at.clone(), dead.update(&[set("a", "1")]));
    let loads = vec![LoadSession(living.at.clone()), LoadSession(dead.at.clone())];

    let ((changed, refused), added, loads, nothing) =
        store.batch(((change, late), add, loads, None::<SessionExists>)).await.expect("serves");

    assert!(is_done(&changed.expect("serves").outcome) && !is_done(&refused.expect("serves").outcome));
    assert_eq!(added.expect("serves").outcome, AddOutcome::Done);
    assert!(matches!(&loads[..], [Ok(Loaded::Found(_)), Ok(Loaded::Missing)]));
    assert!(nothing.is_none());

    let (members, (removed, exists)) = store
        .batch((ListMembers(index), (RemoveSession(living.at.clone()), SessionExists(dead.at.clone()))))
        .await
        .expect("serves");
    assert_eq!(members.expect("serves"), ["h"]);
    assert!(removed.expect("serves") && !exists.expect("serves"));
}
