//! Locks: one holder, by token; numbers that only grow.

use std::time::Duration;

use super::unique;
use crate::store::Store;
use crate::store::key::{Key, KeySpace};
use crate::store::op::lock::{AskLock, LockAnswer, LockOutcome, LockVerb};
use crate::store::op::state::{Lifetime, Remaining, Remains, RemoveValue, SetValue};

const TTL: Duration = Duration::from_millis(200);

pub(super) async fn accept(store: &Store, advance: &impl AsyncFn(Duration)) {
    let space = KeySpace::tagged(store.prefix(), &["lock", "suite"]);
    let case = Case(store, space.of(&unique()).expect("it fits"));
    let first = case.ask(LockVerb::Take, "a").await;
    assert_eq!((first.outcome, first.held_ms), (LockOutcome::Done, 200));
    let held = case.ask(LockVerb::Take, "b").await;
    assert_eq!((held.outcome, held.fence), (LockOutcome::Refused, first.fence));
    assert!((1..=200).contains(&held.held_ms));
    assert!(!case.does(LockVerb::Take, "a").await, "nobody takes it twice");
    assert!(!case.does(LockVerb::Release, "b").await && !case.does(LockVerb::Extend, "b").await);
    assert!(case.does(LockVerb::Release, "a").await && !case.does(LockVerb::Release, "a").await);

    let second = case.ask(LockVerb::Take, "b").await;
    assert!(second.fence > first.fence);
    advance(TTL / 2).await;
    assert!(case.does(LockVerb::Extend, "b").await);
    advance(TTL / 2 + Duration::from_millis(20)).await;
    assert!(!case.does(LockVerb::Take, "c").await, "it was extended");
    advance(TTL).await;
    assert!(!case.does(LockVerb::Extend, "b").await, "it is over");
    let third = case.ask(LockVerb::Take, "c").await;
    assert!(third.outcome == LockOutcome::Done && third.fence > second.fence, "after expiry");
    assert!(!case.does(LockVerb::Release, "b").await, "what is over is not given back from the next holder");

    assert!(case.does(LockVerb::Break, "").await && !case.does(LockVerb::Break, "").await);
    let fourth = case.ask(LockVerb::Take, "d").await;
    assert!(fourth.fence > third.fence, "after it was broken");

    // Whatever became of the number before, the next one is larger.
    assert!(case.0.run(RemoveValue(case.1.lock_fence())).await.expect("serves"));
    case.ask(LockVerb::Release, "d").await;
    advance(Duration::from_millis(1)).await;
    assert!(case.ask(LockVerb::Take, "e").await.fence > fourth.fence);
    case.ask(LockVerb::Release, "e").await;
    let late = case.ask_until(LockVerb::Take, "e", Some(1)).await;
    assert_eq!((late.outcome, late.held_ms), (LockOutcome::Refused, 0), "nobody waits for it any more");
    assert!(case.ask_until(LockVerb::Take, "e", Some(u64::MAX >> 12)).await.fence > fourth.fence);
    let ahead = (1u64 << 52).to_string();
    let memory = SetValue { key: case.1.lock_fence(), value: ahead.into(), lifetime: Lifetime::Never };
    assert!(case.0.run(memory).await.expect("serves"));
    case.ask(LockVerb::Release, "e").await;
    assert_eq!(case.ask(LockVerb::Take, "f").await.fence, (1 << 52) + 1, "a clock that stepped back");
    let memory = case.0.run(Remaining(case.1.lock_fence())).await.expect("serves");
    assert!(matches!(memory, Remains::Millis(86_000_000..=86_400_000)));
}

struct Case<'a>(&'a Store, Key);

impl Case<'_> {
    async fn ask(&self, verb: LockVerb, token: &str) -> LockAnswer {
        self.ask_until(verb, token, None).await
    }

    async fn ask_until(&self, verb: LockVerb, token: &str, not_after_ms: Option<u64>) -> LockAnswer {
        let ask = AskLock { verb, key: self.1.clone(), token: token.into(), ttl_ms: 200, not_after_ms };
        self.0.run(ask).await.expect("serves")
    }

    async fn does(&self, verb: LockVerb, token: &str) -> bool {
        self.ask(verb, token).await.outcome == LockOutcome::Done
    }
}
