//! Responses past their time: sent once more, in place of an error, or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tower_keep::cache::CachePolicy;
use tower_keep::cache::rules::{RequestControl, Rules, SMaxage};

use crate::fixture::*;

on_both!(
    a_stale_page_is_sent_at_once_while_it_is_refreshed,
    a_refresh_asks_for_everybody_and_not_for_its_client,
    a_refresh_that_fails_is_not_repeated_by_each_request,
    a_stale_page_stands_in_for_an_error,
    what_must_be_validated_is_never_sent_stale,
    a_client_that_accepts_stale_answers_gets_them,
    a_client_that_wants_what_is_stored_or_nothing_gets_it,
    a_client_cannot_make_the_handler_run_unless_the_route_lets_it,
);

/// Stale as it comes.
const STALE: &str = "max-age=60, stale-while-revalidate=600";

async fn a_stale_page_is_sent_at_once_while_it_is_refreshed(world: World) {
    let (runs, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let site = Site::new(world.cache(), move |_, n| {
        let runs = runs.clone();
        async move {
            if n == 0 {
                return page("old", &[("cache-control", STALE), ("age", "90")]);
            }
            let (go_on, told) = tokio::sync::oneshot::channel();
            runs.send(go_on).unwrap();
            told.await.unwrap();
            page("new", DAY)
        }
    });
    site.stored(|| get("/", &[])).await;
    let go_on = begun.recv().await.unwrap();
    for _ in 0..20 {
        let reply = site.hit(get("/", &[])).await;
        assert_eq!(reply.text(), "old");
        assert!(reply.told().contains("ttl=-3"), "{}", reply.told());
    }
    assert_eq!(site.calls(), 2, "one refresh is under way");
    go_on.send(()).unwrap();
    eventually("it is new", async || site.hit(get("/", &[])).await.text() == "new").await;
    assert_eq!(site.calls(), 2);
}

/// Otherwise a client with an old copy, or one that wants a part, would spoil it.
async fn a_refresh_asks_for_everybody_and_not_for_its_client(world: World) {
    for fields in [
        ("if-none-match", "\"9\""),
        ("if-modified-since", "Fri, 31 Dec 2100 00:00:00 GMT"),
        ("range", "bytes=0-0"),
    ] {
        let site = Site::new(world.cache(), |request, n| async move {
            let has = |name: &str| request.headers().contains_key(name);
            if has("if-none-match") || has("if-modified-since") {
                return Ok(answer(304, "", &[]));
            }
            if has("range") {
                return Ok(answer(206, "o", &[("content-range", "bytes 0-0/3")]));
            }
            if n == 0 { page("old", &[("cache-control", STALE), ("age", "90")]) } else { page("new", DAY) }
        });
        let path = format!("/{}", fields.0);
        site.get(&path).await;
        eventually("it is stored", async || {
            site.send(get(&path, &[("cache-control", "only-if-cached")])).await.status == 200
        })
        .await;
        eventually("it is new", async || {
            site.send(get(&path, &[fields])).await;
            assert!(site.calls() <= 2, "{fields:?}: {} runs", site.calls());
            site.send(request("HEAD", &path, &[])).await.told().contains("ttl=8")
        })
        .await;
        assert_eq!(site.hit(get(&path, &[])).await.text(), "new");
    }
}

async fn a_refresh_that_fails_is_not_repeated_by_each_request(world: World) {
    let site = Site::new(world.cache(), |_, n| async move {
        if n == 0 {
            page("old", &[("cache-control", STALE), ("age", "90")])
        } else {
            Ok(answer(500, "", &[]))
        }
    });
    site.stored(|| get("/", &[])).await;
    eventually("it was tried", async || site.calls() == 2).await;
    for _ in 0..50 {
        assert_eq!(site.hit(get("/", &[])).await.text(), "old");
        tokio::task::yield_now().await;
    }
    assert!(site.calls() <= 3, "{} runs", site.calls());
}

async fn a_stale_page_stands_in_for_an_error(world: World) {
    let named: &[(&str, &str)] = &[("cache-control", "max-age=60, stale-if-error=600"), ("age", "90")];
    let plain: &[(&str, &str)] = &[("cache-control", "max-age=60"), ("age", "90"), ("etag", "\"1\"")];
    let late: &[(&str, &str)] =
        &[("cache-control", "max-age=60, stale-if-error=20"), ("age", "90"), ("etag", "\"1\"")];
    let never: &[(&str, &str)] = &[
        ("cache-control", "max-age=60, stale-if-error=600, must-revalidate"),
        ("age", "90"),
        ("etag", "\"1\""),
    ];
    let by_route = || CachePolicy::new().stale_if_error(Duration::from_secs(600));
    for (case, (fields, policy, helps)) in [
        (named, CachePolicy::new(), true),
        (plain, CachePolicy::new(), false),
        (plain, by_route(), true),
        (late, by_route(), false),
        (never, by_route(), false),
    ]
    .into_iter()
    .enumerate()
    {
        let site = Site::new(world.with(policy), move |request, n| async move {
            match request.headers().get("x-fail").map(|value| value.to_str().unwrap()) {
                Some("error") => Err(Trouble("no database")),
                Some(status) => Ok(answer(status.parse().unwrap(), "broken", &[])),
                None => page(if n == 0 { "old" } else { "new" }, fields),
            }
        });
        let path = format!("/{case}");
        let failing = |how: &'static str| get(&path, &[("x-fail", how)]);
        site.get(&path).await;
        let accepting = [("cache-control", "max-stale, only-if-cached")];
        eventually("it is stored", async || {
            site.send(get(&path, &accepting)).await.status == 200 || case == 4
        })
        .await;
        for status in ["500", "502", "503", "504"] {
            let reply = site.send(failing(status)).await;
            if helps {
                assert_eq!((reply.status.as_u16(), reply.text()), (200, "old"), "case {case}");
                assert!(
                    reply.told().contains(&format!("fwd=stale; fwd-status={status}")),
                    "{}",
                    reply.told()
                );
                assert!(reply.told().contains("detail=stale-if-error"), "{}", reply.told());
            } else {
                assert_eq!((reply.status.as_str(), reply.text()), (status, "broken"), "case {case}");
            }
        }
        let failed = site.try_raw(failing("error")).await;
        assert_eq!(failed.as_ref().err(), (!helps).then_some(&Trouble("no database")), "case {case}");
        assert_eq!(site.send(failing("404")).await.status, 404, "that is no failure");
    }
}

async fn what_must_be_validated_is_never_sent_stale(world: World) {
    let more =
        |control: &str| format!("max-age=60, stale-while-revalidate=600, stale-if-error=600, {control}");
    for control in ["must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=60"] {
        let (told, validated) = (more(control), Arc::new(AtomicBool::new(false)));
        let seen = Arc::clone(&validated);
        let site = Site::new(world.cache(), move |request, n| {
            let (told, seen) = (told.clone(), Arc::clone(&seen));
            async move {
                seen.store(request.headers().contains_key("if-none-match"), Ordering::SeqCst);
                page(n.to_string(), &[("cache-control", &*told), ("age", "90"), ("etag", "\"1\"")])
            }
        });
        let path = format!("/{control}").replace('=', "-");
        for n in 0..3 {
            assert_eq!(site.get(&path).await.text(), n.to_string(), "{control}");
        }
        eventually("the handler is asked about what is stored", async || {
            site.get(&path).await;
            validated.load(Ordering::SeqCst)
        })
        .await;
    }
    // What several platforms mean by it is a choice.
    let mut rules = Rules::safe();
    rules.s_maxage = SMaxage::AllowsNamedStale;
    let fields: &[(&str, &str)] =
        &[("cache-control", "s-maxage=60, stale-while-revalidate=600"), ("age", "90")];
    let site = Site::counting(world.with(CachePolicy::new().rules(rules)), fields);
    site.stored(|| get("/chosen", &[])).await;
}

async fn a_client_that_accepts_stale_answers_gets_them(world: World) {
    let fields: &[(&str, &str)] = &[("cache-control", "max-age=60"), ("age", "90"), ("etag", "\"1\"")];
    let site = Site::counting(world.cache(), fields);
    site.get("/").await;
    let accepting = |control: &'static str| [("cache-control", control)];
    eventually("it is stored", async || site.send(get("/", &accepting("max-stale"))).await.is_hit()).await;
    let calls = site.calls();
    for (control, is_hit) in [("max-stale=100", true), ("max-stale=5", false), ("max-stale", true)] {
        assert_eq!(site.send(get("/", &accepting(control))).await.is_hit(), is_hit, "{control}");
    }
    assert_eq!(site.calls(), calls + 1);
}

async fn a_client_that_wants_what_is_stored_or_nothing_gets_it(world: World) {
    let site = Site::counting(world.cache(), DAY);
    let asked = [("cache-control", "only-if-cached")];
    for _ in 0..2 {
        let nothing = site.send(get("/", &asked)).await;
        assert_eq!(
            (nothing.status.as_u16(), nothing.field("cache-status")),
            (504, None),
            "neither hit nor forwarded"
        );
        assert_eq!(nothing.field("content-type"), Some("application/problem+json"));
        assert_eq!(site.calls(), 0);
    }
    site.stored(|| get("/", &[])).await;
    assert_eq!(site.hit(get("/", &asked)).await.text(), "0");
    assert_eq!(site.send(request("HEAD", "/other", &asked)).await.status, 504);
    assert_eq!(site.calls(), 1);
}

async fn a_client_cannot_make_the_handler_run_unless_the_route_lets_it(world: World) {
    let mut obeying = Rules::safe();
    obeying.request_control = RequestControl::Obey;
    for (rules, obeyed) in [(Rules::safe(), false), (obeying, true)] {
        let site = Site::counting(
            world.with(CachePolicy::new().rules(rules)),
            &[("cache-control", "max-age=60"), ("age", "10")],
        );
        let path = format!("/{obeyed}");
        for asked in [
            ("cache-control", "no-cache"),
            ("cache-control", "max-age=5"),
            ("cache-control", "min-fresh=70"),
            ("pragma", "no-cache"),
        ] {
            site.stored(|| get(&path, &[])).await;
            let reply = site.send(get(&path, &[asked])).await;
            assert_eq!(reply.is_hit(), !obeyed, "{asked:?}: {}", reply.told());
            assert!(!obeyed || reply.told().contains("fwd=request"), "{}", reply.told());
        }
    }
    let site = Site::counting(world.cache(), DAY);
    site.send(get("/kept-out", &[("cache-control", "no-store")])).await;
    assert!(!site.get("/kept-out").await.is_hit(), "who wants nothing of theirs stored gets that");
}
