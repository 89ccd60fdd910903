//! Leases: so many at once, each for a time unless it is renewed.

use std::time::Duration;

use super::unique;
use crate::store::Store;
use crate::store::key::Key;
use crate::store::op::{Lease, LeaseAnswer, LeaseOutcome, LeaseVerb};

const TTL: Duration = Duration::from_millis(200);

pub(super) async fn accept(store: &Store, advance: &impl AsyncFn(Duration)) {
    let case = Case(store, Key::new(store.prefix(), "lease:suite", &unique()));
    assert!(case.does(LeaseVerb::Take, "a").await && case.does(LeaseVerb::Take, "b").await);
    let full = case.ask(LeaseVerb::Take, "c").await;
    assert_eq!((full.outcome, full.held), (LeaseOutcome::Refused, 2));
    assert!(full.next_us > 0 && full.next_us <= 200_000);
    assert!(case.does(LeaseVerb::Take, "a").await, "who holds a lease renews it");
    assert!(!case.does(LeaseVerb::Renew, "c").await && !case.does(LeaseVerb::Release, "c").await);
    assert_eq!(case.ask(LeaseVerb::Release, "b").await.held, 1);
    assert!(case.does(LeaseVerb::Take, "c").await);

    advance(TTL / 2).await;
    assert!(case.does(LeaseVerb::Renew, "a").await);
    advance(TTL / 2 + Duration::from_millis(20)).await;
    assert!(case.does(LeaseVerb::Take, "d").await, "what nobody renews ends");
    assert!(!case.does(LeaseVerb::Renew, "c").await);
    advance(TTL + Duration::from_millis(20)).await;
    let released = case.ask(LeaseVerb::Release, "a").await;
    assert_eq!((released.outcome, released.held, released.next_us), (LeaseOutcome::Refused, 0, 0));
}

struct Case<'a>(&'a Store, Key);

impl Case<'_> {
    async fn ask(&self, verb: LeaseVerb, token: &str) -> LeaseAnswer {
        let ttl_us = TTL.as_micros() as u64;
        let lease = Lease { verb, key: self.1.clone(), token: token.into(), most: 2, ttl_us };
        self.0.run(lease).await.expect("serves")
    }

    async fn does(&self, verb: LeaseVerb, token: &str) -> bool {
        self.ask(verb, token).await.outcome == LeaseOutcome::Done
    }
}
