//! Secrets: a swap ends the old one at once, a renewal once the new one has been seen.

use std::time::Duration;

use super::{Case, hash, is_done, set};
use crate::store::Store;
use crate::store::op::{Commit, CommitOutcome, Expected, Meta, Rotation};

pub(super) async fn accept(store: &Store, advance: &impl AsyncFn(Duration)) {
    only_a_known_secret_writes(store).await;
    a_swap_ends_the_old_secret(store).await;
    a_renewal_keeps_the_old_secret_until_the_new_one_is_seen(store, advance).await;
    of_parallel_renewals_one_counts(store, advance).await;
    what_comes_too_late_changes_nothing(store).await;
}

fn by(case: &Case<'_>, secret: &str) -> Commit {
    Commit { presented: Some(hash(secret)), ..case.update(&[set("a", "1")]) }
}

fn meta(outcome: CommitOutcome) -> Meta {
    match outcome {
        CommitOutcome::Done(Some(meta), _) => *meta,
        other => panic!("the metadata changed: {other:?}"),
    }
}

async fn only_a_known_secret_writes(store: &Store) {
    let case = Case::created(store).await;
    assert_eq!(case.commit(by(&case, "wrong")).await, CommitOutcome::Gone);
    assert_eq!(
        case.commit(by(&case, "-")).await,
        CommitOutcome::Gone,
        "the mark for `no secret` opens nothing"
    );
    assert_eq!(case.field("a").await, None);
    let outside = Commit { presented: None, ..by(&case, "") };
    assert!(is_done(&case.commit(outside).await), "outside of requests the generation decides");
}

async fn a_swap_ends_the_old_secret(store: &Store) {
    let case = Case::created(store).await;
    let swap = Commit {
        rotation: Rotation::Swap(hash("s1")),
        principal: Some(Some("alice".to_owned())),
        ..case.update(&[])
    };
    let after = meta(case.commit(swap.clone()).await);
    assert_eq!((after.generation, after.secret, after.previous), (1, hash("s1"), None));
    assert_eq!(case.commit(by(&case, "s0")).await, CommitOutcome::Gone);
    assert_eq!(case.commit(swap).await, CommitOutcome::Gone, "a rotation does not happen twice");
    let next = Commit { expected: Expected::Generation(1), ..by(&case, "s1") };
    assert!(is_done(&case.commit(next).await));
    let old = Commit { expected: Expected::Generation(1), ..by(&case, "s0") };
    assert_eq!(case.commit(old).await, CommitOutcome::Gone);
    let sign_out = Commit { expected: Expected::Generation(1), principal: Some(None), ..by(&case, "s1") };
    let after = meta(case.commit(sign_out).await);
    assert_eq!((after.principal, after.authenticated_ms), (None, 0));
}

async fn what_comes_too_late_changes_nothing(store: &Store) {
    let case = Case::created(store).await;
    let swap = |not_after_ms| Commit {
        rotation: Rotation::Swap(hash("s1")),
        not_after_ms: Some(not_after_ms),
        ..by(&case, "s0")
    };
    assert_eq!(case.commit(swap(1)).await, CommitOutcome::Late);
    assert_eq!(case.field("a").await, None);
    assert!(is_done(&case.commit(by(&case, "s0")).await), "the old secret still opens it");
    assert_eq!(meta(case.commit(swap(1 << 52)).await).secret, hash("s1"));
}

async fn a_renewal_keeps_the_old_secret_until_the_new_one_is_seen(
    store: &Store,
    advance: &impl AsyncFn(Duration),
) {
    let case = Case::created(store).await;
    let renew = Commit { rotation: Rotation::Renew(hash("s1")), ..case.update(&[]) };
    let after = meta(case.commit(renew).await);
    assert_eq!((after.generation, &after.secret, &after.previous), (0, &hash("s1"), &Some(hash("s0"))));
    advance(Duration::from_millis(400)).await;
    assert!(is_done(&case.commit(by(&case, "s0")).await), "the new cookie may have been lost");
    let seen = meta(case.commit(by(&case, "s1")).await);
    assert!(seen.grace_until_ms > 0, "the first use of the new secret starts the grace");
    assert!(is_done(&case.commit(by(&case, "s0")).await));
    advance(Duration::from_millis(400)).await;
    assert_eq!(case.commit(by(&case, "s0")).await, CommitOutcome::Gone);
    assert!(is_done(&case.commit(by(&case, "s1")).await));
}

async fn of_parallel_renewals_one_counts(store: &Store, advance: &impl AsyncFn(Duration)) {
    let case = Case::created(store).await;
    let renew = |secret: &str| Commit { rotation: Rotation::Renew(hash(secret)), ..by(&case, "s0") };
    assert_eq!(meta(case.commit(renew("s1")).await).secret, hash("s1"));
    assert!(is_done(&case.commit(renew("s2")).await), "its change of entries is written");
    assert_eq!(case.record().await.meta.secret, hash("s1"), "its renewal is left out");
    advance(Duration::from_millis(400)).await;
    assert_eq!(meta(case.commit(renew("s3")).await).secret, hash("s3"), "a lost renewal can be repeated");
    assert_eq!(case.commit(by(&case, "s1")).await, CommitOutcome::Gone);
    assert!(is_done(&case.commit(by(&case, "s3")).await));
}
