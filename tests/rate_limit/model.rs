//! The script against the rules in Rust, with a clock that the test turns.

use keep_testing::RedisServer;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tower_keep::store::fuzzing::{rate_limit_script, words};
use tower_keep::store::key::{Composite, Key, KeyPrefix, Slot};
use tower_keep::store::op::{Bucket, DecideLimits, LimitUse, LimitVerb, Rule, Sliding, State, Step, Window};

const START: u64 = 1_700_000_000_000_000;
const HOUR_MS: u64 = 3_600_000;
const SEQUENCES: u32 = 3_000;

/// The script with the clock in its last two arguments, and with keys that outlive a test whose time does not pass.
fn with_test_clock() -> String {
    let (time, ttl) = ("redis.call('TIME')", "'PX', ");
    let script = rate_limit_script();
    assert!(script.matches(time).count() == 1 && script.matches(ttl).count() == 2);
    script.replace(time, "{ ARGV[#ARGV - 1], ARGV[#ARGV] }").replace(ttl, &format!("'PX', {HOUR_MS} + "))
}

#[derive(Clone, Debug)]
struct Turn {
    verb: LimitVerb,
    /// Which limits, and at what cost.
    costs: [Option<u64>; 3],
    moves: Move,
}

/// How the clock moves before.
#[derive(Clone, Debug)]
enum Move {
    /// By microseconds.
    By(i64),
    /// By so many windows or periods of the first limit, and some microseconds: edges are where rules differ.
    Edge(i64, i64),
}

/// The length of a rule's window or period, microseconds.
fn length_us(rule: Rule) -> u64 {
    match rule {
        Rule::Bucket(bucket) => bucket.period_us,
        Rule::Window(window) => window.window_us,
        Rule::Sliding(sliding) => sliding.window_ms * 1000,
        other => panic!("not known: {other:?}"),
    }
}

fn rules() -> impl Strategy<Value = Rule> {
    let most = 1..40_u64;
    let period = prop_oneof![1..50_u64, 1_000..5_000_000_u64];
    prop_oneof![
        (most.clone(), 1..2_000_u64, period.clone())
            .prop_map(|(capacity, refill, period_us)| Rule::Bucket(Bucket { capacity, refill, period_us })),
        (most.clone(), period.clone())
            .prop_map(|(limit, window_us)| Rule::Window(Window { limit, window_us })),
        (most, 1..5_000_u64).prop_map(|(limit, window_ms)| Rule::Sliding(Sliding { limit, window_ms })),
        // At the edge of what a double counts exactly.
        (1..4_u64).prop_map(|refill| Rule::Bucket(Bucket {
            capacity: 3,
            refill,
            period_us: ((1 << 53) - 2) / 3
        })),
        Just(Rule::Window(Window { limit: (1 << 53) - 2, window_us: 1_000_000 })),
        Just(Rule::Sliding(Sliding { limit: 1_000_003, window_ms: 9_000_000_000 })),
    ]
}

fn turns() -> impl Strategy<Value = Turn> {
    let verb = prop_oneof![
        12 => Just(LimitVerb::Take),
        2 => Just(LimitVerb::Peek),
        2 => Just(LimitVerb::Refund),
        1 => Just(LimitVerb::Penalise),
        1 => prop_oneof![Just(0), 1..3_000_000_u64, Just(u64::MAX)].prop_map(LimitVerb::Ban),
    ];
    let cost = prop_oneof![6 => Just(1), 4 => 0..12_u64, 1 => Just(333_333), 1 => Just(u64::MAX)];
    let limits = prop_oneof![3 => Just([true, false, false]), 1 => any::<[bool; 3]>()];
    let moves = prop_oneof![
        4 => Just(Move::By(0)),
        6 => (0..5_000_i64).prop_map(Move::By),
        4 => (0..3_000_000_i64).prop_map(Move::By),
        4 => (1..3_i64, -1..2_i64).prop_map(|(windows, by)| Move::Edge(windows, by)),
        1 => (0..20_000_000_000_000_i64).prop_map(Move::By),
        1 => (-5_000..0_i64).prop_map(Move::By),
        1 => Just(Move::By(-3_600_000_000)),
    ];
    (verb, [cost.clone(), cost.clone(), cost], limits, moves).prop_map(|(verb, costs, limits, moves)| {
        let costs = std::array::from_fn(|i| limits[i].then_some(costs[i]));
        Turn { verb, costs, moves }
    })
}

/// What the script answered, and what lies under the keys in the end: value and time to live.
type Heard = (Vec<(String, i64, Vec<String>)>, Vec<(Option<String>, i64)>);

struct Server {
    connection: redis::Connection,
    hash: String,
    cases: u64,
}

impl Server {
    fn hear(&mut self, calls: &[(DecideLimits, u64)], keys: &[Key]) -> Heard {
        let mut pipeline = redis::pipe();
        for key in keys {
            pipeline.cmd("DEL").arg(key.as_str()).ignore();
        }
        for (operation, now_us) in calls {
            let (keys, args) = words(operation);
            pipeline.cmd("EVALSHA").arg(&self.hash).arg(keys.len()).arg(keys).arg(args);
            pipeline.arg(now_us / 1_000_000).arg(now_us % 1_000_000);
        }
        let answers: Vec<Vec<redis::Value>> = pipeline.query(&mut self.connection).unwrap();
        let answers = answers.into_iter().map(|mut answer| {
            let states = answer.split_off(2);
            let [key, now] = <[redis::Value; 2]>::try_from(answer).unwrap();
            let text = |value| redis::from_redis_value(value).unwrap();
            (text(key), redis::from_redis_value(now).unwrap(), states.into_iter().map(text).collect())
        });
        let answers = answers.collect();
        let held = keys.iter().map(|key| {
            let mut ask = redis::pipe();
            ask.cmd("GET").arg(key.as_str()).cmd("PTTL").arg(key.as_str());
            ask.query(&mut self.connection).unwrap()
        });
        (answers, held.collect())
    }
}

fn agree(server: &mut Server, rules: [Rule; 3], turns: &[Turn]) {
    let keys = ["a", "b", "c"].map(|name| {
        Key::limit(&KeyPrefix::default(), ["test", name, "x"], &Composite::text("subject"), Slot::Namespace)
    });
    let mut now_us = START;
    let mut calls = Vec::new();
    for turn in turns {
        let length_us = length_us(rules[0]);
        let by = match turn.moves {
            Move::By(by) => by,
            Move::Edge(windows, by) => (windows * i64::try_from(length_us).unwrap()).min(1 << 45) + by,
        };
        now_us = now_us.saturating_add_signed(by);
        // Half of the bans end at an edge.
        let verb = match turn.verb {
            LimitVerb::Ban(us) if us % 2 == 1 && us != u64::MAX => LimitVerb::Ban(length_us),
            verb => verb,
        };
        let limits = (0..3).filter_map(|i| {
            turn.costs[i].map(|cost| LimitUse { key: keys[i].clone(), rule: rules[i], cost })
        });
        calls.extend(DecideLimits::new(verb, limits).map(|operation| (operation, now_us)));
    }
    let (answers, held) = server.hear(&calls, &keys);

    let mut model: [Option<State>; 3] = [None; 3];
    let mut ends = [0; 3];
    for ((operation, now_us), (echo, now, states)) in calls.iter().zip(answers) {
        server.cases += 1;
        let concerned: Vec<usize> =
            operation.limits().map(|limit| keys.iter().position(|key| *key == limit.key).unwrap()).collect();
        let stored: Vec<_> = concerned.iter().map(|i| model[*i]).collect();
        let outcome = operation.decide(&stored, *now_us);
        assert_eq!(echo, keys[concerned[0]].as_str());
        let signed = if outcome.admitted { 1 } else { -1 } * i64::try_from(*now_us).unwrap();
        assert_eq!(now, signed, "{operation:?} at {now_us} with {stored:?}");
        let expected: Vec<_> = outcome.steps.iter().map(|step| step.state().to_text()).collect();
        assert_eq!(states, expected, "{operation:?} at {now_us} with {stored:?}");
        for (i, step) in concerned.into_iter().zip(outcome.steps) {
            if let Step::Write(state) = step {
                let empty = State { since_us: 0, ..state } == State { since_us: 0, ..State::empty(*now_us) };
                model[i] = (!empty).then_some(state);
                ends[i] =
                    i64::try_from(rules[i].keep_us(state, *now_us).div_ceil(1000) + 1 + HOUR_MS).unwrap();
            }
        }
    }
    for ((state, ends), (value, ttl)) in model.into_iter().zip(ends).zip(held) {
        assert_eq!(value, state.map(State::to_text));
        let fits = if state.is_some() { (ends - 60_000..=ends).contains(&ttl) } else { ttl == -2 };
        assert!(fits, "kept for {ttl} ms instead of {ends}: {state:?}");
    }
}

#[test]
fn the_script_and_the_rules_agree_at_any_time() {
    let redis = RedisServer::start();
    let hash: String = redis.cmd("SCRIPT", &["LOAD", &with_test_clock()]);
    let server = std::cell::RefCell::new(Server { connection: redis.admin(), hash, cases: 0 });
    let config = Config { cases: SEQUENCES, failure_persistence: None, ..Config::default() };
    let strategy = ([rules(), rules(), rules()], prop::collection::vec(turns(), 1..80));
    TestRunner::new(config)
        .run(&strategy, |(rules, turns)| {
            agree(&mut server.borrow_mut(), rules, &turns);
            Ok(())
        })
        .unwrap();
    let cases = server.borrow().cases;
    assert!(cases > 100_000, "only {cases} cases");
}

/// What other programs left under a limit's key locks nobody out, and goes with the next write.
#[test]
fn foreign_values_count_as_none() {
    let redis = RedisServer::start();
    let mut connection = redis.admin();
    let key =
        Key::limit(&KeyPrefix::default(), ["test", "a", "x"], &Composite::text("subject"), Slot::Namespace);
    let bucket = Rule::Bucket(Bucket { capacity: 5, refill: 1, period_us: 1 << 40 });
    let window = Rule::Window(Window { limit: 5, window_us: 60_000_000 });
    let calls = [(bucket, 1_u64 << 40), (window, 1)].map(|(rule, unit)| {
        let limits = vec![LimitUse { key: key.clone(), rule, cost: 1 }];
        (words(&DecideLimits::new(LimitVerb::Take, limits).unwrap()), unit)
    });
    for plant in
        ["SET k canary", "SET k -5:3", "SET k 1.5:2", "SET k :", "HSET k a b", "RPUSH k 9", "ZADD k 1 a"]
    {
        for ((keys, args), unit) in &calls {
            redis.tell(&format!("DEL {}", key.as_str()));
            redis.tell(&plant.replacen('k', key.as_str(), 1));
            let mut call = redis::cmd("EVAL");
            call.arg(rate_limit_script()).arg(keys.len()).arg(keys).arg(args);
            let (_, now, state): (String, i64, String) = call.query(&mut connection).unwrap();
            assert_eq!(state, format!("{unit}:{now}"), "{plant}");
            let ttl: i64 = redis.cmd("PTTL", key.as_str());
            assert!(ttl > 0, "{plant}");
        }
    }
}
