//! Sessions end by themselves: unused, or at their deadline.

use std::time::Duration;

use super::{Case, HOUR_MS, IDLE_MS, is_done, set};
use crate::store::Store;
use crate::store::op::{Commit, CommitOutcome, Loaded};

const STEP: Duration = Duration::from_millis(IDLE_MS / 2);

pub(super) async fn accept(store: &Store, advance: &impl AsyncFn(Duration)) {
    let (unused, used, capped) = (Case::new(store), Case::new(store), Case::new(store));
    for (case, lifetime) in
        [(&unused, (IDLE_MS, HOUR_MS)), (&used, (IDLE_MS, HOUR_MS)), (&capped, (IDLE_MS, IDLE_MS))]
    {
        assert!(is_done(&case.commit(Commit { lifetime: Some(lifetime), ..case.creation() }).await));
    }
    let touch = |case: &Case<'_>| Commit { touch_ms: Some(1), ..case.update(&[]) };
    advance(STEP).await;
    for case in [&used, &capped] {
        assert!(
            matches!(case.commit(touch(case)).await, CommitOutcome::Done(Some(_), _)),
            "a touch moves the timer"
        );
    }
    assert!(
        is_done(&unused.change(&[set("a", "1")]).await),
        "a write within the touch interval moves no timer"
    );
    advance(STEP + Duration::from_millis(50)).await;
    assert_eq!(unused.load().await, Loaded::Missing, "unused for the idle time");
    assert_eq!(capped.load().await, Loaded::Missing, "no use moves the deadline");
    assert!(matches!(used.load().await, Loaded::Found(_)), "used in between");
    assert_eq!(unused.commit(touch(&unused)).await, CommitOutcome::Gone);
    advance(STEP).await;
    assert_eq!(used.load().await, Loaded::Missing);
}
