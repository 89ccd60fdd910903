//! The life cycle of sessions against a simple model: random interleavings of requests, revocations and lost responses.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod model;
mod run;

use keep_testing::RedisServer;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tower_keep::store::Store;

use model::Step;

fn step() -> impl Strategy<Value = Step> {
    let slot = 0..4usize;
    let name = prop_oneof![Just("a"), Just("b"), Just("n")];
    let user = prop_oneof![Just("alice"), Just("bob")];
    prop_oneof![
        4 => (slot.clone(), 0..3usize).prop_map(|(slot, client)| Step::Begin { slot, client }),
        4 => (slot.clone(), name.clone(), 0..3i64).prop_map(|(slot, name, value)| Step::Insert { slot, name, value }),
        2 => (slot.clone(), name.clone()).prop_map(|(slot, name)| Step::Remove { slot, name }),
        1 => slot.clone().prop_map(|slot| Step::Clear { slot }),
        2 => (slot.clone(), name).prop_map(|(slot, name)| Step::Increment { slot, name }),
        2 => (slot.clone(), user.clone()).prop_map(|(slot, user)| Step::Login { slot, user }),
        1 => slot.clone().prop_map(|slot| Step::Logout { slot }),
        1 => slot.clone().prop_map(|slot| Step::Rotate { slot }),
        1 => slot.clone().prop_map(|slot| Step::Save { slot }),
        4 => (slot, prop::bool::weighted(0.9)).prop_map(|(slot, delivered)| Step::Finish { slot, delivered }),
        1 => (0..3usize).prop_map(|client| Step::Delete { client }),
        1 => user.clone().prop_map(|user| Step::RevokeAll { user }),
        1 => (user, 0..3usize).prop_map(|(user, client)| Step::RevokeOthers { user, client }),
    ]
}

fn check(cases: u32, store: impl AsyncFn() -> Store) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = runtime.block_on(store());
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let result = runner.run(&vec(step(), 1..60), |steps| {
        runtime.block_on(run::run(&store, &steps));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn the_embedded_store_behaves_like_the_model() {
    check(2_000, async || Store::in_memory());
}

#[test]
fn redis_behaves_like_the_model() {
    let server = RedisServer::start();
    check(400, async || Store::connect(&server.url()).unwrap());
}

/// A sign-in with a secret that a rotation has killed: the session is nobody's, so a revocation must not end it.
#[test]
fn a_stale_sign_in_leaves_no_trace_in_the_index() {
    let steps = [
        Step::Begin { slot: 2, client: 1 },
        Step::Insert { slot: 2, name: "a", value: 0 },
        Step::Finish { slot: 2, delivered: true },
        Step::Begin { slot: 1, client: 1 },
        Step::Rotate { slot: 1 },
        Step::Begin { slot: 0, client: 1 },
        Step::Save { slot: 1 },
        Step::Login { slot: 0, user: "alice" },
        Step::Begin { slot: 0, client: 0 },
        Step::RevokeAll { user: "alice" },
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run::run(&Store::in_memory(), &steps));
}
