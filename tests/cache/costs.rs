//! What requests cost: commands and round trips, counted by the server.

use std::collections::BTreeMap;

use keep_testing::RedisServer;
use tower_keep::cache::{CachePolicy, CacheTags, HttpCache, Purging};

use crate::fixture::*;

/// The commands of some requests, the last of which was answered.
async fn cost(server: &RedisServer, what: impl AsyncFnOnce()) -> BTreeMap<String, u64> {
    server.reset_calls();
    what().await;
    server.calls()
}

fn commands(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[tokio::test]
async fn a_hit_is_one_command_once_the_process_has_seen_it() {
    let world = World::redis();
    let policy = CachePolicy::new().tags(|request| vec![request.path().to_owned(), "all".to_owned()]);
    let site = Site::new(world.with(policy), |request, _| async move {
        let vary = [DAY[0], ("vary", "accept-language"), ("etag", "\"1\"")];
        let fields =
            if request.uri().path() == "/varies" { &vary[..] } else { &[DAY[0], ("etag", "\"1\"")][..] };
        page("x".repeat(100_000), fields)
    });
    world.server().probed_by(1).await;
    for path in ["/plain", "/varies"] {
        site.stored(|| get(path, &[])).await;
        site.hit(get(path, &[])).await;
        for fields in
            [&[][..], &[("if-none-match", "\"1\"")], &[("range", "bytes=0-9")], &[("authorization-2", "x")]]
        {
            let cost = cost(world.server(), async || {
                for _ in 0..10 {
                    site.hit(get(path, fields)).await;
                }
            });
            // A part is cut from a segment of its own, and is asked for when it is known that it is wanted.
            let each = if fields.first().is_some_and(|field| field.0 == "range") { 2 } else { 1 };
            assert_eq!(cost.await, commands(&[("mget", 10 * each)]), "{path} {fields:?}");
        }
    }
}

/// A process that is new to a page looks up to three times: list, variant, body.
#[tokio::test]
async fn a_process_that_is_new_to_a_page_finds_it_in_two_or_three_round_trips() {
    let world = World::redis();
    let site = Site::new(world.cache(), |request, _| async move {
        let varies: &[(&str, &str)] = &[DAY[0], ("vary", "accept-language")];
        page("x", if request.uri().path() == "/varies" { varies } else { DAY })
    });
    for (path, trips) in [("/plain", 2), ("/varies", 3)] {
        site.stored(|| get(path, &[])).await;
        let new = site.behind(HttpCache::builder(patient(world.server())).deadline(LONG).build().unwrap());
        assert_eq!(new.cache.purge(Purging::tags(["nobody"])).await.ok(), Some(()), "it is connected");
        world.server().probed_by(1).await;
        let cost = cost(world.server(), async || drop(new.hit(get(path, &[])).await)).await;
        let probes = ["del", "time"];
        let cost: BTreeMap<_, _> = cost.into_iter().filter(|(name, _)| !probes.contains(&&**name)).collect();
        assert_eq!(cost, commands(&[("mget", trips)]), "{path}");
    }
}

#[tokio::test]
async fn what_is_left_alone_costs_nothing() {
    let world = World::redis();
    let policy = CachePolicy::new().bypass_if(|request| request.path() == "/plain");
    let site = Site::counting(world.with(policy), DAY);
    world.server().probed_by(1).await;
    let cost = cost(world.server(), async || {
        site.get("/plain").await;
        site.send(get("/a", &[("upgrade", "websocket")])).await;
        site.send(get("/a", &[("content-length", "3")])).await;
        site.send(request("OPTIONS", "/a", &[])).await;
        site.send(request("QUERY", "/a", &[])).await;
    });
    assert_eq!(cost.await, commands(&[]));
    assert_eq!(site.calls(), 5);
}

#[tokio::test]
async fn what_is_never_stored_costs_one_look() {
    let world = World::redis();
    let site = Site::counting(world.cache(), &[("cache-control", "no-store")]);
    world.server().probed_by(1).await;
    site.get("/a").await;
    eventually("the right to fill was given back", async || crate::eviction::keys(world.server()).is_empty())
        .await;
    let cost = cost(world.server(), async || {
        for _ in 0..10 {
            site.get("/a").await;
        }
    });
    assert_eq!(cost.await, commands(&[("mget", 10)]));
}

/// The same few commands, whether two responses are purged or two thousand.
#[tokio::test]
async fn a_purge_costs_the_same_however_much_there_is() {
    let world = World::redis();
    let site = Site::new(world.cache(), |_, n| async move {
        let mut response = answer(200, n.to_string(), DAY);
        response.extensions_mut().insert(CacheTags::new(["all"]));
        Ok(response)
    });
    let purges = || {
        let hard =
            [Purging::tags(["all"]), Purging::below(HOST, "/"), Purging::url(HOST, "/0"), Purging::all()];
        hard.into_iter().flat_map(|purging| [purging.clone(), purging.softly()])
    };
    site.stored(|| get("/0", &[])).await;
    world.server().probed_by(1).await;
    let mut costs = Vec::new();
    for pages in [2, 400] {
        let mut each = Vec::new();
        for purging in purges() {
            for n in 0..pages {
                site.stored(|| get(&format!("/{n}"), &[])).await;
            }
            world.server().reset_calls();
            site.cache.purge(purging).await.unwrap();
            let calls = world.server().calls();
            let scripts = calls.get("evalsha").copied().unwrap_or(0);
            assert_eq!(scripts + u64::from(calls.len() == 1), 1, "one command from outside: {calls:?}");
            each.push(calls);
        }
        costs.push(each);
    }
    assert_eq!(costs[0], costs[1]);
    assert!(costs[0].iter().all(|calls| calls.values().sum::<u64>() <= 6), "{:?}", costs[0]);
}
