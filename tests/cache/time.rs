//! How long responses live, on a clock that the tests turn.

use std::time::Duration;

use tower_keep::cache::rules::{Heuristic, Rules, StatusSet, Ttl};
use tower_keep::cache::{CachePolicy, NoStore, StoreFor};

use crate::fixture::*;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Asks each second until the handler runs again: how many seconds a response lived. At most `most`.
async fn lived(world: &World, site: &Site, path: &str, most: u64) -> u64 {
    site.get(path).await;
    let calls = site.calls();
    for second in 0..most {
        site.get(path).await;
        if site.calls() > calls {
            return second;
        }
        world.clock.advance(seconds(1));
    }
    most
}

#[tokio::test]
async fn a_response_lives_as_long_as_it_says() {
    const DATE: (&str, &str) = ("date", "Tue, 14 Nov 2023 22:13:20 GMT"); // the clock's beginning
    let world = World::embedded();
    let cases: [(&[(&str, &str)], u64); 12] = [
        (&[("cache-control", "max-age=10")], 10),
        (&[("cache-control", "max-age=10, s-maxage=4")], 4),
        (&[("cache-control", "max-age=10"), ("cdn-cache-control", "max-age=3")], 3),
        (&[("cache-control", "max-age=10"), ("age", "7")], 3),
        (&[("cache-control", "MAX-AGE=\"5\"")], 5),
        (&[("cache-control", "max-age=0")], 0),
        (&[("cache-control", "max-age=10, max-age=5")], 5),
        (&[DATE, ("expires", "Tue, 14 Nov 2023 22:13:26 GMT")], 6),
        (&[DATE, ("expires", "Tue, 14 Nov 2023 22:13:26 GMT"), ("cache-control", "max-age=2")], 2),
        (&[("expires", "0")], 0),
        (&[("cache-control", "max-age=banana")], 0),
        (&[("cache-control", "max-age=99999999999999999999")], 20),
    ];
    for (case, (fields, expected)) in cases.into_iter().enumerate() {
        world.clock.turn_to(START_MS * 1000);
        let site = Site::counting(world.builder().namespace(format!("c{case}")).build().unwrap(), fields);
        assert_eq!(lived(&world, &site, "/", 20).await, expected, "{fields:?}");
    }
}

#[tokio::test]
async fn a_route_may_say_how_long_its_responses_live() {
    let world = World::embedded();
    for (ttl, plain, named) in
        [(Ttl::FromResponse, 0, 3), (Ttl::Default(seconds(7)), 7, 3), (Ttl::Fixed(seconds(7)), 7, 7)]
    {
        let site = Site::new(world.with(CachePolicy::new().ttl(ttl)), |request, n| async move {
            let fields: &[(&str, &str)] = &[("cache-control", "max-age=3")];
            page(n.to_string(), if request.uri().path() == "/named" { fields } else { &[] })
        });
        assert_eq!(lived(&world, &site, "/plain", 20).await, plain, "{ttl:?}");
        assert_eq!(lived(&world, &site, "/named", 20).await, named, "{ttl:?}");
        world.clock.advance(seconds(100));
    }
    let site =
        Site::new(world.with(CachePolicy::new().ttl(Ttl::Fixed(seconds(7)))), |request, n| async move {
            let path = request.uri().path()[1..].to_owned();
            if let Ok(status) = path.parse() {
                return Ok(answer(status, n.to_string(), &[]));
            }
            page(n.to_string(), &[("cache-control", &*path)])
        });
    for own in ["/private", "/no-store", "/404", "/500", "/302"] {
        assert_eq!(
            lived(&world, &site, own, 9).await,
            0,
            "a route's lifetime makes nobody's own public: {own}"
        );
    }
}

#[tokio::test]
async fn a_handler_may_say_how_long_its_response_lives_here() {
    let world = World::embedded();
    let site = Site::new(world.cache(), |request, n| async move {
        let path = request.uri().path().to_owned();
        let control = if path == "/private" { "private" } else { "max-age=3" };
        let status = if path == "/missing" { 404 } else { 200 };
        let mut response = answer(status, n.to_string(), &[("cache-control", control)]);
        response.extensions_mut().insert(StoreFor(seconds(9)));
        if path == "/none" {
            response.extensions_mut().insert(NoStore);
        }
        Ok(response)
    });
    for (path, expected) in [("/", 9), ("/missing", 9), ("/private", 0), ("/none", 0)] {
        assert_eq!(lived(&world, &site, path, 20).await, expected, "{path}");
    }
    site.get("/told").await;
    let told = site.get("/told").await;
    assert_eq!(told.field("cache-control"), Some("max-age=3"), "others hear what the handler says to them");
    assert!(site.get("/none").await.told().contains("detail=no-store-by-handler"));
}

#[tokio::test]
async fn lifetimes_are_guessed_only_where_that_is_chosen() {
    let world = World::embedded();
    // Unchanged for 100 s before the clock's beginning.
    const FIELDS: &[(&str, &str)] =
        &[("last-modified", "Tue, 14 Nov 2023 22:11:40 GMT"), ("date", "Tue, 14 Nov 2023 22:13:20 GMT")];
    for (percent, expected) in [(0, 0), (10, 10), (50, 20)] {
        world.clock.turn_to(START_MS * 1000);
        let mut rules = Rules::safe();
        if percent > 0 {
            rules.heuristic = Heuristic::fraction(percent, seconds(20));
        }
        let cache = world.builder().namespace(format!("h{percent}")).policy(CachePolicy::new().rules(rules));
        let site = Site::counting(cache.build().unwrap(), FIELDS);
        assert_eq!(lived(&world, &site, "/", 30).await, expected, "{percent} %");
    }
}

#[tokio::test]
async fn age_tells_how_old_an_answer_is() {
    let world = World::embedded();
    let site = Site::new(world.cache(), |request, _| async move {
        let aged: &[(&str, &str)] = &[("cache-control", "max-age=100"), ("age", "30")];
        page("x", if request.uri().path() == "/aged" { aged } else { &aged[..1] })
    });
    for (path, before) in [("/new", 0), ("/aged", 30)] {
        assert_eq!(site.get(path).await.field("age"), (before > 0).then_some("30"), "its own");
        let ask = async || site.hit(get(path, &[])).await.field("age").unwrap().parse::<u64>().unwrap();
        assert_eq!(ask().await, before);
        world.clock.advance(Duration::from_millis(1_999));
        assert_eq!(ask().await, before + 1, "whole seconds");
        world.clock.advance(seconds(40));
        assert_eq!(ask().await, before + 41);
        for (method, fields) in
            [("HEAD", &[][..]), ("GET", &[("range", "bytes=0-0")]), ("GET", &[("if-none-match", "*")])]
        {
            let reply = site.send(request(method, path, fields)).await;
            assert_eq!(reply.field("age"), Some(&*(before + 41).to_string()), "{method} {fields:?}");
        }
    }
}

#[tokio::test]
async fn a_clock_that_steps_back_makes_nothing_fresh_again_nor_lasts_for_ever() {
    let world = World::embedded();
    let site = Site::counting(world.cache(), &[("cache-control", "max-age=10")]);
    site.stored(|| get("/", &[])).await;
    world.clock.turn_to((START_MS - 3_600_000) * 1000);
    assert_eq!(site.get("/").await.field("age"), Some("0"));
    world.clock.turn_to((START_MS + 9_000) * 1000);
    assert!(site.get("/").await.is_hit());
    world.clock.turn_to((START_MS + 10_000) * 1000);
    assert!(!site.get("/").await.is_hit());
}

#[tokio::test]
async fn nothing_is_kept_longer_than_the_cache_allows() {
    let world = World::embedded();
    let cache = world.builder().retention(seconds(5)).build().unwrap();
    let site = Site::counting(cache, DAY);
    assert_eq!(lived(&world, &site, "/", 20).await, 5);
}

#[tokio::test]
async fn which_statuses_are_stored_is_the_policys_choice() {
    let world = World::embedded();
    let mut rules = Rules::safe();
    rules.statuses = StatusSet::only([http::StatusCode::IM_A_TEAPOT]);
    let site = Site::new(world.with(CachePolicy::new().rules(rules)), |request, n| async move {
        Ok(answer(request.uri().path()[1..].parse().unwrap(), n.to_string(), DAY))
    });
    for (path, is_stored) in [("/418", true), ("/200", false), ("/404", false)] {
        site.get(path).await;
        assert_eq!(site.get(path).await.is_hit(), is_stored, "{path}");
    }
}
