//! `Vary`: one URL, several responses.

use http::Request;
use tower_keep::cache::CachePolicy;
use tower_keep::cache::rules::{Preferences, Rules};

use crate::fixture::*;

on_both!(
    languages_live_side_by_side,
    a_missing_field_is_a_variant_of_its_own,
    whoever_sends_no_cookie_gets_nobodys_page,
    responses_of_one_url_may_vary_on_different_fields,
    a_response_that_stops_varying_answers_everybody,
    what_varies_on_everything_is_never_stored,
    too_many_variants_begin_anew,
    what_selects_a_variant_is_not_stored_in_clear,
    who_is_answered_by_the_best_language_is_asked_for_it,
    waiters_for_another_variant_get_their_own,
);

fn field(request: &Request<()>, name: &str) -> String {
    request.headers().get(name).map_or_else(|| "none".to_owned(), |value| value.to_str().unwrap().to_owned())
}

/// A site whose pages are in the language that was asked for.
fn polyglot(world: &World, vary: &'static [&'static str]) -> Site {
    Site::new(world.cache(), move |request, n| async move {
        let mut response = answer(200, format!("{} {n}", field(&request, "accept-language")), DAY);
        for line in vary {
            response.headers_mut().append("vary", line.parse().unwrap());
        }
        Ok(response)
    })
}

async fn languages_live_side_by_side(world: World) {
    for vary in [
        &["Accept-Language"][..],
        &["accept-language, accept-encoding"],
        &["accept-encoding", "ACCEPT-LANGUAGE"],
    ] {
        let site = polyglot(&world, vary);
        let path = format!("/{}", vary.concat().len());
        for round in 0..3 {
            for (n, language) in ["en", "fr", "de", "en-GB"].into_iter().enumerate() {
                let reply = site.send(get(&path, &[("accept-language", language)])).await;
                assert_eq!(reply.text(), format!("{language} {n}"), "round {round}");
                assert_eq!(reply.is_hit(), round > 0);
            }
        }
        let said = site.send(get(&path, &[("accept-language", "it")])).await;
        assert!(said.told().contains("fwd=vary-miss"), "{}", said.told());
    }
}

async fn a_missing_field_is_a_variant_of_its_own(world: World) {
    let site = polyglot(&world, &["accept-language"]);
    let variants: [&[(&str, &str)]; 3] = [&[], &[("accept-language", "")], &[("accept-language", "none")]];
    for round in 0..2 {
        for fields in variants {
            assert_eq!(site.send(get("/", fields)).await.is_hit(), round == 1, "{fields:?}");
        }
    }
}

async fn whoever_sends_no_cookie_gets_nobodys_page(world: World) {
    let site = Site::new(world.cache(), |request, _| async move {
        page(format!("page of {}", field(&request, "cookie")), &[DAY[0], ("vary", "cookie")])
    });
    for _ in 0..2 {
        for name in ["id=alice", "id=bob", "id=alice; theme=dark", "theme=dark; id=alice"] {
            let reply = site.send(get("/", &[("cookie", name)])).await;
            assert_eq!(reply.text(), format!("page of {name}"));
        }
        assert_eq!(site.get("/").await.text(), "page of none");
    }
    assert_eq!(site.calls(), 5);
}

/// A redirect to the sign-in varies on the cookie, the page itself on the language.
async fn responses_of_one_url_may_vary_on_different_fields(world: World) {
    let site = Site::new(world.cache(), |request, _| async move {
        let (cookie, language) = (field(&request, "cookie"), field(&request, "accept-language"));
        if cookie == "none" {
            return page("sign in", &[DAY[0], ("vary", "cookie")]);
        }
        page(format!("{cookie} {language}"), &[DAY[0], ("vary", "cookie, accept-language")])
    });
    for _ in 0..3 {
        for (cookie, language) in [("a", "en"), ("a", "fr"), ("b", "fr"), ("b", "en")] {
            let fields = [("cookie", cookie), ("accept-language", language)];
            assert_eq!(site.send(get("/", &fields)).await.text(), format!("{cookie} {language}"));
        }
        assert_eq!(site.send(get("/", &[("accept-language", "en")])).await.text(), "sign in");
    }
    assert_eq!(site.calls(), 5, "both sets are looked at");
}

async fn a_response_that_stops_varying_answers_everybody(world: World) {
    let site = Site::new(world.cache(), |request, n| async move {
        let varies: &[(&str, &str)] = &[DAY[0], ("vary", "cookie")];
        page(format!("{} {n}", field(&request, "cookie")), if n < 2 { varies } else { DAY })
    });
    let of = async |cookie| site.send(get("/", &[("cookie", cookie)])).await.text().to_owned();
    assert_eq!((of("a").await, of("b").await, of("a").await), ("a 0".into(), "b 1".into(), "a 0".into()));
    assert_eq!((of("c").await, of("c").await), ("c 2".into(), "c 2".into()));
    assert_eq!(of("d").await, "c 2", "it says that it is the same for all");
}

async fn what_varies_on_everything_is_never_stored(world: World) {
    for vary in [&["*"][..], &["accept-language, *"], &["accept-language", "*"], &[" * "], &["a b"]] {
        let site = polyglot(&world, vary);
        for n in 0..2 {
            assert_eq!(
                site.send(get("/", &[("accept-language", "en")])).await.text(),
                format!("en {n}"),
                "{vary:?}"
            );
        }
    }
}

async fn too_many_variants_begin_anew(world: World) {
    let cache = world.builder().max_variants(4).build().unwrap();
    let site =
        Site::new(
            cache,
            |request, _| async move { page(field(&request, "x-n"), &[DAY[0], ("vary", "x-n")]) },
        );
    for n in 0..20 {
        let n = n.to_string();
        assert_eq!(site.send(get("/", &[("x-n", &n)])).await.text(), n);
    }
    let calls = site.calls();
    for n in 100..104 {
        let n = n.to_string();
        for _ in 0..2 {
            assert_eq!(site.send(get("/", &[("x-n", &n)])).await.text(), n);
        }
    }
    assert!(site.calls() <= calls + 5, "the latest are stored");
}

async fn what_selects_a_variant_is_not_stored_in_clear(world: World) {
    let site = Site::new(world.cache(), |_, _| async { page("x", &[DAY[0], ("vary", "cookie")]) });
    site.stored(|| get("/", &[("cookie", "id=canary-cookie"), ("x-other", "canary")])).await;
    let Some(server) = &world.redis else { return };
    let keys: Vec<String> = server.cmd("KEYS", "*");
    assert!(keys.len() >= 4, "{keys:?}");
    for key in keys {
        assert!(!key.contains("canary"));
        let kind: String = server.cmd("TYPE", &key);
        assert_eq!(kind, "string", "{key}");
        let value: Vec<u8> = server.cmd("GET", &key);
        assert!(!String::from_utf8_lossy(&value).contains("canary"), "{key}");
    }
}

/// Who wants Danish most and who wants Spanish share a variant: the handler must not tell them apart.
async fn who_is_answered_by_the_best_language_is_asked_for_it(world: World) {
    let mut rules = Rules::safe();
    rules.normalise.languages = Preferences::best(["en", "fr"]);
    rules.normalise.encodings = Preferences::best(["gzip", "identity"]);
    let site = Site::new(world.with(CachePolicy::new().rules(rules)), |request, _| async move {
        let seen = format!("{} {}", field(&request, "accept-language"), field(&request, "accept-encoding"));
        page(seen, &[DAY[0], ("vary", "accept-language, accept-encoding")])
    });
    for (language, coding, expected) in [
        ("da, fr;q=0.5", "br, gzip", "fr gzip"),
        ("es, fr;q=0.8, en;q=0.1", "gzip, zstd", "fr gzip"),
        ("fr", "gzip;q=0.5", "fr gzip"),
        ("en-GB, en;q=0.9", "gzip", "en gzip"),
        ("it", "gzip", "en gzip"),
    ] {
        let reply = site.send(get("/", &[("accept-language", language), ("accept-encoding", coding)])).await;
        assert_eq!(reply.text(), expected, "{language}, {coding}");
    }
    assert_eq!(site.calls(), 2);
}

async fn waiters_for_another_variant_get_their_own(world: World) {
    let site = polyglot(&world, &["accept-language"]);
    let languages = ["en", "fr", "de", "it", "da"];
    let asks = (0..100).map(|n| {
        let site = site.clone();
        async move {
            let language = languages[n % 5];
            let reply = site.send(get("/", &[("accept-language", language)])).await;
            assert!(reply.text().starts_with(language), "{language} got {}", reply.text());
        }
    });
    let tasks: Vec<_> = asks.map(tokio::spawn).collect();
    for task in tasks {
        task.await.unwrap();
    }
    for language in languages {
        assert!(site.send(get("/", &[("accept-language", language)])).await.text().starts_with(language));
    }
}
