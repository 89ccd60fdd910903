//! `Cache-Status` (RFC 9211): what became of a request, and why.

use tower_keep::cache::{CachePolicy, CacheTags, HttpCache, NoStore};

use crate::fixture::{Fields, *};

on_both!(
    each_way_of_a_request_is_told_with_its_reason,
    each_reason_why_a_response_is_not_stored_is_told,
    caches_that_the_response_passed_are_told_in_order,
    the_name_is_the_caches_own,
);

async fn each_way_of_a_request_is_told_with_its_reason(world: World) {
    let site = Site::new(world.cache(), |request, n| async move {
        let stale: &[(&str, &str)] = &[("cache-control", "max-age=60"), ("age", "90"), ("etag", "\"1\"")];
        let varies: &[(&str, &str)] = &[DAY[0], ("vary", "x-variant")];
        page(
            n.to_string(),
            match request.uri().path() {
                "/stale" => stale,
                "/varies" => varies,
                _ => DAY,
            },
        )
    });
    let told = async |request| site.send(request).await.told().to_owned();
    assert_eq!(told(get("/a", &[])).await, "tower-keep; fwd=uri-miss; stored");
    site.stored(|| get("/a", &[])).await;
    let hit = told(get("/a", &[])).await;
    let ttl: u64 = hit.strip_prefix("tower-keep; hit; ttl=").unwrap().parse().unwrap();
    assert!((86_300..=86_400).contains(&ttl), "{ttl}");
    assert_eq!(told(request("POST", "/b", &[])).await, "tower-keep; fwd=method");
    assert_eq!(told(request("OPTIONS", "/a", &[])).await, "tower-keep; fwd=method");
    assert_eq!(told(get("/a", &[("upgrade", "x")])).await, "tower-keep; fwd=bypass; detail=upgrade");
    assert_eq!(
        told(get("/a", &[("authorization", "x")])).await,
        "tower-keep; fwd=bypass; detail=authorization"
    );
    site.stored(|| get("/varies", &[])).await;
    assert_eq!(told(get("/varies", &[("x-variant", "a")])).await, "tower-keep; fwd=vary-miss; stored");
    site.get("/stale").await;
    eventually("what is stale is found", async || {
        told(get("/stale", &[])).await == "tower-keep; fwd=stale; stored; detail=expired"
    })
    .await;
}

async fn each_reason_why_a_response_is_not_stored_is_told(world: World) {
    const CASES: [(u16, Fields<'_>, &str); 9] = [
        (200, &[("cache-control", "no-store")], "no-store"),
        (200, &[("cache-control", "private")], "private"),
        (200, &[], "no-freshness"),
        (200, &[("cache-control", "max-age=0")], "already-stale"),
        (200, &[DAY[0], ("set-cookie", "a=b")], "set-cookie"),
        (200, &[DAY[0], ("vary", "*")], "vary-star"),
        (206, DAY, "partial"),
        (500, DAY, "status"),
        (200, &[("cache-control", "max-age=\"60")], "unreadable"),
    ];
    for (case, (status, fields, reason)) in CASES.into_iter().enumerate() {
        let site = Site::new(world.cache(), move |_, _| async move { Ok(answer(status, "", fields)) });
        let reply = site.get(&format!("/{case}")).await;
        assert_eq!(reply.told(), format!("tower-keep; fwd=uri-miss; detail={reason}"));
    }
    let site = Site::counting(world.cache(), DAY);
    let own = site.send(get("/own", &[("authorization", "x")])).await;
    assert_eq!(own.told(), "tower-keep; fwd=uri-miss; detail=authorization");
    let kept_out = site.send(get("/own", &[("cache-control", "no-store")])).await;
    assert_eq!(kept_out.told(), "tower-keep; fwd=uri-miss; detail=request-no-store");
    let head = site.send(request("HEAD", "/own", &[])).await;
    assert_eq!(head.told(), "tower-keep; fwd=uri-miss; detail=method");
    let site = Site::new(world.cache(), |request, _| async move {
        let mut response = answer(200, "", DAY);
        if request.uri().path() == "/none" {
            response.extensions_mut().insert(NoStore);
        } else {
            response.extensions_mut().insert(CacheTags::new((0..65).map(|n| n.to_string())));
        }
        Ok(response)
    });
    assert_eq!(site.get("/none").await.told(), "tower-keep; fwd=uri-miss; detail=no-store-by-handler");
    assert_eq!(site.get("/many").await.told(), "tower-keep; fwd=uri-miss; detail=too-many-tags");
}

/// The first is the one closest to the handler.
async fn caches_that_the_response_passed_are_told_in_order(world: World) {
    const FIELDS: &[(&str, &str)] = &[DAY[0], ("cache-status", "inner; fwd=miss")];
    let site = Site::counting(world.cache(), FIELDS);
    let first = site.get("/").await;
    let told: Vec<_> = first.headers.get_all("cache-status").iter().collect();
    assert_eq!(told, ["inner; fwd=miss", "tower-keep; fwd=uri-miss; stored"]);
    let second = site.get("/").await;
    let told: Vec<_> =
        second.headers.get_all("cache-status").iter().map(|line| line.to_str().unwrap()).collect();
    assert_eq!(told[0], "inner; fwd=miss", "it is as it was stored");
    assert!(told[1].starts_with("tower-keep; hit"), "{told:?}");
}

async fn the_name_is_the_caches_own(world: World) {
    let policy = CachePolicy::new();
    for (name, told) in [
        ("edge-1", "edge-1; fwd=uri-miss"),
        ("1st", "\"1st\"; fwd=uri-miss"),
        ("a\"b\\", "\"a\\\"b\\\\\"; fwd=uri-miss"),
    ] {
        let cache = HttpCache::builder(world.store.clone())
            .name(name)
            .namespace("n")
            .policy(policy.clone())
            .build()
            .unwrap();
        let site = Site::counting(cache, &[]);
        assert!(site.get("/").await.told().starts_with(told));
    }
}
