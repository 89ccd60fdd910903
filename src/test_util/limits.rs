//! Limits: decided together, charged all or nothing, with standings that come true.

use std::time::Duration;

use super::unique;
use crate::store::Store;
use crate::store::key::{Composite, Key, Slot};
use crate::store::op::{
    Bucket, DecideLimits, Decided, LimitUse, LimitVerb, ResetLimits, Rule, Sliding, Verdict, Window,
};

const MS: u64 = 1000;
const HOUR_US: u64 = 3_600_000 * MS;

pub(super) async fn accept(store: &Store, advance: &impl AsyncFn(Duration)) {
    for rule in [bucket(5, HOUR_US), window(5, HOUR_US), sliding(5, HOUR_US / MS)] {
        costs_are_charged_once(store, rule).await;
        changes_are_clamped(store, rule).await;
        bans_hold_and_are_lifted(store, rule).await;
    }
    several_are_charged_all_or_nothing(store).await;
    time_gives_back(store, advance).await;
    bans_end(store, advance).await;
}

fn bucket(capacity: u64, period_us: u64) -> Rule {
    Rule::Bucket(Bucket { capacity, refill: 1, period_us })
}

fn window(limit: u64, window_us: u64) -> Rule {
    Rule::Window(Window { limit, window_us })
}

fn sliding(limit: u64, window_ms: u64) -> Rule {
    Rule::Sliding(Sliding { limit, window_ms })
}

/// Limits of one subject that no other test uses.
struct Case<'a>(&'a Store, Vec<(Key, Rule)>);

impl<'a> Case<'a> {
    fn new(store: &'a Store, rules: &[Rule]) -> Self {
        let subject = format!("{} ü:{{}}", unique());
        let key = |rule: &Rule| {
            Key::limit(
                store.prefix(),
                ["suite", "x", &rule.word()],
                &Composite::text(&subject),
                Slot::Subject,
            )
        };
        Self(store, rules.iter().map(|rule| (key(rule), *rule)).collect())
    }

    async fn ask(&self, verb: LimitVerb, cost: u64) -> Decided {
        let limit = |(key, rule): &(Key, Rule)| LimitUse { key: key.clone(), rule: *rule, cost };
        let operation = DecideLimits::new(verb, self.1.iter().map(limit)).expect("there are limits");
        self.0.run(operation).await.expect("serves")
    }

    async fn takes(&self, cost: u64) -> bool {
        self.ask(LimitVerb::Take, cost).await.verdict == Verdict::Admitted
    }

    async fn left(&self) -> Vec<u64> {
        self.ask(LimitVerb::Peek, 0).await.standings.iter().map(|standing| standing.remaining).collect()
    }

    async fn reset(&self) -> u64 {
        let keys = self.1.iter().map(|(key, _)| key.clone()).collect();
        self.0.run(ResetLimits::new(keys).expect("there are limits")).await.expect("serves")
    }
}

async fn costs_are_charged_once(store: &Store, rule: Rule) {
    let case = Case::new(store, &[rule]);
    assert_eq!(case.left().await, [5]);
    assert_eq!(case.reset().await, 0, "a peek writes nothing");
    assert!(case.takes(0).await && case.reset().await == 0, "nor does a cost of nothing");
    assert!(case.takes(1).await);
    assert_eq!(case.left().await, [4], "a fresh key keeps what was not taken");
    assert!(!case.takes(5).await && case.takes(4).await);
    assert_eq!(case.left().await, [0], "a refusal charges nothing");
    let Verdict::Refused { retry_after_us: Some(retry) } = case.ask(LimitVerb::Take, 1).await.verdict else {
        panic!("it is refused for a while")
    };
    assert!(retry > 0 && retry <= 2 * HOUR_US);
    for cost in [6, u64::MAX] {
        let never = Verdict::Refused { retry_after_us: None };
        assert_eq!(case.ask(LimitVerb::Take, cost).await.verdict, never, "more than fits is never possible");
        assert_eq!(case.ask(LimitVerb::Peek, cost).await.verdict, never);
    }
    assert_eq!(case.reset().await, 1);
    assert_eq!(case.left().await, [5]);
}

async fn changes_are_clamped(store: &Store, rule: Rule) {
    let case = Case::new(store, &[rule]);
    assert!(case.takes(4).await);
    case.ask(LimitVerb::Refund, 3).await;
    assert_eq!(case.left().await, [4]);
    case.ask(LimitVerb::Refund, u64::MAX).await;
    assert_eq!(case.left().await, [5], "there is never more than a full limit");
    assert_eq!(case.reset().await, 0, "and a full limit leaves nothing behind");
    case.ask(LimitVerb::Penalise, 2).await;
    assert_eq!(case.left().await, [3]);
    case.ask(LimitVerb::Penalise, u64::MAX).await;
    assert_eq!(case.left().await, [0]);
    assert!(!case.takes(1).await);
}

async fn bans_hold_and_are_lifted(store: &Store, rule: Rule) {
    let case = Case::new(store, &[rule]);
    assert!(case.takes(2).await);
    let banned = case.ask(LimitVerb::Ban(5 * HOUR_US), 0).await;
    assert_eq!(banned.standings[0].remaining, 0);
    for cost in [0, 1] {
        let Verdict::Refused { retry_after_us: Some(retry) } = case.ask(LimitVerb::Take, cost).await.verdict
        else {
            panic!("a ban refuses everything")
        };
        assert!((4 * HOUR_US..=5 * HOUR_US).contains(&retry));
    }
    case.ask(LimitVerb::Refund, 1).await;
    assert!(!case.takes(1).await, "a refund lifts no ban");
    case.ask(LimitVerb::Ban(0), 0).await;
    assert_eq!(case.left().await, [4], "what was counted stays counted");
    case.ask(LimitVerb::Ban(u64::MAX), 0).await;
    assert!(!case.takes(0).await);
    assert_eq!(case.reset().await, 1);
    assert!(case.takes(5).await);
}

async fn several_are_charged_all_or_nothing(store: &Store) {
    let case = Case::new(store, &[window(3, HOUR_US), bucket(5, HOUR_US), sliding(9, HOUR_US / MS)]);
    assert!(case.takes(2).await);
    let refused = case.ask(LimitVerb::Take, 2).await;
    let said: Vec<_> =
        refused.standings.iter().map(|standing| standing.verdict == Verdict::Admitted).collect();
    assert_eq!(said, [false, true, true], "the answer names who refused");
    assert_ne!(refused.verdict, Verdict::Admitted);
    assert_eq!(case.left().await, [1, 3, 7], "and nobody was charged");
    assert!(case.takes(1).await);
    assert_eq!(case.left().await, [0, 2, 6]);
    assert_eq!(case.reset().await, 3);
}

async fn time_gives_back(store: &Store, advance: &impl AsyncFn(Duration)) {
    let rules = [bucket(3, 40 * MS), window(3, 120 * MS), sliding(3, 60)];
    let cases = rules.map(|rule| Case::new(store, &[rule]));
    for case in &cases {
        assert!(case.takes(3).await);
    }
    advance(Duration::from_millis(130)).await;
    for case in &cases {
        let peeked = case.ask(LimitVerb::Peek, 3).await;
        assert_eq!(peeked.verdict, Verdict::Admitted, "{:?}", case.1[0].1);
        assert_eq!((peeked.standings[0].remaining, peeked.standings[0].reset_us), (3, 0));
        assert_eq!(case.reset().await, 0, "what says nothing any more has ended");
    }
}

async fn bans_end(store: &Store, advance: &impl AsyncFn(Duration)) {
    let case = Case::new(store, &[window(3, HOUR_US)]);
    assert!(case.takes(2).await);
    case.ask(LimitVerb::Ban(50 * MS), 0).await;
    assert!(!case.takes(1).await);
    advance(Duration::from_millis(60)).await;
    assert_eq!(case.left().await, [1], "the window is as it was");
}
