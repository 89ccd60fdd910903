//! What the counters say, so that whoever runs a site sees what its cache does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tower_keep::cache::{CachePolicy, Purging};

use crate::fixture::*;

/// Counts on the thread of its test.
#[derive(Clone, Default)]
struct Counts(Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>);

impl Counts {
    fn of(&self, name: &str, reason: &str) -> u64 {
        let counts = self.0.lock().unwrap();
        counts
            .get(&format!("tower_keep_cache_{name}_total {reason}"))
            .map_or(0, |count| count.load(Ordering::SeqCst))
    }
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let reason = key.labels().next().map_or("", |label| label.value());
        let name = format!("{} {reason}", key.name());
        Counter::from_arc(Arc::clone(self.0.lock().unwrap().entry(name).or_default()))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test]
async fn what_becomes_of_requests_is_counted() {
    let counts = Counts::default();
    let _guard = metrics::set_default_local_recorder(&counts);
    let world = World::embedded();
    let site = Site::new(world.with(CachePolicy::new().max_body(10)), |request, n| async move {
        let stale: &[(&str, &str)] =
            &[("cache-control", "max-age=60, stale-while-revalidate=600"), ("age", "90")];
        match request.uri().path() {
            "/stale" => page(n.to_string(), stale),
            "/long" => page("x".repeat(11), DAY),
            "/private" => page("", &[("cache-control", "private")]),
            _ => page(n.to_string(), DAY),
        }
    });
    site.stored(|| get("/a", &[])).await;
    site.hit(get("/a", &[])).await;
    site.stored(|| get("/stale", &[])).await;
    site.get("/long").await;
    site.get("/private").await;
    site.send(request("POST", "/b", &[])).await;
    site.cache.purge(Purging::all()).await.unwrap();
    site.cache.purge(Purging::all().softly()).await.unwrap();
    for (name, reason, expected) in [
        ("hits", "fresh", 2),
        ("hits", "stale", 1),
        ("forwarded", "uri-miss", 4),
        ("forwarded", "method", 1),
        ("stored", "", 2),
        ("not_stored", "too-large", 1),
        ("not_stored", "private", 1),
        ("purges", "hard", 1),
        ("purges", "soft", 1),
    ] {
        assert_eq!(counts.of(name, reason), expected, "{name} {reason}");
    }
}

#[tokio::test]
async fn bodies_that_are_given_up_are_counted() {
    let counts = Counts::default();
    let _guard = metrics::set_default_local_recorder(&counts);
    let world = World::embedded();
    let site = Site::new(world.cache(), |request, _| async move {
        let (pieces, body) = piped();
        if request.uri().path() == "/failed" {
            pieces.send(Err(Trouble("no database"))).unwrap();
        }
        Ok(answer(200, "", DAY).map(|_| body))
    });
    drop(site.raw(get("/aborted", &[])).await);
    let failed = site.raw(get("/failed", &[])).await;
    assert!(Reply::read(failed).await.is_err());
    for reason in ["aborted", "failed"] {
        eventually(reason, async || counts.of("not_stored", reason) == 1).await;
    }
}

#[tokio::test]
async fn what_the_store_lost_or_spoiled_is_counted() {
    let counts = Counts::default();
    let _guard = metrics::set_default_local_recorder(&counts);
    let mut world = World::redis();
    let site = Site::counting(world.cache(), DAY);
    for (part, reason) in [("}", "head"), (":0", "body"), (":log", "log")] {
        world.server().tell("FLUSHALL");
        site.stored(|| get("/", &[])).await;
        let keys = crate::eviction::keys(world.server());
        let key = keys.iter().find(|key| key.ends_with(part)).unwrap();
        let _: () = world.server().cmd("SET", &[key, "rubbish"]);
        assert!(!site.get("/").await.is_hit());
        assert_eq!(counts.of("corrupt", reason), 1, "{reason}");
    }
    world.redis.as_mut().unwrap().stop();
    site.get("/").await;
    let counted = counts.0.lock().unwrap();
    assert!(
        counted.keys().any(|name| name.starts_with("tower_keep_cache_store_failures_total ")),
        "{counted:?}"
    );
}
