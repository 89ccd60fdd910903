//! What a limit costs in this process: no sockets. `cargo bench --bench limits [part of a name]`.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::net::IpAddr;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, Request};
use tokio::runtime::Runtime;
use tower_keep::rate_limit::{
    Ask, KeyPart, Limit, LimitKey, LimitReport, PolicyName, PolicyReport, ProxyHeader, Quota, RateLimiter,
    ResponseFields, TrustedProxies,
};
use tower_keep::store::Store;
use tower_keep::store::key::{Key, KeyPrefix};
use tower_keep::store::op::{Bucket, DecideLimits, LimitUse, LimitVerb, Rule, Sliding, State, Window};

const NOW_US: u64 = 1_700_000_000_000_000;
const MINUTE: Duration = Duration::from_secs(60);
/// So many that no benchmark uses them up.
const MANY: u64 = 1 << 32;

fn rules(c: &mut Criterion) {
    let bucket = Rule::Bucket(Bucket { capacity: 1000, refill: 1, period_us: 1000 });
    let window = Rule::Window(Window { limit: 1000, window_us: 60_000_000 });
    let sliding = Rule::Sliding(Sliding { limit: 1000, window_ms: 60_000 });
    for (name, rules) in [
        ("token bucket", &[bucket][..]),
        ("fixed window", &[window]),
        ("sliding window", &[sliding]),
        ("all three together", &[bucket, window, sliding]),
    ] {
        let limit = |(i, rule): (usize, &Rule)| {
            let key = Key::new(&KeyPrefix::default(), "limit", &i.to_string());
            LimitUse { key, rule: *rule, cost: 1 }
        };
        let limits = rules.iter().enumerate().map(limit);
        let operation = DecideLimits::new(LimitVerb::Take, limits).unwrap();
        let state = State { used: 500, before: 10, ..State::empty(NOW_US) };
        let stored = vec![Some(state); rules.len()];
        c.bench_function(&format!("rule: {name}"), |b| {
            b.iter(|| operation.decide(black_box(&stored), black_box(NOW_US + 1000)));
        });
    }
    let text = State { used: 500, before: 10, ..State::empty(NOW_US) }.to_text();
    c.bench_function("state read", |b| b.iter(|| State::parse(black_box(&text))));
    c.bench_function("state write", |b| {
        let state = State::parse(&text).unwrap();
        b.iter(|| black_box(state).to_text());
    });
}

fn request(c: &mut Criterion) {
    let proxies = TrustedProxies::networks(ProxyHeader::XForwardedFor, ["10.0.0.0/8", "fd00::/8"]).unwrap();
    let forwarded = "198.51.100.1, 203.0.113.7, 10.0.0.2";
    let request = Request::post("/login").header("x-forwarded-for", forwarded).body(()).unwrap();
    let proxy: IpAddr = "10.0.0.1".parse().unwrap();
    c.bench_function("client: behind two proxies", |b| {
        b.iter(|| proxies.client(black_box(&request), Some(proxy)));
    });
    let client = proxies.client(&request, Some(proxy)).unwrap().address();
    c.bench_function("key: address and path", |b| {
        b.iter(|| LimitKey::from((black_box(client), KeyPart::path("/login"))));
    });
    c.bench_function("key: secret", |b| b.iter(|| LimitKey::from(KeyPart::api_key(black_box(b"sesame")))));
    let policy = |name, quota| {
        let mut policy = PolicyReport::new(PolicyName::new(name).unwrap(), quota, quota - 1);
        (policy.window_us, policy.reset_us) = (Some(1_000_000), Some(10_000));
        policy
    };
    let report = LimitReport::new(vec![policy("burst", 100), policy("daily", 10_000)], None);
    c.bench_function("fields: two limits", |b| {
        b.iter(|| {
            let mut headers = HeaderMap::new();
            ResponseFields::new().apply(black_box(&report), &mut headers);
            headers
        });
    });
}

fn embedded(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let burst = Limit::new("burst", Quota::per_second(MANY));
    let daily = Limit::new("daily", Quota::window(MANY, MINUTE));
    let even = Limit::new("even", Quota::sliding(MANY, MINUTE));
    let few = Limit::new("few", Quota::window(1, MINUTE * 60));
    for (name, limits) in [
        ("token bucket", vec![burst.clone()]),
        ("fixed window", vec![daily.clone()]),
        ("sliding window", vec![even.clone()]),
        ("all three together", vec![burst, daily, even]),
        ("refused", vec![few]),
    ] {
        let builder = RateLimiter::builder(Store::in_memory());
        let limiter =
            limits.into_iter().fold(builder, |builder, limit| builder.limit(limit)).build().unwrap();
        c.bench_function(&format!("embedded: {name}"), |b| {
            b.iter(|| runtime.block_on(limiter.check(Ask::new(black_box("alice")))).unwrap());
        });
    }
}

criterion_group!(benches, rules, request, embedded);
criterion_main!(benches);
