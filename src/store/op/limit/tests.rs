//! The rules alone.

use super::*;
use proptest::prelude::*;

const SECOND: u64 = 1_000_000;
/// No test begins at zero: a clock never does.
const START: u64 = 1_700_000_000 * SECOND;

/// One limit as the stores keep it.
struct Limit {
    rule: Rule,
    state: Option<State>,
}

impl Limit {
    fn bucket(capacity: u64, refill: u64, period_us: u64) -> Self {
        Self { rule: Rule::Bucket(Bucket { capacity, refill, period_us }), state: None }
    }

    fn window(limit: u64, window_us: u64) -> Self {
        Self { rule: Rule::Window(Window { limit, window_us }), state: None }
    }

    fn sliding(limit: u64, window_ms: u64) -> Self {
        Self { rule: Rule::Sliding(Sliding { limit, window_ms }), state: None }
    }

    /// `Ok(remaining)`, or `Err(retry)`.
    fn take(&mut self, at_us: u64, cost: u64) -> Result<u64, Option<u64>> {
        let now_us = START + at_us;
        let state = self.rule.at(self.state, now_us);
        let standing = self.rule.standing(state, now_us, cost);
        if let Verdict::Refused { retry_after_us } = standing.verdict {
            self.state = Some(state);
            return Err(retry_after_us);
        }
        let used = state.used + self.rule.units(cost);
        self.state = Some(State { used, ..state });
        Ok(self.rule.standing(State { used, ..state }, now_us, 0).remaining)
    }
}

#[test]
fn a_fresh_bucket_keeps_what_was_not_taken() {
    for (capacity, refill, period) in
        [(10, 10, SECOND), (100, 100, 60 * SECOND), (1000, 1000, 3600 * SECOND), (10, 1, 100_000)]
    {
        assert_eq!(Limit::bucket(capacity, refill, period).take(0, 1), Ok(capacity - 1));
    }
}

/// The table of a well-known test of the algorithm: 5 at most, one back each second. Time in ms, cost, what is left or when to retry in ms.
#[test]
fn a_bucket_passes_the_vectors_of_the_generic_cell_rate_algorithm() {
    let mut bucket = Limit::bucket(6, 1, SECOND);
    for (at_ms, cost, expected) in [
        (0, 6, Ok(0)),
        (0, 1, Err(Some(1000))),
        (500, 1, Err(Some(500))),
        (1000, 1, Ok(0)),
        (1000, 1, Err(Some(1000))),
        (3000, 1, Ok(1)),
        (3100, 1, Ok(0)),
        (3500, 1, Err(Some(500))),
        (4000, 1, Ok(0)),
        (9000, 0, Ok(5)),
        (9500, 0, Ok(5)),
        (10_000, 7, Err(None)),
        (10_000, 6, Ok(0)),
        (15_000, 5, Ok(0)),
        (15_000, 1, Err(Some(1000))),
    ] {
        let got = bucket.take(at_ms * 1000, cost).map_err(|retry| retry.map(|us| us / 1000));
        assert_eq!(got, expected, "at {at_ms} ms");
    }
}

#[test]
fn a_fixed_window_is_not_prolonged_by_hits() {
    let mut window = Limit::window(3, 10 * SECOND);
    for at in [0, 4 * SECOND, 9 * SECOND] {
        assert!(window.take(at, 1).is_ok());
    }
    assert_eq!(window.take(9 * SECOND, 1), Err(Some(SECOND)));
    assert_eq!(window.take(10 * SECOND - 1, 1), Err(Some(1)));
    assert_eq!(window.take(10 * SECOND, 1), Ok(2));
    assert_eq!(window.take(10 * SECOND, 4), Err(None), "more than the limit is never possible");
}

#[test]
fn a_sliding_window_lets_go_of_the_one_before_little_by_little() {
    let mut sliding = Limit::sliding(10, 10_000);
    assert_eq!(sliding.take(0, 10), Ok(0));
    assert_eq!(sliding.take(SECOND, 1), Err(Some(10 * SECOND)), "a tenth of the next window must pass");
    assert_eq!(sliding.take(11 * SECOND - 1, 1), Err(Some(1)));
    assert_eq!(sliding.take(11 * SECOND, 1), Ok(0));
    assert_eq!(sliding.take(15 * SECOND, 4), Ok(0));
    assert_eq!(sliding.take(15 * SECOND, 1), Err(Some(SECOND)));
    assert_eq!(sliding.take(40 * SECOND, 10), Ok(0), "two windows later nothing counts");
}

#[test]
fn rates_above_a_thousand_a_second_and_windows_below_one_second_are_exact() {
    let mut bucket = Limit::bucket(5, 3, 1); // three million a second
    assert_eq!(bucket.take(0, 5), Ok(0));
    assert_eq!(bucket.take(0, 1), Err(Some(1)));
    assert_eq!(bucket.take(1, 3), Ok(0));
    let mut window = Limit::window(1, 500);
    assert_eq!((window.take(0, 1), window.take(499, 1)), (Ok(0), Err(Some(1))));
    assert_eq!(window.take(500, 1), Ok(0));
}

#[test]
fn a_clock_that_steps_back_locks_nobody_out_and_gives_one_burst_at_most() {
    const HOUR: u64 = 3600 * SECOND;
    for mut limit in
        [Limit::bucket(10, 1, SECOND), Limit::window(10, 10 * SECOND), Limit::sliding(10, 10_000)]
    {
        let rule = limit.rule;
        assert!(limit.take(HOUR, 10).is_ok());
        let Err(Some(retry)) = limit.take(0, 1) else { panic!("what was counted stays counted: {rule:?}") };
        assert!(retry <= 20 * SECOND, "{rule:?} waits {retry}");
        assert!(limit.take(retry, 1).is_ok(), "{rule:?}");
        let admitted = (0..100).filter(|_| limit.take(HOUR + 1, 1).is_ok()).count();
        assert!(admitted <= 10, "{rule:?} admits {admitted}");
    }
}

#[test]
fn the_promised_retry_is_the_first_moment_that_admits() {
    for mut limit in [
        Limit::bucket(7, 3, 7),
        Limit::bucket(100, 7, 60 * SECOND),
        Limit::window(7, 1234),
        Limit::sliding(7, 13),
        Limit::sliding(100, 60_000),
    ] {
        let (rule, mut at) = (limit.rule, 0);
        for step in 0..500_u64 {
            at += step * step % 977 * (1 + rule.most() / 1000);
            let cost = 1 + step % 7;
            if let Err(Some(retry)) = limit.take(at, cost) {
                assert!(retry > 0);
                let early = Limit { rule, state: limit.state }.take(at + retry - 1, cost);
                assert!(early.is_err(), "{rule:?} admits before the promised time");
                assert!(Limit { rule, state: limit.state }.take(at + retry, cost).is_ok(), "{rule:?}");
            }
        }
    }
}

#[test]
fn a_ban_refuses_everything_until_it_ends() {
    let ban = Ban { length_us: 5 * SECOND, from_us: START };
    for limit in [Limit::bucket(10, 1, SECOND), Limit::window(10, SECOND), Limit::sliding(10, 1000)] {
        let standing = |at_us| {
            let (now_us, state) = (START + at_us, State { ban: Some(ban), ..State::empty(START) });
            limit.rule.standing(limit.rule.at(Some(state), now_us), now_us, 1)
        };
        for (at_us, left_us) in [(0, 5 * SECOND), (5 * SECOND - 1, 1)] {
            let verdict = Verdict::Refused { retry_after_us: Some(left_us) };
            let banned = Standing { verdict, remaining: 0, reset_us: left_us, banned: true };
            assert_eq!(standing(at_us), banned, "{:?} at {at_us}", limit.rule);
        }
        let free = Standing { verdict: Verdict::Admitted, remaining: 10, reset_us: 0, banned: false };
        assert_eq!(standing(5 * SECOND), free, "{:?}", limit.rule);
    }
}

#[test]
fn who_fits_after_a_ban_waits_for_nothing_else() {
    let ban = Some(Ban { length_us: 5 * SECOND, from_us: START });
    for limit in [Limit::window(10, 60 * SECOND), Limit::sliding(10, 60_000)] {
        let standing = limit.rule.standing(State { used: 9, ban, ..State::empty(START) }, START, 1);
        assert_eq!(
            standing.verdict,
            Verdict::Refused { retry_after_us: Some(5 * SECOND) },
            "{:?}",
            limit.rule
        );
    }
}

#[test]
fn windows_end_and_buckets_have_none() {
    let left = |limit: &Limit, at_us| limit.rule.window_left_us(State::empty(START), START + at_us);
    for at_us in [0, SECOND] {
        assert_eq!(left(&Limit::bucket(10, 1, SECOND), at_us), None);
        assert_eq!(left(&Limit::window(10, 3 * SECOND), at_us), Some(3 * SECOND - at_us));
        assert_eq!(left(&Limit::sliding(10, 3000), at_us), Some(3 * SECOND - at_us));
    }
    assert_eq!(left(&Limit::window(10, SECOND), 2 * SECOND), Some(0), "it is over");
}

/// These words are part of keys and of what the script is told, in every version.
#[test]
fn each_rule_has_its_words() {
    for (limit, word, script) in [
        (Limit::bucket(6, 2, 500), "b6.2.500", ("b", 3000, 2)),
        (Limit::window(7, 1234), "w7.1234", ("w", 7, 1234)),
        (Limit::sliding(8, 60), "s8.60", ("s", 8, 60)),
    ] {
        assert_eq!((&*limit.rule.word(), limit.rule.script()), (word, script));
    }
}

/// Beyond 2^53 two neighbours are one double.
#[test]
fn what_a_full_limit_holds_and_one_more_stay_apart_in_lua() {
    let is_apart = |units: u64| units as f64 != (units + 1) as f64;
    assert!(is_apart(MAX_UNITS) && is_apart(MAX_UNITS + 1));
    assert!(!is_apart(MAX_UNITS + 2), "it is the largest such number");
}

#[test]
fn states_that_are_not_ours_lock_nobody_out_for_long() {
    let huge = State { used: 1 << 53, since_us: 1 << 53, before: 1 << 53, ban: None };
    for limit in [Limit::bucket(10, 1, SECOND), Limit::window(10, SECOND), Limit::sliding(10, 1000)] {
        let state = limit.rule.at(Some(huge), START);
        let Verdict::Refused { retry_after_us: Some(retry) } = limit.rule.standing(state, START, 1).verdict
        else {
            panic!("it counts as full");
        };
        assert!(retry <= 10 * SECOND);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    /// For whatever state: who waits as told is admitted, and nobody is before.
    #[test]
    fn promises_come_true_from_any_state(
        kind in 0..3,
        (most, length) in (1..2_000_u64, prop_oneof![1..20_u64, 1..100_000_000_u64]),
        (used, before) in (prop_oneof![Just(0), 0..3_000_u64], prop_oneof![Just(0), 0..3_000_u64]),
        // Thousandths of a window or period: most of them within the next one or two.
        ago in prop_oneof![3 => -1_000..3_000_i64, 1 => 0..2_000_000_i64],
        ban in prop::option::of(0..1_000_000_000_u64),
        cost in 0..2_100_u64,
    ) {
        let rule = match kind {
            0 => Rule::Bucket(Bucket { capacity: most, refill: 1 + length % 7, period_us: length }),
            1 => Rule::Window(Window { limit: most, window_us: length }),
            _ => Rule::Sliding(Sliding { limit: most, window_ms: length }),
        };
        let length_us = if kind == 2 { length * 1000 } else { length };
        let since_us = START.saturating_add_signed(-ago * length_us.cast_signed() / 1000);
        let ban = ban.map(|length_us| Ban { length_us, from_us: since_us });
        let state = rule.at(Some(State { used: used * rule.units(1), since_us, before, ban }), START);
        let then = |after| {
            let now_us = START + after;
            rule.standing(rule.at(Some(state), now_us), now_us, cost)
        };
        match then(0).verdict {
            Verdict::Admitted => prop_assert!(cost <= most),
            Verdict::Refused { retry_after_us: None } => prop_assert!(cost > most),
            Verdict::Refused { retry_after_us: Some(retry) } => {
                prop_assert_ne!(then(retry - 1).verdict, Verdict::Admitted);
                prop_assert_eq!(then(retry).verdict, Verdict::Admitted);
            }
        }
        let full = then(then(0).reset_us);
        prop_assert_eq!((full.remaining, full.reset_us), (most, 0));
        let kept = rule.keep_us(state, START);
        prop_assert!(rule.at(Some(state), START + kept).is_empty(), "what says something is kept");
    }
}
