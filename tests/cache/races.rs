//! Purging against storing: what was computed before a purge is not served after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinSet;
use tower_keep::cache::{CachePolicy, Purging};

use crate::fixture::*;

/// On both stores, in each of the eight ways.
const ROUNDS: u64 = 1_250;

on_both_threads!(
    no_response_from_before_a_purge_by_tag_is_served_after_it,
    no_response_from_before_a_purge_by_url_is_served_after_it,
    no_response_from_before_a_purge_by_path_is_served_after_it,
    no_response_from_before_a_purge_of_everything_is_served_after_it,
    no_response_from_before_a_soft_purge_by_tag_is_served_unvalidated,
    no_response_from_before_a_soft_purge_by_url_is_served_unvalidated,
    no_response_from_before_a_soft_purge_by_path_is_served_unvalidated,
    no_response_from_before_an_unsafe_request_is_served_after_it,
);

/// What the site is about: a number that grows.
struct Truth {
    value: AtomicU64,
    /// What every response must show at least, from now on.
    floor: AtomicU64,
    over: AtomicU64,
}

/// Pages show the number from before they were made; some vary, some can be validated.
fn site(world: &World, truth: &Arc<Truth>) -> Site {
    let truth = Arc::clone(truth);
    let policy = CachePolicy::new().tags(|_| vec!["number".to_owned()]);
    Site::new(world.with(policy), move |request, n| {
        let truth = Arc::clone(&truth);
        async move {
            let value = truth.value.load(Ordering::SeqCst);
            if request.method() == "POST" {
                truth.value.fetch_add(1, Ordering::SeqCst);
            }
            for _ in 0..n % 4 {
                tokio::task::yield_now().await;
            }
            let etag = format!("\"{value}\"");
            let fields = [DAY[0], ("etag", &*etag), ("vary", "accept-language")];
            let fields = if request.uri().path() == "/varies" { &fields[..] } else { &fields[..2] };
            if request.headers().get("if-none-match").is_some_and(|sent| *sent == etag) {
                return Ok(answer(304, "", fields));
            }
            page(value.to_string(), fields)
        }
    })
}

/// What a request is answered is no older than what was true when it came.
async fn look(site: &Site, truth: &Truth, seed: u64) {
    let path = ["/plain", "/varies"][(seed % 2) as usize];
    let language = ["en", "fr", "de"][(seed % 3) as usize];
    let floor = truth.floor.load(Ordering::SeqCst);
    let reply = site.send(get(path, &[("accept-language", language)])).await;
    let shown: u64 = reply.text().parse().unwrap();
    assert!(shown >= floor, "{path} {language}: {shown} where {floor} is long true: {}", reply.told());
}

/// Changes the number again and again, each time with a purge, while others look.
async fn race(world: World, purge: impl AsyncFn(&Site)) {
    let new = || AtomicU64::new(0);
    let truth = Arc::new(Truth { value: new(), floor: new(), over: new() });
    let site = site(&world, &truth);
    let mut lookers = JoinSet::new();
    for looker in 0..4 {
        let (site, truth) = (site.clone(), Arc::clone(&truth));
        lookers.spawn(async move {
            let mut seed = looker;
            while truth.over.load(Ordering::SeqCst) == 0 {
                look(&site, &truth, seed).await;
                seed += 5;
                tokio::task::yield_now().await;
            }
        });
    }
    for round in 0..ROUNDS {
        let value = truth.value.fetch_add(1, Ordering::SeqCst) + 1;
        purge(&site).await;
        truth.floor.store(value, Ordering::SeqCst);
        look(&site, &truth, round).await;
        look(&site, &truth, round + 3).await;
    }
    truth.over.store(1, Ordering::SeqCst);
    lookers.join_all().await;
    assert!(site.calls() as u64 >= ROUNDS);
}

async fn purge_both(site: &Site, soft: bool, purging: impl Fn(&str) -> Purging) {
    for path in ["/plain", "/varies"] {
        let purging = purging(path);
        site.cache.purge(if soft { purging.softly() } else { purging }).await.unwrap();
    }
}

async fn no_response_from_before_a_purge_by_tag_is_served_after_it(world: World) {
    race(world, async |site| site.cache.purge(Purging::tags(["number"])).await.unwrap()).await;
}

async fn no_response_from_before_a_purge_by_url_is_served_after_it(world: World) {
    race(world, async |site| purge_both(site, false, |path| Purging::url(HOST, path)).await).await;
}

async fn no_response_from_before_a_purge_by_path_is_served_after_it(world: World) {
    race(world, async |site| site.cache.purge(Purging::below(HOST, "/")).await.unwrap()).await;
}

async fn no_response_from_before_a_purge_of_everything_is_served_after_it(world: World) {
    race(world, async |site| site.cache.purge(Purging::all()).await.unwrap()).await;
}

async fn no_response_from_before_a_soft_purge_by_tag_is_served_unvalidated(world: World) {
    race(world, async |site| site.cache.purge(Purging::tags(["number"]).softly()).await.unwrap()).await;
}

async fn no_response_from_before_a_soft_purge_by_url_is_served_unvalidated(world: World) {
    race(world, async |site| purge_both(site, true, |path| Purging::url(HOST, path)).await).await;
}

async fn no_response_from_before_a_soft_purge_by_path_is_served_unvalidated(world: World) {
    race(world, async |site| purge_both(site, true, |path| Purging::below(HOST, path)).await).await;
}

/// The handler changes the number itself; its response comes when what was stored is gone.
async fn no_response_from_before_an_unsafe_request_is_served_after_it(world: World) {
    race(world, async |site| {
        for path in ["/plain", "/varies"] {
            assert_eq!(site.send(request("POST", path, &[])).await.status, 200);
        }
    })
    .await;
}
