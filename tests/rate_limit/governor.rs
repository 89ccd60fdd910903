//! The bucket against another implementation of the algorithm, with a clock that the test turns.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::FakeRelativeClock;
use governor::{Quota as Theirs, RateLimiter as TheirLimiter};
use proptest::prelude::*;
use tower_keep::clock::Clock;
use tower_keep::rate_limit::{Ask, Quota};
use tower_keep::store::{MemoryLimits, Store};

use crate::fixture::one;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn decisions_are_those_of_governor(
        period_us in 1..2_000_000_u64,
        burst in 1..50_u32,
        turns in prop::collection::vec((0..4_000_000_u64, 1..8_u32), 1..200),
    ) {
        let period = Duration::from_micros(period_us);
        let theirs = Theirs::with_period(period).unwrap().allow_burst(NonZeroU32::new(burst).unwrap());
        let their_clock = FakeRelativeClock::default();
        let theirs = TheirLimiter::direct_with_clock(theirs, their_clock.clone());

        let clock = Clock::manual(1_700_000_000_000);
        let store = Store::in_memory_with(MemoryLimits::default(), clock.clone());
        let ours = one(store, Quota::per(1, period).burst(burst.into()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();

        for (pause_us, cost) in turns {
            // Short pauses beside the period, so that both refuse now and then.
            let pause = Duration::from_micros(pause_us % (3 * period_us));
            clock.advance(pause);
            their_clock.advance(pause);
            let admitted = theirs.check_n(NonZeroU32::new(cost).unwrap());
            let decision = runtime.block_on(ours.check(Ask::new("k").cost(cost.into()))).unwrap();
            prop_assert_eq!(decision.is_admitted(), matches!(admitted, Ok(Ok(()))));
            if admitted.is_err() {
                prop_assert_eq!(decision.retry_after(), None, "never possible");
            }
        }
    }
}
