//! Long bodies lie in segments: what a request does not need is not moved, and what is lost is no wrong byte.

use keep_testing::Monitor;
use tower_keep::cache::{CachePolicy, Purging};

use crate::fixture::{Fields, *};

const SEGMENT: usize = 128 << 10;
const LENGTH: usize = 10 << 20;

fn long() -> Vec<u8> {
    (0..LENGTH).map(|i| (i / 7 % 256) as u8).collect()
}

fn site(world: &World, body: Vec<u8>) -> Site {
    let body = bytes::Bytes::from(body);
    Site::new(world.with(CachePolicy::new().max_body(16 << 20)), move |_, n| {
        let (body, n) = (body.clone(), n.to_string());
        async move { page(body, &[DAY[0], ("etag", "\"1\""), ("x-n", &n)]) }
    })
}

/// The numbers of the segments that were asked for, by command.
fn fetched(heard: &[String]) -> Vec<Vec<usize>> {
    let gets = heard.iter().filter(|line| line.contains("\"MGET\""));
    let segment = |word: &str| word.trim_matches('"').split_once(":b:")?.1.split_once(':')?.1.parse().ok();
    gets.map(|line| line.split(' ').filter_map(segment).collect()).collect()
}

#[tokio::test]
async fn a_long_body_is_stored_in_segments_and_streams_from_them() {
    let world = World::redis();
    let whole = long();
    let site = site(&world, whole.clone());
    site.stored(|| get("/", &[])).await;
    let segments: Vec<String> = world.server().cmd("KEYS", "*:b:*");
    assert_eq!(segments.len(), LENGTH / SEGMENT);
    let longest = segments.iter().map(|key| world.server().cmd::<usize>("STRLEN", key)).max();
    assert_eq!(longest, Some(SEGMENT + 8), "each with its check");
    let mut monitor = Monitor::start(world.server()).await;
    assert!(site.hit(get("/", &[])).await.body == whole);
    let fetched = fetched(&monitor.heard(world.server()).await);
    let expected: Vec<Vec<usize>> = (0..80).map(|n| vec![n]).collect();
    assert_eq!(fetched, expected, "the first with its head, each other one when it is its turn");
}

/// A day of refreshes must not leave a day's worth of bodies.
#[tokio::test]
async fn a_body_that_is_replaced_does_not_stay_as_long_as_its_head_would_have() {
    let world = World::redis();
    let site = site(&world, vec![b'x'; SEGMENT + 1]);
    site.stored(|| get("/", &[])).await;
    let old: Vec<String> = world.server().cmd("KEYS", "*:b:*");
    site.cache.purge(Purging::url(HOST, "/").softly()).await.unwrap();
    site.send(get("/", &[])).await;
    eventually("the old body ends soon", async || {
        let left = old.iter().map(|key| world.server().cmd::<i64>("PTTL", key));
        let kept: Vec<String> = world.server().cmd("KEYS", "*:b:*");
        kept.len() == 4 && left.max() < Some(600_000)
    })
    .await;
    assert_eq!(site.hit(get("/", &[])).await.body.len(), SEGMENT + 1);
}

/// What is not taken is not fetched.
#[tokio::test]
async fn a_client_that_goes_away_moves_no_more_than_it_took() {
    let world = World::redis();
    let site = site(&world, long());
    site.stored(|| get("/", &[])).await;
    let mut monitor = Monitor::start(world.server()).await;
    let mut response = site.raw(get("/", &[])).await;
    for _ in 0..3 {
        let body = response.body_mut();
        let frame =
            std::future::poll_fn(|cx| http_body::Body::poll_frame(std::pin::pin!(&mut *body), cx)).await;
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap().len(), SEGMENT);
    }
    drop(response);
    assert_eq!(fetched(&monitor.heard(world.server()).await), [[0], [1], [2]]);
}

#[tokio::test]
async fn answers_move_what_they_need_and_no_more() {
    let world = World::redis();
    let whole = long();
    let site = site(&world, whole.clone());
    site.stored(|| get("/", &[])).await;
    let mut monitor = Monitor::start(world.server()).await;
    let last = format!("bytes={}-", LENGTH - 5);
    let over = format!("bytes={}-{}", SEGMENT - 2, SEGMENT + 1);
    let several = format!("bytes=0-0,{}-{},{}-", 3 * SEGMENT, 3 * SEGMENT, LENGTH - 1);
    let cases: [(&str, Fields, u16, &[usize]); 9] = [
        ("GET", &[("if-none-match", "\"1\"")], 304, &[]),
        ("GET", &[("if-none-match", "*")], 304, &[]),
        (
            "GET",
            &[("if-modified-since", "Fri, 31 Dec 2100 00:00:00 GMT"), ("if-none-match", "W/\"1\"")],
            304,
            &[],
        ),
        ("HEAD", &[], 200, &[]),
        ("GET", &[("range", "bytes=5-9")], 206, &[0]),
        ("GET", &[("range", &last)], 206, &[79]),
        ("GET", &[("range", &over)], 206, &[0, 1]),
        ("GET", &[("range", &several)], 206, &[0, 3, 79]),
        ("GET", &[("range", "bytes=99999999-")], 416, &[]),
    ];
    for (method, fields, status, segments) in cases {
        let reply = site.send(request(method, "/", fields)).await;
        assert!(reply.is_hit(), "{}", reply.told());
        assert_eq!(reply.status.as_u16(), status, "{fields:?}");
        let moved: Vec<usize> = fetched(&monitor.heard(world.server()).await).concat();
        assert_eq!(moved, segments, "{method} {fields:?}");
    }
    let part = site.send(get("/", &[("range", &over)])).await;
    assert!(part.body == whole[SEGMENT - 2..SEGMENT + 2]);
    let old = site.send(get("/", &[("range", &over), ("if-range", "\"0\"")])).await;
    assert!(old.status == 200 && old.body == whole, "of another version the whole is sent");
}

/// The frames of several parts can come out as long as the whole body is: it is not the same.
#[tokio::test]
async fn several_parts_are_never_taken_for_the_whole() {
    let world = World::embedded();
    let mut equal = false;
    for length in 150..500usize {
        let site = Site::new(world.cache(), move |_, _| async move { page("x".repeat(length), DAY) });
        let path = format!("/{length}");
        site.stored(|| get(&path, &[])).await;
        let reply = site.send(get(&path, &[("range", "bytes=0-0,140-140")])).await;
        assert_eq!(reply.status, 206);
        assert!(
            reply.text().starts_with("--") || reply.text().starts_with("\r\n--"),
            "{length}: {}",
            reply.text()
        );
        equal |= reply.body.len() == length;
    }
    assert!(equal, "the case was among them");
}

async fn lose(world: &World, segment: usize) {
    let names: Vec<String> = world.server().cmd("KEYS", format!("*:b:*:{segment}"));
    assert_eq!(names.len(), 1);
    let _: () = world.server().cmd("DEL", &names);
}

#[tokio::test]
async fn a_first_segment_that_is_gone_is_a_miss_whatever_is_asked_for() {
    for (fields, first) in [
        (&[][..], 0),
        (&[("if-none-match", "\"0\"")], 0),
        (&[("range", "bytes=0-9")], 0),
        (&[("range", "bytes=300000-300009")], 2),
        (&[("range", "bytes=0-0,400000-400000")], 0),
    ] {
        let world = World::redis();
        let body: Vec<u8> = long()[..500_000].to_vec();
        let site = site(&world, body);
        site.stored(|| get("/", &[])).await;
        lose(&world, first).await;
        let reply = site.send(get("/", fields)).await;
        assert!(!reply.is_hit() && site.calls() == 2, "{fields:?} {}", reply.told());
        site.stored(|| get("/", &[])).await;
        assert!(site.send(get("/", fields)).await.is_hit(), "{fields:?}: it is mended");
    }
}

#[tokio::test]
async fn a_later_segment_that_is_gone_ends_the_body_and_the_next_request_is_a_miss() {
    let world = World::redis();
    let body: Vec<u8> = long()[..500_000].to_vec();
    let site = site(&world, body.clone());
    for lost in [1, 2, 3] {
        site.stored(|| get("/", &[])).await;
        lose(&world, lost).await;
        let mut response = site.raw(get("/", &[])).await;
        let mut received = Vec::new();
        let error = loop {
            let body = response.body_mut();
            let frame =
                std::future::poll_fn(|cx| http_body::Body::poll_frame(std::pin::pin!(&mut *body), cx)).await;
            match frame.expect("it does not end as if it were whole") {
                Ok(frame) => received.extend_from_slice(&frame.into_data().unwrap()),
                Err(error) => break error,
            }
        };
        assert!(is_truncated(&error) && received == body[..lost * SEGMENT], "{lost}");
        let next = site.get("/").await;
        assert!(!next.is_hit() && next.body == body, "it does not break the same way again: {}", next.told());
        world.server().tell("FLUSHALL");
    }
}

/// Bodies and heads end together: nothing stays for ever.
#[tokio::test]
async fn every_key_has_an_end_and_bodies_outlive_their_heads() {
    let world = World::redis();
    let policy = CachePolicy::new().max_body(16 << 20).tags(|_| vec!["tag".to_owned()]);
    let site = Site::new(world.with(policy), |_, _| async {
        page("x".repeat(300_000), &[("cache-control", "max-age=60"), ("vary", "x")])
    });
    site.stored(|| get("/", &[])).await;
    site.cache.purge(tower_keep::cache::Purging::below(HOST, "/other")).await.unwrap();
    let ttl = |key: &String| world.server().cmd::<i64>("PTTL", key);
    let (mut heads, mut bodies) = (Vec::new(), Vec::new());
    for key in crate::eviction::keys(world.server()) {
        assert!(ttl(&key) > 0, "{key} has no end");
        if key.contains(":b:") {
            bodies.push(ttl(&key));
        } else if key.contains(":v:") {
            heads.push(ttl(&key));
        }
    }
    assert_eq!((heads.len(), bodies.len()), (1, 3));
    assert!(heads[0] <= 60_000 && bodies.iter().all(|ttl| *ttl > heads[0] + 200_000), "{heads:?} {bodies:?}");
}
