//! Asking the handler whether what is stored is still good, and telling clients that theirs is.

use tower_keep::cache::{CachePolicy, CacheTags, Purging};

use crate::fixture::*;

on_both!(
    the_handler_is_asked_with_the_stored_validators_and_not_with_the_clients,
    a_304_freshens_the_fields_and_moves_no_body,
    a_304_freshens_a_variant,
    a_304_may_add_tags_and_loses_none,
    a_304_that_forbids_storing_removes_what_is_stored,
    a_304_about_another_response_removes_what_is_stored,
    a_304_after_a_purge_freshens_nothing,
    a_200_replaces_what_is_stored,
    a_304_to_a_body_that_is_gone_is_no_answer_for_the_next,
    a_head_validates_without_taking_the_place_of_a_get,
    clients_with_the_same_copy_get_a_304_from_the_store,
    clients_with_another_copy_get_the_body_from_the_store,
    who_asks_the_handler_for_everybody_gets_what_they_asked_for,
);

/// Stale as it comes, good for a day once it is validated.
fn site(world: &World, policy: CachePolicy, of_304: &'static [(&str, &str)]) -> Site {
    Site::new(world.with(policy), move |request, n| async move {
        if request.headers().get("if-none-match").is_some_and(|sent| sent == "\"1\"") {
            let mut response = answer(304, "", of_304);
            response.extensions_mut().insert(CacheTags::new(["later"]));
            return Ok(response);
        }
        let fields = [
            ("cache-control", "max-age=60"),
            ("age", "90"),
            ("etag", "\"1\""),
            ("x-n", "old"),
            ("x-kept", "yes"),
        ];
        let mut response = answer(200, format!("body {n}"), &fields);
        response.extensions_mut().insert(CacheTags::new(["first"]));
        Ok(response)
    })
}

const FRESH: &[(&str, &str)] = &[
    ("cache-control", "max-age=86400"),
    ("etag", "\"1\""),
    ("x-n", "new"),
    ("x-added", "yes"),
    ("content-length", "0"),
];

/// Fills, and waits until what is stale is there.
async fn fill(site: &Site, path: &str) {
    site.get(path).await;
    eventually("it is stored", async || {
        site.send(get(path, &[("cache-control", "max-stale, only-if-cached")])).await.status == 200
    })
    .await;
}

async fn the_handler_is_asked_with_the_stored_validators_and_not_with_the_clients(world: World) {
    let modified = "Mon, 01 Jan 2001 00:00:00 GMT";
    for (stored, name, value) in [
        (("etag", "W/\"a\""), "if-none-match", "W/\"a\""),
        (("last-modified", modified), "if-modified-since", modified),
    ] {
        let site = Site::new(world.cache(), move |_, n| async move {
            page(n.to_string(), &[("cache-control", "max-age=60"), ("age", "90"), stored])
        });
        let path = format!("/{name}");
        fill(&site, &path).await;
        let of_client = [
            ("if-none-match", "\"client\""),
            ("if-modified-since", "Fri, 31 Dec 2100 00:00:00 GMT"),
            ("range", "bytes=0-0"),
            ("if-range", "\"client\""),
            ("x-own", "yes"),
        ];
        site.send(get(&path, &of_client)).await;
        let asked = site.origin.last().headers;
        assert_eq!(asked.get(name).unwrap(), value);
        for field in ["if-none-match", "if-modified-since", "range", "if-range"] {
            assert!(field == name || !asked.contains_key(field), "{field}");
        }
        assert!(asked.contains_key("x-own") && asked.contains_key("host"));
    }
}

async fn a_304_freshens_the_fields_and_moves_no_body(world: World) {
    let site = site(&world, CachePolicy::new(), FRESH);
    fill(&site, "/").await;
    let body = world.redis.as_ref().map(|server| server.cmd::<Vec<String>>("KEYS", "*:b:*"));
    for round in 0..3 {
        let reply = site.get("/").await;
        assert_eq!((reply.status.as_u16(), reply.text()), (200, "body 0"));
        let fields = ["x-n", "x-added", "x-kept", "content-length"].map(|name| reply.field(name));
        assert_eq!(fields, [Some("new"), Some("yes"), Some("yes"), Some("6")]);
        if round == 0 {
            assert_eq!(reply.told(), "tower-keep; fwd=stale; fwd-status=304; stored; detail=expired");
        } else {
            assert!(reply.is_hit() && reply.field("age").unwrap().parse::<u64>().unwrap() < 60);
        }
    }
    assert_eq!(site.calls(), 2);
    if let Some(server) = &world.redis {
        assert_eq!(Some(server.cmd("KEYS", "*:b:*")), body, "the body was not written again");
        let ttl: i64 = server.cmd("PTTL", &body.unwrap()[0]);
        assert!(ttl > 86_400_000, "but lives as long as its head: {ttl}");
    }
}

async fn a_304_freshens_a_variant(world: World) {
    let site = Site::new(world.cache(), |request, n| async move {
        let language = request.headers()["accept-language"].to_str().unwrap().to_owned();
        let vary = [("etag", "\"1\""), ("vary", "accept-language")];
        if request.headers().contains_key("if-none-match") {
            return Ok(answer(304, "", &[&vary[..], &[("cache-control", "max-age=86400")]].concat()));
        }
        page(
            format!("{language} {n}"),
            &[&vary[..], &[("cache-control", "max-age=60"), ("age", "90")]].concat(),
        )
    });
    let ask = async |language: &str, more: &[(&str, &str)]| {
        site.send(get("/", &[&[("accept-language", language)], more].concat())).await
    };
    for language in ["en", "fr"] {
        ask(language, &[]).await;
        eventually("it is stored", async || {
            ask(language, &[("cache-control", "max-stale, only-if-cached")]).await.status == 200
        })
        .await;
    }
    assert!(ask("en", &[]).await.told().contains("fwd-status=304; stored"));
    let english = ask("en", &[]).await;
    assert!(english.is_hit() && english.text() == "en 0");
    let french = ask("fr", &[]).await;
    assert!(
        french.told().contains("fwd-status=304") && french.text() == "fr 1",
        "the other one is still stale"
    );
}

async fn a_304_may_add_tags_and_loses_none(world: World) {
    for tag in ["first", "later", "policy"] {
        let policy = CachePolicy::new().tags(|_| vec!["policy".to_owned()]);
        let site = site(&world, policy, FRESH);
        let path = format!("/{tag}");
        fill(&site, &path).await;
        site.get(&path).await;
        site.hit(get(&path, &[])).await;
        site.cache.purge(Purging::tags([tag])).await.unwrap();
        assert!(!site.get(&path).await.is_hit(), "{tag}");
    }
}

async fn a_304_that_forbids_storing_removes_what_is_stored(world: World) {
    for (case, of_304) in [
        &[("cache-control", "no-store"), ("etag", "\"1\"")][..],
        &[("cache-control", "private, max-age=60"), ("etag", "\"1\"")],
        &[("cache-control", "max-age=60"), ("etag", "\"1\""), ("vary", "*")],
    ]
    .into_iter()
    .enumerate()
    {
        let site = site(&world, CachePolicy::new(), of_304);
        let path = format!("/{case}");
        fill(&site, &path).await;
        assert_eq!(site.get(&path).await.text(), "body 0", "it is good for this client");
        let next = site.get(&path).await;
        assert!(next.text() == "body 2" && next.told().contains("fwd=uri-miss"), "{}", next.told());
    }
}

async fn a_304_about_another_response_removes_what_is_stored(world: World) {
    let site = site(
        &world,
        CachePolicy::new(),
        &[("etag", "\"2\""), ("cache-control", "max-age=86400"), ("x-n", "other")],
    );
    fill(&site, "/").await;
    let reply = site.get("/").await;
    assert!(!reply.told().contains("stored") && reply.field("x-n") == Some("old"), "{}", reply.told());
    assert_eq!(site.get("/").await.text(), "body 2");
}

async fn a_304_after_a_purge_freshens_nothing(world: World) {
    for purging in
        [Purging::tags(["first"]), Purging::url(HOST, "/p"), Purging::below(HOST, "/p"), Purging::all()]
    {
        let (runs, mut begun) = tokio::sync::mpsc::unbounded_channel();
        let site = Site::new(world.cache(), move |request, n| {
            let runs = runs.clone();
            async move {
                let mut response = if request.headers().contains_key("if-none-match") {
                    let (go_on, told) = tokio::sync::oneshot::channel::<()>();
                    runs.send(go_on).unwrap();
                    told.await.unwrap();
                    answer(304, "", FRESH)
                } else {
                    answer(
                        200,
                        n.to_string(),
                        &[("cache-control", "max-age=60"), ("age", "90"), ("etag", "\"1\"")],
                    )
                };
                response.extensions_mut().insert(CacheTags::new(["first"]));
                Ok(response)
            }
        });
        fill(&site, "/p").await;
        let validating = tokio::spawn({
            let site = site.clone();
            async move { site.get("/p").await }
        });
        let go_on = begun.recv().await.unwrap();
        site.cache.purge(purging.clone()).await.unwrap();
        go_on.send(()).unwrap();
        validating.await.unwrap();
        let after = site.get("/p").await;
        assert!(!after.is_hit() && after.text() == "2", "{purging:?}: {}", after.told());
        site.cache.purge(Purging::all()).await.unwrap();
    }
}

async fn a_200_replaces_what_is_stored(world: World) {
    let site = Site::new(world.cache(), |_, n| async move {
        let stale = [("cache-control", "max-age=60"), ("etag", "\"0\""), ("x-old", "yes"), ("age", "90")];
        page(n.to_string(), if n == 0 { &stale } else { DAY })
    });
    fill(&site, "/").await;
    let replaced = site.get("/").await;
    assert_eq!((replaced.text(), replaced.field("x-old")), ("1", None));
    let hit = site.hit(get("/", &[])).await;
    assert_eq!((hit.text(), hit.field("x-old")), ("1", None));
}

async fn a_304_to_a_body_that_is_gone_is_no_answer_for_the_next(world: World) {
    let Some(server) = &world.redis else { return };
    let site = site(&world, CachePolicy::new(), FRESH);
    fill(&site, "/").await;
    let body: Vec<String> = server.cmd("KEYS", "*:b:*");
    // The head is asked for alone, and then the body is gone.
    let _: () = server.cmd("DEL", &body);
    let response = site.raw(get("/", &[("if-none-match", "\"client\"")])).await;
    assert!(is_truncated(&Reply::read(response).await.unwrap_err()), "what cannot be told is not told");
    let next = site.get("/").await;
    assert!(!next.is_hit() && next.text() == "body 2", "{}", next.told());
}

async fn a_head_validates_without_taking_the_place_of_a_get(world: World) {
    let site = site(&world, CachePolicy::new(), FRESH);
    fill(&site, "/").await;
    let head = site.send(request("HEAD", "/", &[])).await;
    assert_eq!((head.status.as_u16(), head.body.len(), head.field("content-length")), (200, 0, Some("6")));
    assert_eq!(site.origin.last().method, "HEAD");
    assert_eq!(site.get("/").await.text(), "body 0");
    assert_eq!(site.hit(get("/", &[])).await.text(), "body 0");
}

async fn clients_with_the_same_copy_get_a_304_from_the_store(world: World) {
    let modified = "Mon, 01 Jan 2001 00:00:00 GMT";
    let site = Site::new(world.cache(), move |_, _| async move {
        let fields = [
            DAY[0],
            ("etag", "\"1\""),
            ("last-modified", modified),
            ("vary", "x"),
            ("content-type", "text/plain"),
            ("x-own", "1"),
        ];
        page("the body", &fields)
    });
    site.stored(|| get("/", &[])).await;
    for asked in [
        &[("if-none-match", "\"1\"")][..],
        &[("if-none-match", "\"0\", W/\"1\"")],
        &[("if-none-match", "\"0\""), ("if-none-match", "\"1\"")],
        &[("if-none-match", "*")],
        &[("if-modified-since", modified)],
        &[("if-modified-since", "Tue, 02 Jan 2001 00:00:00 GMT")],
        &[("if-none-match", "\"1\""), ("if-modified-since", "Sun, 31 Dec 2000 00:00:00 GMT")],
        &[("if-none-match", "\"1\""), ("range", "bytes=0-0")],
    ] {
        for method in ["GET", "HEAD"] {
            let reply = site.hit(request(method, "/", asked)).await;
            assert_eq!((reply.status.as_u16(), reply.body.len()), (304, 0), "{asked:?}");
            let sent = ["etag", "cache-control", "vary", "date"].map(|name| reply.headers.contains_key(name));
            assert_eq!(sent, [true; 4], "RFC 9110 §15.4.5");
            assert!(!reply.headers.contains_key("content-length"));
        }
    }
    assert_eq!(site.calls(), 1);
}

async fn clients_with_another_copy_get_the_body_from_the_store(world: World) {
    let site = Site::new(world.cache(), |_, _| async {
        page("the body", &[DAY[0], ("etag", "\"1\""), ("last-modified", "Mon, 01 Jan 2001 00:00:00 GMT")])
    });
    site.stored(|| get("/", &[])).await;
    for asked in [
        &[("if-none-match", "\"0\"")][..],
        &[("if-modified-since", "Sun, 31 Dec 2000 00:00:00 GMT")],
        &[("if-modified-since", "yesterday")],
        &[("if-none-match", "\"0\""), ("if-modified-since", "Tue, 02 Jan 2001 00:00:00 GMT")],
    ] {
        let reply = site.hit(get("/", asked)).await;
        assert_eq!((reply.status.as_u16(), reply.text()), (200, "the body"), "{asked:?}");
    }
    assert_eq!(site.calls(), 1);
}

/// The client's own condition and range are answered from what came back.
async fn who_asks_the_handler_for_everybody_gets_what_they_asked_for(world: World) {
    let site = site(&world, CachePolicy::new(), FRESH);
    for (path, asked, status, body) in [
        ("/same", ("if-none-match", "\"1\""), 304, ""),
        ("/other", ("if-none-match", "\"0\""), 200, "body"),
        ("/part", ("range", "bytes=0-3"), 206, "body"),
    ] {
        fill(&site, path).await;
        let reply = site.send(get(path, &[asked])).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.told());
        assert!(
            reply.text().starts_with(body) && reply.told().contains("fwd-status=304"),
            "{path}: {}",
            reply.told()
        );
    }
}
