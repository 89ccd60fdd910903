//! What unsafe requests make invalid (RFC 9111 §4.4), and groups (RFC 9875).

use tower_keep::cache::CachePolicy;

use crate::fixture::*;

on_both!(
    an_unsafe_request_that_succeeds_removes_what_is_stored_for_its_url,
    an_unsafe_request_that_fails_removes_nothing,
    a_safe_request_removes_nothing,
    where_the_response_points_in_its_own_origin_is_removed_too,
    groups_are_invalidated_in_their_own_origin,
    a_group_of_one_host_is_not_mistaken_for_one_of_another,
    what_is_stored_in_too_many_groups_is_not_stored,
);

/// `POST` is answered with the status and fields that the test wants.
fn site(world: &World, status: u16, fields: &'static [(&str, &str)]) -> Site {
    Site::new(world.cache(), move |request, n| async move {
        if request.method() == "GET" {
            return page(n.to_string(), &[DAY[0], ("vary", "accept-language")]);
        }
        Ok(answer(status, "", fields))
    })
}

async fn is_stored(site: &Site, host: &str, path: &str) -> bool {
    site.send(get(path, &[("cache-control", "only-if-cached"), ("host", host)])).await.is_hit()
}

async fn an_unsafe_request_that_succeeds_removes_what_is_stored_for_its_url(world: World) {
    for (n, method) in ["POST", "PUT", "DELETE", "PATCH", "WEIRD"].into_iter().enumerate() {
        for status in [200, 201, 204, 302, 399] {
            let site = site(&world, status, &[]);
            let site = site.behind(world.builder().namespace(format!("c{n}-{status}")).build().unwrap());
            for path in ["/a", "/a?q", "/b"] {
                site.stored(|| get(path, &[])).await;
            }
            let french = || get("/a", &[("accept-language", "fr")]);
            site.stored(french).await;
            assert_eq!(site.send(request(method, "/a", &[])).await.status, status);
            assert!(!is_stored(&site, HOST, "/a").await, "{method} {status}");
            assert!(!site.send(french()).await.is_hit(), "in all its variants");
            assert!(is_stored(&site, HOST, "/a?q").await && is_stored(&site, HOST, "/b").await);
        }
    }
}

async fn an_unsafe_request_that_fails_removes_nothing(world: World) {
    for status in [400, 404, 409, 500, 503] {
        let site = site(&world, status, &[("location", "/b")]);
        for path in ["/a", "/b"] {
            site.stored(|| get(path, &[])).await;
        }
        site.send(request("POST", "/a", &[])).await;
        assert!(is_stored(&site, HOST, "/a").await && is_stored(&site, HOST, "/b").await, "{status}");
    }
    let site = Site::new(world.cache(), |request, n| async move {
        if request.method() == "GET" { page(n.to_string(), DAY) } else { Err(Trouble("no database")) }
    });
    site.stored(|| get("/failed", &[])).await;
    assert_eq!(site.try_raw(request("POST", "/failed", &[])).await.unwrap_err(), Trouble("no database"));
    assert!(is_stored(&site, HOST, "/failed").await);
}

async fn a_safe_request_removes_nothing(world: World) {
    let site = site(&world, 200, &[]);
    site.stored(|| get("/a", &[])).await;
    for method in ["HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY"] {
        site.send(request(method, "/a", &[])).await;
        assert!(is_stored(&site, HOST, "/a").await, "{method}");
    }
}

async fn where_the_response_points_in_its_own_origin_is_removed_too(world: World) {
    const CASES: [(&[(&str, &str)], bool); 12] = [
        (&[("location", "/b")], true),
        (&[("location", "b")], true),
        (&[("content-location", "/b")], true),
        (&[("location", "http://shop.example/b")], true),
        (&[("location", "/b#top")], true),
        (&[("location", "/x"), ("content-location", "/b")], true),
        (&[("location", "/x/../b")], true),
        (&[("location", "http://other.example/b")], false),
        (&[("location", "//other.example/b")], false),
        (&[("location", "http://shop.example:81/b")], false),
        (&[("location", "http://[/b")], false),
        (&[("location", "/b?q")], false),
    ];
    for (fields, removes) in CASES {
        let site = site(&world, 201, fields);
        site.stored(|| get("/b", &[])).await;
        site.stored(|| get("/b", &[("host", "other.example")])).await;
        site.send(request("POST", "/a", &[])).await;
        assert_eq!(is_stored(&site, HOST, "/b").await, !removes, "{fields:?}");
        assert!(
            is_stored(&site, "other.example", "/b").await,
            "{fields:?}: nobody removes what another origin has"
        );
    }
}

/// Pages of `/users/..` are in the group `users`, and so on.
fn grouped(world: &World) -> Site {
    Site::new(world.cache(), |request, n| async move {
        if request.method() != "GET" {
            let groups = request.headers()["x-groups"].to_str().unwrap().to_owned();
            return Ok(answer(204, "", &[("cache-group-invalidation", &groups)]));
        }
        let groups = format!("\"{}\", \"all\"", request.uri().path().split('/').nth(1).unwrap());
        page(n.to_string(), &[DAY[0], ("cache-groups", &groups)])
    })
}

async fn groups_are_invalidated_in_their_own_origin(world: World) {
    let site = grouped(&world);
    let paths = ["/users/1", "/users/2", "/orders/1"];
    for (groups, left) in [
        ("\"users\"", &["/orders/1"][..]),
        ("\"users\", \"orders\"", &[]),
        ("\"all\"", &[]),
        ("\"Users\"", &paths),
        ("users", &paths),
    ] {
        for path in paths {
            for host in [HOST, "other.example"] {
                site.stored(|| get(path, &[("host", host)])).await;
            }
        }
        site.send(request("POST", "/elsewhere", &[("x-groups", groups)])).await;
        for path in paths {
            assert_eq!(is_stored(&site, HOST, path).await, left.contains(&path), "{groups} {path}");
            assert!(is_stored(&site, "other.example", path).await, "{groups}: another origin's");
        }
    }
    for path in paths {
        site.stored(|| get(path, &[])).await;
    }
    site.send(request("OPTIONS", "/elsewhere", &[("x-groups", "\"all\"")])).await;
    assert!(is_stored(&site, HOST, "/users/1").await, "a safe request invalidates no group");
}

async fn a_group_of_one_host_is_not_mistaken_for_one_of_another(world: World) {
    let site = Site::new(world.cache(), |request, n| async move {
        if request.method() != "GET" {
            return Ok(answer(204, "", &[("cache-group-invalidation", "\"80:users\"")]));
        }
        page(n.to_string(), &[DAY[0], ("cache-groups", "\"users\"")])
    });
    site.stored(|| get("/", &[("host", "shop.example:80")])).await;
    site.send(request("POST", "/x", &[("host", "shop.example")])).await;
    assert!(is_stored(&site, "shop.example:80", "/").await);
}

async fn what_is_stored_in_too_many_groups_is_not_stored(world: World) {
    let policy = CachePolicy::new().tags(|_| (0..60).map(|n| n.to_string()).collect());
    let site = Site::new(world.with(policy), |_, n| async move {
        page(n.to_string(), &[DAY[0], ("cache-groups", "\"a\", \"b\", \"c\", \"d\", \"e\"")])
    });
    for _ in 0..2 {
        assert!(!site.get("/").await.is_hit());
    }
}
