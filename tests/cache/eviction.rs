//! Redis may evict any key at any time, in any order: nothing purged comes back, and nobody gets a wrong body.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use keep_testing::RedisServer;
use tower_keep::cache::{CachePolicy, Purging};

use crate::fixture::*;

/// All orders of some things.
fn orders<T: Clone>(things: &[T]) -> Vec<Vec<T>> {
    if things.is_empty() {
        return vec![Vec::new()];
    }
    let first = |at: usize| {
        let mut rest = things.to_vec();
        let first = rest.remove(at);
        orders(&rest).into_iter().map(move |order| [vec![first.clone()], order].concat())
    };
    (0..things.len()).flat_map(first).collect()
}

pub fn keys(server: &RedisServer) -> Vec<String> {
    let mut keys: Vec<String> = server.cmd("KEYS", "keep:cache:*");
    keys.sort();
    keys
}

/// Pages that show what was true when they were made, with a tag, maybe several variants and several segments.
fn site(world: &World, truth: &Arc<AtomicU64>) -> Site {
    let policy = CachePolicy::new().tags(|_| vec!["tag".to_owned()]);
    let truth = Arc::clone(truth);
    Site::new(world.with(policy), move |_, _| {
        let value = truth.load(Ordering::SeqCst);
        async move { page(value.to_string(), &[DAY[0], ("vary", "x-variant")]) }
    })
}

/// Fills, purges, and deletes in this order; `None` where there are fewer keys.
async fn purge_and_evict(site: &Site, truth: &AtomicU64, server: &RedisServer, case: (&Purging, &[usize])) {
    let (purging, order) = case;
    let mut admin = server.admin();
    let _: () = redis::cmd("FLUSHALL").query(&mut admin).unwrap();
    let old: u64 = site.stored(|| get("/", &[])).await.text().parse().unwrap();
    let names = keys(server);
    assert_eq!(names.len(), 5, "list of variants, head, segment, log, version of the tag: {names:?}");
    truth.store(old + 1, Ordering::SeqCst);
    site.cache.purge(purging.clone()).await.unwrap();
    for at in order {
        let _: () = redis::cmd("DEL").arg(&names[*at]).query(&mut admin).unwrap();
        let reply = site.get("/").await;
        assert_eq!(reply.text(), (old + 1).to_string(), "{purging:?} {order:?} {}", reply.told());
    }
}

#[tokio::test]
async fn eviction_in_any_order_revives_nothing_that_was_purged() {
    let world = World::redis();
    let truth = Arc::new(AtomicU64::new(0));
    let site = site(&world, &truth);
    let all = [Purging::tags(["tag"]), Purging::url(HOST, "/"), Purging::below(HOST, "/"), Purging::all()];
    for purging in &all {
        for order in orders(&[0, 1, 2, 3, 4]) {
            purge_and_evict(&site, &truth, world.server(), (purging, &order)).await;
        }
    }
}

#[tokio::test]
async fn eviction_of_any_keys_never_gives_a_wrong_body_and_is_mended() {
    let world = World::redis();
    let site = pages(&world);
    let mut admin = world.server().admin();
    fill(&site).await;
    let count = keys(world.server()).len();
    // Each key, each pair of keys, and each key while the others are gone.
    for one in 0..count {
        for other in 0..=count {
            reset(&site, world.server()).await;
            for (at, name) in keys(world.server()).iter().enumerate() {
                let gone = if other == count { at != one } else { at == one || at == other };
                if gone {
                    let _: () = redis::cmd("DEL").arg(name).query(&mut admin).unwrap();
                }
            }
            survive(&site, &format!("without {one} and {other}")).await;
        }
    }
}

/// A page of two segments in two variants, and a small one that does not vary.
pub fn pages(world: &World) -> Site {
    let policy = CachePolicy::new().tags(|request| vec![request.path().to_owned()]);
    Site::new(world.with(policy), |request, n| async move {
        let path = request.uri().path().to_owned();
        let (body, n) = (body_of(&path, n), n.to_string());
        let fields = [DAY[0], ("x-n", &*n), ("etag", &n), ("vary", "x-variant")];
        page(body, if path == "/plain" { &fields[..3] } else { &fields })
    })
}

/// Two variants, whole, by part, and with an old copy at hand.
pub const ASKED: [(&str, &[(&str, &str)]); 6] = [
    ("/one", &[("x-variant", "a")]),
    ("/one", &[("x-variant", "b")]),
    ("/plain", &[("x-variant", "a")]),
    ("/one", &[("x-variant", "a"), ("range", "bytes=132000-132009")]),
    ("/one", &[("x-variant", "a"), ("if-none-match", "\"none\"")]),
    ("/one", &[("x-variant", "b"), ("range", "bytes=0-0,139999-")]),
];

pub async fn fill(site: &Site) {
    for (path, asked) in &ASKED[..3] {
        site.stored(|| get(path, asked)).await;
    }
}

/// All pages are stored, each once.
pub async fn reset(site: &Site, server: &RedisServer) {
    server.tell("FLUSHALL");
    fill(site).await;
}

/// All kinds of requests get sound answers; then everything is well again.
pub async fn survive(site: &Site, what: &str) {
    for (path, asked) in ASKED {
        sound(site, path, asked, what).await;
    }
    for (path, asked) in &ASKED[..3] {
        let mut tries = 0;
        // One for each thing that may be broken, and one that fills.
        while !site.send(get(path, asked)).await.is_hit() {
            tries += 1;
            assert!(tries < 5, "{what}: {path} is never stored again");
        }
    }
}

/// Each byte tells where it belongs.
pub fn body_of(path: &str, n: usize) -> Vec<u8> {
    let mut body = format!("{path} {n} ").repeat(if path == "/plain" { 10 } else { 140_000 / 7 });
    body.truncate(140_000);
    body.into()
}

/// A request gets what a handler made for it, or a body that ends with an error. Never anything else.
pub async fn sound(site: &Site, path: &str, asked: &[(&str, &str)], what: &str) {
    let response = site.raw(get(path, asked)).await;
    let status = response.status().as_u16();
    assert!(matches!(status, 200 | 206), "{what}: {status}");
    let headers = response.headers().clone();
    let whole = body_of(path, headers["x-n"].to_str().unwrap().parse().unwrap());
    let Ok(reply) = Reply::read(response).await else { return };
    if status == 200 {
        assert!(reply.body == whole, "{what}: {path} {asked:?} got a wrong body");
    } else if let Some(range) = headers.get("content-range") {
        assert_eq!(range, "bytes 132000-132009/140000");
        assert!(reply.body == whole[132_000..132_010], "{what}: wrong bytes");
    } else {
        let part = |at: usize| format!("bytes {at}-{at}/140000\r\n\r\n{}\r\n", char::from(whole[at]));
        let text = reply.text();
        assert!(text.contains(&part(0)) && text.contains(&part(139_999)), "{what}: {text}");
    }
}
