//! Nobody gets another one's response: each test has two visitors.

use crate::fixture::*;

on_both!(
    a_response_to_authorization_is_not_shared_unless_it_says_so,
    a_stored_response_answers_authorization_only_if_it_is_marked,
    a_cookie_that_a_response_sets_reaches_one_visitor,
    private_and_no_store_reach_one_visitor,
    what_says_nothing_of_its_lifetime_reaches_one_visitor,
    refusals_and_errors_are_never_stored,
    the_state_of_a_limit_is_never_replayed,
    fields_of_a_connection_are_never_replayed,
    a_304_brings_no_cookie_to_the_next_visitor,
);

/// Sends the same request twice, as two visitors, and tells how often the handler ran and what the second got.
async fn twice(world: &World, fields: &'static [(&str, &str)], asked: &[(&str, &str)]) -> (usize, Reply) {
    let site = Site::counting(world.cache(), fields);
    site.send(get("/a", asked)).await;
    let second = site.send(get("/a", asked)).await;
    (site.calls(), second)
}

async fn a_response_to_authorization_is_not_shared_unless_it_says_so(world: World) {
    for (control, shared) in [
        ("max-age=60", false),
        ("max-age=60, proxy-revalidate", false),
        ("max-age=60, public", true),
        ("s-maxage=60", true),
        ("max-age=60, must-revalidate", true),
    ] {
        let site = Site::new(world.cache(), move |request, _| async move {
            let name = request.headers()["authorization"].to_str().unwrap().to_owned();
            page(format!("for {name}"), &[("cache-control", control)])
        });
        let path = format!("/{}", control.replace([' ', '=', ','], "-"));
        let alice = site.send(get(&path, &[("authorization", "alice")])).await;
        let bob = site.send(get(&path, &[("authorization", "bob")])).await;
        assert_eq!(alice.text(), "for alice");
        let expected = if shared { "for alice" } else { "for bob" };
        assert_eq!(bob.text(), expected, "{control}: {}", bob.told());
    }
}

async fn a_stored_response_answers_authorization_only_if_it_is_marked(world: World) {
    for (control, shared) in [("max-age=60", false), ("max-age=60, public", true)] {
        let site = Site::new(world.cache(), move |request, _| async move {
            let name = request.headers().get("authorization").cloned();
            page(format!("for {name:?}"), &[("cache-control", control)])
        });
        let path = format!("/{shared}");
        let nobody = site.get(&path).await;
        let bob = site.send(get(&path, &[("authorization", "bob")])).await;
        assert_eq!(bob.text() == nobody.text(), shared, "{}", bob.told());
        let again = site.get(&path).await;
        assert!(again.is_hit() && again.text() == nobody.text(), "bob's answer took nobody's place");
    }
}

async fn a_cookie_that_a_response_sets_reaches_one_visitor(world: World) {
    for control in ["max-age=60", "public, max-age=60", "s-maxage=60", "immutable, max-age=60"] {
        let site = Site::new(world.cache(), move |_, n| async move {
            let fields = [("cache-control", control), ("set-cookie", "id=alice")];
            page(n.to_string(), if n == 0 { &fields } else { &fields[..1] })
        });
        let path = format!("/{}", control.len());
        assert_eq!(site.get(&path).await.field("set-cookie"), Some("id=alice"));
        for _ in 0..2 {
            let other = site.get(&path).await;
            assert!(other.text() != "0" && other.field("set-cookie").is_none(), "{control}");
        }
    }
}

async fn private_and_no_store_reach_one_visitor(world: World) {
    for control in [
        "private, max-age=60",
        "no-store, max-age=60",
        "PRIVATE, max-age=60",
        "max-age=60, private, public",
        "max-age=60, No-Store",
        "max-age=60, ext=\"a, b\", private",
    ] {
        let fields: &'static [(&str, &str)] = vec![("cache-control", control)].leak();
        let (calls, second) = twice(&world, fields, &[]).await;
        assert_eq!((calls, second.text()), (2, "1"), "{control}: {}", second.told());
    }
    // In a line of its own, and where another cache has its own field.
    let lines: &[(&str, &str)] = &[("cache-control", "max-age=60"), ("cache-control", "private")];
    assert_eq!(twice(&world, lines, &[]).await.0, 2);
    let targeted: &[(&str, &str)] = &[("cache-control", "max-age=60"), ("cdn-cache-control", "no-store")];
    assert_eq!(twice(&world, targeted, &[]).await.0, 2);
}

async fn what_says_nothing_of_its_lifetime_reaches_one_visitor(world: World) {
    for fields in
        [&[][..], &[("cache-control", "public")], &[("last-modified", "Mon, 01 Jan 2001 00:00:00 GMT")]]
    {
        assert_eq!(twice(&world, fields, &[]).await.0, 2, "{fields:?}");
    }
}

async fn refusals_and_errors_are_never_stored(world: World) {
    for status in [400, 401, 403, 405, 413, 414, 429, 431, 500, 502, 503, 504] {
        let site =
            Site::new(world.cache(), move |_, n| async move { Ok(answer(status, n.to_string(), DAY)) });
        let path = format!("/{status}");
        for n in 0..3 {
            let reply = site.get(&path).await;
            assert_eq!((reply.status.as_u16(), reply.text()), (status, &*n.to_string()));
        }
    }
}

async fn the_state_of_a_limit_is_never_replayed(world: World) {
    const FIELDS: &[(&str, &str)] = &[
        ("cache-control", "max-age=60"),
        ("ratelimit", "\"a\";r=3"),
        ("ratelimit-policy", "\"a\";q=9"),
        ("ratelimit-remaining", "3"),
        ("x-ratelimit-remaining", "3"),
        ("retry-after", "7"),
        ("x-kept", "yes"),
    ];
    let site = Site::counting(world.cache(), FIELDS);
    let first = site.get("/a").await;
    assert!(FIELDS.iter().all(|(name, value)| first.field(name) == Some(value)), "they are the first one's");
    let second = site.get("/a").await;
    assert!(second.is_hit());
    let kept: Vec<_> = FIELDS.iter().filter(|(name, _)| second.headers.contains_key(*name)).collect();
    assert_eq!(kept, [&FIELDS[0], &FIELDS[6]]);
}

async fn fields_of_a_connection_are_never_replayed(world: World) {
    const FIELDS: &[(&str, &str)] = &[
        ("cache-control", "max-age=60"),
        ("connection", "x-hop, keep-alive"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("link", "</a>"),
        ("link", "</b>"),
    ];
    let site = Site::counting(world.cache(), FIELDS);
    site.get("/a").await;
    let second = site.get("/a").await;
    assert!(second.is_hit());
    assert!(
        ["connection", "x-hop", "keep-alive", "te"].iter().all(|name| !second.headers.contains_key(*name))
    );
    assert_eq!(second.headers.get_all("link").iter().collect::<Vec<_>>(), ["</a>", "</b>"]);
}

async fn a_304_brings_no_cookie_to_the_next_visitor(world: World) {
    let site = Site::new(world.cache(), |request, n| async move {
        if request.headers().contains_key("if-none-match") {
            let fields = [
                ("cache-control", "max-age=60"),
                ("etag", "\"1\""),
                ("set-cookie", "id=alice"),
                ("x-new", "1"),
            ];
            return Ok(answer(304, "", &fields));
        }
        page(n.to_string(), &[("cache-control", "max-age=60"), ("age", "90"), ("etag", "\"1\"")])
    });
    assert_eq!(site.get("/a").await.text(), "0");
    let alice = site.get("/a").await;
    assert_eq!(
        (alice.text(), alice.field("set-cookie"), alice.field("x-new")),
        ("0", Some("id=alice"), Some("1"))
    );
    for _ in 0..2 {
        let bob = site.get("/a").await;
        assert_eq!((bob.text(), bob.field("set-cookie")), ("0", None), "{}", bob.told());
    }
}
