//! Purging by the application: by tag, URL, path, and all; hard and soft.

use http::HeaderName;
use tower_keep::cache::rules::QueryKey;
use tower_keep::cache::{CacheError, CachePolicy, CacheTags, Purging};

use crate::fixture::*;

on_both!(
    a_tag_purges_what_has_it_and_nothing_else,
    tags_are_taken_literally,
    what_was_purged_by_tag_can_be_stored_again_after_everything_was_purged,
    what_was_purged_by_tag_can_be_stored_again_after_the_log_was_lost,
    too_many_tags_are_refused_and_not_cut,
    a_url_is_purged_in_all_its_variants,
    a_url_is_purged_however_its_query_is_written,
    a_path_purges_what_lies_below_it,
    everything_is_purged_at_once,
    many_purges_by_path_end_as_one_of_everything,
    what_is_purged_softly_is_validated_before_its_next_use,
    what_is_purged_softly_may_be_sent_once_more_where_stale_is_allowed,
    a_variant_is_purged_softly_with_its_url,
);

/// Pages with the tags that the query names.
fn tagged(world: &World) -> Site {
    let policy = CachePolicy::new().tags(|request| vec![format!("path:{}", request.path())]);
    Site::new(world.with(policy), |request, n| async move {
        let mut response = answer(200, n.to_string(), DAY);
        let tags = request.uri().query().unwrap_or_default().split('&').filter(|tag| !tag.is_empty());
        response.extensions_mut().insert(CacheTags::new(tags));
        Ok(response)
    })
}

/// Which of these paths are answered from the store.
async fn stored(site: &Site, paths: &[&'static str]) -> Vec<&'static str> {
    let mut stored = Vec::new();
    for path in paths {
        if site.send(get(path, &[("cache-control", "only-if-cached")])).await.status == 200 {
            stored.push(*path);
        }
    }
    stored
}

async fn fill(site: &Site, paths: &[&'static str]) {
    for path in paths {
        site.stored(|| get(path, &[])).await;
    }
    assert_eq!(stored(site, paths).await, paths);
}

async fn a_tag_purges_what_has_it_and_nothing_else(world: World) {
    let site = tagged(&world);
    let paths = ["/a", "/a?x", "/b?x", "/b?x&y", "/c?xy", "/d?y"];
    for (tags, left) in [
        (&["x"][..], &["/a", "/c?xy", "/d?y"][..]),
        (&["y", "nobody"], &["/a", "/a?x", "/b?x", "/c?xy"]),
        (&["path:/a", "xy"], &["/b?x", "/b?x&y", "/d?y"]),
        (&["nobody", "X", "path:/"], &paths),
        (&[], &paths),
    ] {
        fill(&site, &paths).await;
        site.cache.purge(Purging::tags(tags.iter().copied())).await.unwrap();
        assert_eq!(stored(&site, &paths).await, left, "{tags:?}");
    }
}

async fn tags_are_taken_literally(world: World) {
    let odd = ["*", "a:b", "a b", "{x}", "%2A", "?", "ü", "\n", &"x".repeat(256), ""];
    let site = Site::new(world.cache(), move |request, n| async move {
        let tag: usize = request.uri().path()[1..].parse().unwrap();
        let mut response = answer(200, n.to_string(), DAY);
        let long = "x".repeat(256);
        let odd = ["*", "a:b", "a b", "{x}", "%2A", "?", "ü", "\n", &long, ""];
        response.extensions_mut().insert(CacheTags::new([odd[tag]]));
        Ok(response)
    });
    let paths = ["/0", "/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8", "/9"];
    for (at, tag) in odd.into_iter().enumerate() {
        fill(&site, &paths).await;
        site.cache.purge(Purging::tags([tag])).await.unwrap();
        let left = stored(&site, &paths).await;
        assert!(left.len() == 9 && !left.contains(&paths[at]), "{tag:?}: {left:?}");
    }
}

async fn what_was_purged_by_tag_can_be_stored_again_after_everything_was_purged(world: World) {
    let site = tagged(&world);
    for _ in 0..5 {
        fill(&site, &["/a?x"]).await;
        site.cache.purge(Purging::tags(["x"])).await.unwrap();
    }
    site.cache.purge(Purging::all()).await.unwrap();
    fill(&site, &["/a?x"]).await;
    site.cache.purge(Purging::tags(["x"])).await.unwrap();
    assert!(stored(&site, &["/a?x"]).await.is_empty());
}

async fn what_was_purged_by_tag_can_be_stored_again_after_the_log_was_lost(world: World) {
    let Some(server) = &world.redis else { return };
    let site = tagged(&world);
    for _ in 0..5 {
        fill(&site, &["/a?x"]).await;
        site.cache.purge(Purging::tags(["x"])).await.unwrap();
    }
    let _: () = server.cmd("DEL", "keep:cache:{pages}:log");
    site.stored(|| get("/b", &[])).await;
    fill(&site, &["/a?x"]).await;
    site.cache.purge(Purging::tags(["x"])).await.unwrap();
    assert!(stored(&site, &["/a?x"]).await.is_empty());
}

async fn too_many_tags_are_refused_and_not_cut(world: World) {
    let site = tagged(&world);
    let many = |n: usize| (0..n).map(|i| format!("t{i}")).collect::<Vec<_>>();
    let refused = site.cache.purge(Purging::tags(many(65))).await;
    assert!(matches!(refused, Err(CacheError::TooMany { most: 64 })));
    site.cache.purge(Purging::tags(many(64))).await.unwrap();
    for (path, is_stored) in
        [(format!("/a?{}", many(63).join("&")), true), (format!("/a?{}", many(64).join("&")), false)]
    {
        site.get(&path).await;
        assert_eq!(site.get(&path).await.is_hit(), is_stored, "with the policy's own tag");
    }
    let long = format!("/long?{}", "x".repeat(257));
    assert!(site.get(&long).await.told().contains("detail=too-many-tags"));
}

async fn a_url_is_purged_in_all_its_variants(world: World) {
    let site = Site::new(world.cache(), |request, n| async move {
        let language = request.headers().get("accept-language").map_or("", |value| value.to_str().unwrap());
        page(format!("{language} {n}"), &[DAY[0], ("vary", "accept-language")])
    });
    for soft in [false, true] {
        let ask = |language| move || get("/a", &[("accept-language", language)]);
        for language in ["en", "fr"] {
            site.stored(ask(language)).await;
        }
        let other = site.stored(|| get("/a?b", &[])).await;
        let purging = Purging::url("SHOP.example", "/a");
        site.cache.purge(if soft { purging.softly() } else { purging }).await.unwrap();
        for language in ["en", "fr"] {
            assert!(!site.send(ask(language)()).await.is_hit(), "{language} {soft}");
        }
        assert_eq!(site.hit(get("/a?b", &[])).await.body, other.body);
    }
}

async fn a_url_is_purged_however_its_query_is_written(world: World) {
    let key = || QueryKey::new().except(["utm_source"]).sorted();
    let plain = CachePolicy::new().query(key());
    let with_header = plain.clone().key_header(HeaderName::from_static("x-tenant"));
    for policy in [plain, with_header] {
        let site = Site::counting(world.with(policy), DAY);
        for soft in [false, true] {
            site.stored(|| get("/a?b=2&a=1&utm_source=mail", &[("x-tenant", "t")])).await;
            let purging = Purging::url(HOST, "/a?utm_source=web&b=2&a=1");
            site.cache.purge(if soft { purging.softly() } else { purging }).await.unwrap();
            assert!(!site.send(get("/a?a=1&b=2", &[("x-tenant", "t")])).await.is_hit());
        }
    }
}

async fn a_path_purges_what_lies_below_it(world: World) {
    let site = Site::counting(world.cache(), DAY);
    let paths = ["/", "/a", "/a?q", "/a/", "/a/b", "/ab", "/b", "/%61"];
    for (path, left) in [
        ("/a", &["/", "/ab", "/b", "/%61"][..]),
        ("/a/", &["/", "/a", "/a?q", "/ab", "/b", "/%61"]),
        ("/a/b", &["/", "/a", "/a?q", "/a/", "/ab", "/b", "/%61"]),
        ("/", &[]),
        ("/nothing", &paths),
        ("a", &paths),
    ] {
        fill(&site, &paths).await;
        site.cache.purge(Purging::below("Shop.Example", path)).await.unwrap();
        assert_eq!(stored(&site, &paths).await, left, "{path}");
        site.cache.purge(Purging::below("other.example", "/")).await.unwrap();
        assert_eq!(stored(&site, &paths).await, left, "another host");
    }
}

async fn everything_is_purged_at_once(world: World) {
    let site = tagged(&world);
    let paths = ["/a", "/b?x"];
    for purging in [Purging::all(), Purging::all().softly()] {
        fill(&site, &paths).await;
        site.stored(|| get("/a", &[("host", "other.example")])).await;
        site.cache.purge(purging).await.unwrap();
        assert!(stored(&site, &paths).await.is_empty());
        assert!(!site.send(get("/a", &[("host", "other.example")])).await.is_hit());
    }
}

async fn many_purges_by_path_end_as_one_of_everything(world: World) {
    let site = Site::counting(world.cache(), DAY);
    fill(&site, &["/kept"]).await;
    for n in 0..128 {
        site.cache.purge(Purging::below(HOST, &format!("/{n}"))).await.unwrap();
    }
    assert_eq!(stored(&site, &["/kept"]).await, ["/kept"]);
    for _ in 0..300 {
        site.cache.purge(Purging::below(HOST, "/7")).await.unwrap();
    }
    assert_eq!(stored(&site, &["/kept"]).await, ["/kept"], "the same path again is one purge");
    site.cache.purge(Purging::below(HOST, "/one-more")).await.unwrap();
    assert!(stored(&site, &["/kept"]).await.is_empty());
    fill(&site, &["/kept", "/7"]).await;
}

fn softly() -> [Purging; 4] {
    let [tags, url, below, all] =
        [Purging::tags(["path:/a"]), Purging::url(HOST, "/a"), Purging::below(HOST, "/"), Purging::all()];
    [tags.softly(), url.softly(), below.softly(), all.softly()]
}

fn policy() -> CachePolicy {
    CachePolicy::new().tags(|request| vec![format!("path:{}", request.path())])
}

async fn what_is_purged_softly_is_validated_before_its_next_use(world: World) {
    let site = Site::new(world.with(policy()), |request, n| async move {
        if request.headers().get("if-none-match").is_some_and(|tag| tag == "\"1\"") {
            return Ok(answer(304, "", &[DAY[0], ("etag", "\"1\"")]));
        }
        page(n.to_string(), &[DAY[0], ("etag", "\"1\"")])
    });
    site.stored(|| get("/a", &[])).await;
    for purging in softly() {
        let before = site.calls();
        site.cache.purge(purging.clone()).await.unwrap();
        let validated = site.get("/a").await;
        assert_eq!((validated.text(), validated.status.as_u16()), ("0", 200));
        assert!(validated.told().contains("fwd=stale; fwd-status=304; stored"), "{}", validated.told());
        assert_eq!(site.calls(), before + 1);
        site.hit(get("/a", &[])).await;
    }
}

async fn what_is_purged_softly_may_be_sent_once_more_where_stale_is_allowed(world: World) {
    let site = Site::new(world.with(policy()), |_, n| async move {
        page(n.to_string(), &[("cache-control", "max-age=86400, stale-while-revalidate=60")])
    });
    site.stored(|| get("/a", &[])).await;
    for (n, purging) in softly().into_iter().enumerate() {
        site.cache.purge(purging).await.unwrap();
        let once_more = site.hit(get("/a", &[])).await;
        assert_eq!(once_more.text(), n.to_string());
        eventually("it is made anew", async || site.get("/a").await.text() == (n + 1).to_string()).await;
        assert_eq!(site.calls(), n + 2);
    }
}

async fn a_variant_is_purged_softly_with_its_url(world: World) {
    let site = Site::new(world.cache(), |_, n| async move {
        page(n.to_string(), &[DAY[0], ("vary", "accept-language"), ("etag", "\"1\"")])
    });
    let ask = |language| move || get("/a", &[("accept-language", language)]);
    site.stored(ask("en")).await;
    site.stored(ask("fr")).await;
    site.cache.purge(Purging::url(HOST, "/a").softly()).await.unwrap();
    let english = site.send(ask("en")()).await;
    assert!(english.told().contains("fwd=stale"), "{}", english.told());
    assert_eq!(site.hit(ask("en")()).await.body, english.body);
    assert!(site.send(ask("fr")()).await.told().contains("fwd=stale"));
    site.hit(ask("fr")()).await;
}
