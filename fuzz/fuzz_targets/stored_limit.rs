//! States of limits: whatever a server answers or holds, the verdict is sound and what it promises comes true.
//!
//! The input is two numbers for the limit, the time, the cost (8 bytes each), and the state's text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_keep::store::fuzzing::read_limits;
use tower_keep::store::key::{Key, KeyPrefix};
use tower_keep::store::op::{
    Bucket, DecideLimits, LimitUse, LimitVerb, Rule, Sliding, State, Verdict, Window,
};

/// A rule that a checked quota can be: products stay below 2^53.
fn rule(a: u64, b: u64) -> Rule {
    let (most, length) = (1 + (a >> 2) % (1 << 23), 1 + b % (1 << 29));
    match a % 3 {
        0 => Rule::Bucket(Bucket { capacity: most, refill: 1 + b % 1_000, period_us: length }),
        1 => Rule::Window(Window { limit: most, window_us: length }),
        _ => Rule::Sliding(Sliding { limit: most, window_ms: length }),
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((numbers, text)) = input.split_first_chunk::<32>() else { return };
    let number =
        |i: usize| numbers[8 * i..8 * i + 8].iter().fold(0, |n: u64, byte| n << 8 | u64::from(*byte));
    let (rule, cost) = (rule(number(0), number(1)), number(3));
    let text = String::from_utf8_lossy(text);
    let key = Key::new(&KeyPrefix::default(), "limit", "x");
    let limits = vec![LimitUse { key, rule, cost }];
    let decide = DecideLimits::new(LimitVerb::Take, limits).expect("there is a limit");
    // An answer of any kind is read or refused.
    let _ = read_limits(&decide, number(2).cast_signed(), &[&text]);

    let Some(state) = State::parse(&text) else { return };
    assert_eq!(State::parse(&state.to_text()).map(State::to_text), Some(state.to_text()));
    let now_us = number(2) % (1 << 52);
    let at = |now_us| rule.standing(rule.at(Some(state), now_us), now_us, cost);
    if let Verdict::Refused { retry_after_us: Some(retry_us) } = at(now_us).verdict {
        let then_us = now_us + retry_us;
        // A state from the future is believed to be of now.
        let ours = rule.at(Some(state), now_us);
        let then = |now_us| rule.standing(rule.at(Some(ours), now_us), now_us, cost).verdict;
        assert_ne!(then(then_us - 1), Verdict::Admitted, "{rule:?} {ours:?} {cost}");
        assert_eq!(then(then_us), Verdict::Admitted, "{rule:?} {ours:?} {cost}");
    }
});
