//! What tells requests apart, and what handlers may see of the rest.

use http::HeaderName;
use tower_keep::cache::rules::{QueryKey, QueryMethod, Rules};
use tower_keep::cache::{CachePolicy, UnkeyedInput};

use crate::fixture::*;

on_both!(
    each_host_has_its_own_pages,
    a_request_that_names_two_hosts_is_left_alone,
    a_post_is_never_answered_from_the_store_and_fills_nothing,
    a_query_is_not_answered_by_what_is_stored_for_get,
    a_head_is_answered_by_what_is_stored_for_get_without_a_body,
    a_head_fills_nothing,
    a_part_fills_nothing_and_is_cut_from_what_is_stored,
    the_query_counts_as_it_is_sent,
    a_policy_may_sort_and_select_parameters,
    a_header_in_the_key_keeps_tenants_apart,
    anything_may_be_part_of_the_key,
    requests_that_mean_something_else_are_left_alone,
    what_the_policy_leaves_alone_is_neither_stored_nor_answered,
    hidden_input_reaches_no_handler,
    hidden_input_stays_hidden_when_nothing_is_stored,
    hidden_parameters_reach_no_handler,
);

/// A site that greets by what it was asked.
fn greeting(
    world: &World,
    policy: CachePolicy,
    by: impl Fn(&http::Request<()>) -> String + Send + Sync + 'static,
) -> Site {
    Site::new(world.with(policy), move |request, _| {
        let name = by(&request);
        async move { page(format!("hello {name}"), DAY) }
    })
}

fn header(name: &'static str) -> impl Fn(&http::Request<()>) -> String + Send + Sync + 'static {
    move |request| {
        request.headers().get(name).map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    }
}

async fn each_host_has_its_own_pages(world: World) {
    let site = greeting(&world, CachePolicy::new(), header("host"));
    for (host, calls) in [("a", 1), ("b", 2), ("a:81", 3), ("A", 3), ("a", 3), ("a.", 4), ("", 5)] {
        let reply = site.send(get("/", &[("host", host)])).await;
        assert!(reply.text().eq_ignore_ascii_case(&format!("hello {host}")), "{host}: {}", reply.text());
        assert_eq!(site.calls(), calls, "{host}");
    }
    let mut by_authority = get("http://b/", &[]);
    by_authority.headers_mut().remove("host");
    assert!(site.send(by_authority).await.is_hit(), "HTTP/2 has no host field");
    let site = Site::counting(world.cache(), DAY);
    for host in [&b"\xff"[..], b"\xfe"] {
        let mut request = get("/bytes", &[]);
        request.headers_mut().insert("host", http::HeaderValue::from_bytes(host).unwrap());
        assert!(!site.send(request).await.is_hit(), "these are different hosts");
    }
}

/// RFC 9112 §3.2.2: of `GET http://evil/` with `Host: shop` some handlers believe the one, some the other.
async fn a_request_that_names_two_hosts_is_left_alone(world: World) {
    let site = greeting(&world, CachePolicy::new(), |request| format!("{:?}", request.uri().host()));
    for _ in 0..2 {
        let reply = site.send(get("http://evil.example/", &[])).await;
        assert!(reply.told().contains("fwd=bypass"), "{}", reply.told());
    }
    assert_eq!(site.get("/").await.text(), "hello None");
    assert_eq!(site.send(get("http://shop.example/", &[])).await.text(), "hello None");
    assert_eq!(site.calls(), 3);
}

async fn a_post_is_never_answered_from_the_store_and_fills_nothing(world: World) {
    let site = Site::counting(world.cache(), DAY);
    for n in 0..3 {
        assert_eq!(site.send(request("POST", "/a", &[])).await.text(), n.to_string());
    }
    assert_eq!(site.get("/a").await.text(), "3");
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "QUERY", "get"] {
        let before = site.calls();
        assert!(!site.send(request(method, "/b", &[])).await.is_hit());
        assert_eq!(site.calls(), before + 1, "{method}");
        assert!(!site.get("/b").await.is_hit(), "{method} left something");
        site.send(request("DELETE", "/b", &[])).await;
    }
}

/// Its answer depends on what it carries, which is not in the key.
async fn a_query_is_not_answered_by_what_is_stored_for_get(world: World) {
    let mut rules = Rules::safe();
    rules.query_method = QueryMethod::Cache;
    let site = Site::counting(world.with(CachePolicy::new().rules(rules)), DAY);
    site.stored(|| get("/a", &[])).await;
    for n in ["1", "2"] {
        assert_eq!(site.send(request("QUERY", "/a", &[("content-length", "3")])).await.text(), n);
    }
    assert_eq!(site.get("/a").await.text(), "0");
}

async fn a_head_is_answered_by_what_is_stored_for_get_without_a_body(world: World) {
    let site = Site::new(world.cache(), |_, _| async { page("the whole page", DAY) });
    let whole = site.stored(|| get("/a", &[])).await;
    let head = site.send(request("HEAD", "/a", &[])).await;
    assert!(head.is_hit());
    assert_eq!((head.body.len(), head.field("content-length")), (0, Some("14")));
    assert_eq!((head.field("date"), head.field("age")), (whole.field("date"), whole.field("age")));
    let again = site.get("/a").await;
    assert_eq!((again.text(), again.field("content-length")), ("the whole page", Some("14")));
    assert_eq!(site.calls(), 1);
}

async fn a_head_fills_nothing(world: World) {
    let site = Site::new(world.cache(), |request, _| async move {
        page(if request.method() == "HEAD" { "" } else { "the whole page" }, DAY)
    });
    for calls in [1, 2] {
        assert!(site.send(request("HEAD", "/a", &[])).await.body.is_empty());
        assert_eq!(site.calls(), calls);
    }
    assert_eq!(site.get("/a").await.text(), "the whole page");
    assert!(site.get("/a").await.is_hit());
}

async fn a_part_fills_nothing_and_is_cut_from_what_is_stored(world: World) {
    let site = Site::new(world.cache(), |request, _| async move {
        if request.headers().contains_key("range") {
            let fields = [DAY[0], ("content-range", "bytes 0-2/1000")];
            return Ok(answer(206, "012", &fields));
        }
        page("0123456789".repeat(100), DAY)
    });
    let ranged = || get("/a", &[("range", "bytes=0-2")]);
    assert_eq!(site.send(ranged()).await.text(), "012");
    assert_eq!(site.send(ranged()).await.text(), "012");
    assert_eq!(site.calls(), 2, "a part is not stored");
    let whole = site.stored(|| get("/a", &[])).await;
    assert_eq!((whole.status.as_u16(), whole.text()), (200, &*"0123456789".repeat(100)));
    assert_eq!(site.calls(), 3);
    for (range, status, body) in [
        ("bytes=0-2", 206, "012"),
        ("bytes=998-", 206, "89"),
        ("bytes=-3", 206, "789"),
        ("bytes=1000-", 416, ""),
        ("lines=1-2", 200, &*"0123456789".repeat(100)),
    ] {
        let reply = site.send(get("/a", &[("range", range)])).await;
        assert_eq!((reply.status.as_u16(), reply.text()), (status, body), "{range}");
        assert!(reply.is_hit());
    }
    let several = site.send(get("/a", &[("range", "bytes=0-1,905-906")])).await;
    assert_eq!(several.status, 206);
    assert!(several.field("content-type").unwrap().starts_with("multipart/byteranges"));
    assert!(several.text().contains("bytes 905-906/1000\r\n\r\n56\r\n"), "{}", several.text());
    assert_eq!(several.field("content-length"), Some(&*several.body.len().to_string()));
    assert_eq!(site.calls(), 3);
}

fn query(request: &http::Request<()>) -> String {
    request.uri().query().unwrap_or("none").to_owned()
}

async fn the_query_counts_as_it_is_sent(world: World) {
    let site = greeting(&world, CachePolicy::new(), query);
    for path in [
        "/",
        "/?",
        "/?a=1&b=2",
        "/?b=2&a=1",
        "/?a=1",
        "/?a=1&a=2",
        "/?A=1",
        "/?a=%31",
        "/a",
        "/a/",
        "/%61",
        "/a?/",
    ] {
        let reply = site.get(path).await;
        assert!(!reply.is_hit(), "{path}");
    }
    assert_eq!(site.get("/?b=2&a=1").await.text(), "hello b=2&a=1");
    assert_eq!(site.get("/?a=1&b=2").await.text(), "hello a=1&b=2");
    assert_eq!(site.calls(), 12);
}

async fn a_policy_may_sort_and_select_parameters(world: World) {
    let key = QueryKey::new().except(["utm_source"]).sorted();
    let site = greeting(&world, CachePolicy::new().query(key), query);
    site.get("/?a=1&b=2").await;
    assert!(site.get("/?b=2&a=1&utm_source=mail").await.is_hit());
    assert!(!site.get("/?b=2&a=2").await.is_hit());
    assert!(!site.get("/?a=1").await.is_hit());
}

async fn a_header_in_the_key_keeps_tenants_apart(world: World) {
    let policy = CachePolicy::new().key_header(HeaderName::from_static("x-tenant"));
    let site = greeting(&world, policy, |request| {
        let all: Vec<_> = request.headers().get_all("x-tenant").iter().map(|v| v.to_str().unwrap()).collect();
        all.join("|")
    });
    let tenants: [&[(&str, &str)]; 7] = [
        &[],
        &[("x-tenant", "")],
        &[("x-tenant", "a")],
        &[("x-tenant", "A")],
        &[("x-tenant", "a"), ("x-tenant", "b")],
        &[("x-tenant", "b"), ("x-tenant", "a")],
        &[("x-tenant", "a,b")],
    ];
    for round in 0..2 {
        for fields in tenants {
            let expected: Vec<_> = fields.iter().map(|(_, value)| *value).collect();
            let reply = site.send(get("/", fields)).await;
            assert_eq!(reply.text(), format!("hello {}", expected.join("|")));
            assert_eq!(reply.is_hit(), round == 1, "{fields:?}");
        }
    }
}

async fn anything_may_be_part_of_the_key(world: World) {
    let policy = CachePolicy::new()
        .key_part(|request| request.header("x-a").map(|a| String::from_utf8_lossy(&a).into_owned()))
        .key_part(|request| request.header("x-b").map(|b| String::from_utf8_lossy(&b).into_owned()));
    let site = greeting(&world, policy, |request| format!("{:?}", request.headers()));
    for fields in [
        &[][..],
        &[("x-a", "")],
        &[("x-b", "")],
        &[("x-a", "+")],
        &[("x-a", "-")],
        &[("x-b", "-")],
        &[("x-a", "1"), ("x-b", "2")],
        &[("x-a", "2"), ("x-b", "1")],
    ] {
        let first = site.send(get("/", fields)).await;
        assert!(!first.is_hit(), "{fields:?}");
        assert_eq!(site.send(get("/", fields)).await.text(), first.text());
    }
    assert_eq!(site.calls(), 8);
}

async fn requests_that_mean_something_else_are_left_alone(world: World) {
    let site = Site::counting(world.cache(), DAY);
    for (name, value) in [
        ("upgrade", "websocket"),
        ("content-length", "3"),
        ("transfer-encoding", "chunked"),
        ("x-http-method-override", "DELETE"),
        ("x-original-url", "/admin"),
        ("x-rewrite-url", "/admin"),
        ("if-match", "\"1\""),
    ] {
        let before = site.calls();
        let reply = site.send(get("/a", &[(name, value)])).await;
        assert!(reply.told().starts_with("tower-keep; fwd=bypass"), "{}", reply.told());
        assert_eq!(site.calls(), before + 1, "{name}");
    }
    assert_eq!(site.get("/a").await.text(), "7", "none of them filled");
    assert_eq!(
        site.send(get("/a", &[("upgrade", "h2c")])).await.text(),
        "8",
        "none is answered from the store"
    );
}

async fn what_the_policy_leaves_alone_is_neither_stored_nor_answered(world: World) {
    let policy = CachePolicy::new().bypass_if(|request| request.query() == Some("preview"));
    let site = Site::counting(world.with(policy), DAY);
    for n in ["0", "1"] {
        let reply = site.get("/a?preview").await;
        assert_eq!(reply.text(), n);
        assert!(reply.told().contains("fwd=bypass"), "{}", reply.told());
    }
    assert!(site.get("/a").await.text() == "2" && site.get("/a").await.is_hit());
}

fn hiding() -> CachePolicy {
    CachePolicy::new()
        .unkeyed_input(UnkeyedInput::Hidden)
        .vary_on(&http::header::ACCEPT_LANGUAGE)
        .key_header(HeaderName::from_static("x-tenant"))
}

const FROM_A_BROWSER: &[(&str, &str)] = &[
    ("host", HOST),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-scheme", "nothttps"),
    ("forwarded", "host=evil.example"),
    ("x-forwarded-for", "192.0.2.1"),
    ("cookie", "id=alice"),
    ("authorization", "alice"),
    ("user-agent", "<script>"),
    ("origin", "https://evil.example"),
    ("accept", "text/html"),
    ("accept-language", "fr"),
    ("x-tenant", "a"),
    ("traceparent", "00-1-2-01"),
];

async fn hidden_input_reaches_no_handler(world: World) {
    let site = Site::counting(world.with(hiding()), &[("cache-control", "public, max-age=60")]);
    site.send(get("/a", FROM_A_BROWSER)).await;
    let mut seen: Vec<_> = site.origin.last().headers.keys().map(ToString::to_string).collect();
    seen.sort();
    assert_eq!(seen, ["accept-language", "host", "traceparent", "x-tenant"]);
    assert!(site.send(get("/a", &[("x-tenant", "a"), ("cookie", "id=bob")])).await.is_hit());
}

/// What a handler answers must not hang on whether there was room to store it.
async fn hidden_input_stays_hidden_when_nothing_is_stored(world: World) {
    let policy = hiding().bypass_if(|request| request.path() == "/plain");
    let site = Site::counting(world.with(policy), &[("cache-control", "no-store")]);
    for (method, path) in [("GET", "/a"), ("GET", "/a"), ("HEAD", "/a"), ("GET", "/b")] {
        site.send(request(method, path, FROM_A_BROWSER)).await;
        assert!(!site.origin.last().headers.contains_key("cookie"), "{method} {path}");
    }
    site.send(request("POST", "/a", FROM_A_BROWSER)).await;
    assert!(site.origin.last().headers.contains_key("cookie"), "nothing is stored for a POST");
    site.send(get("/plain", FROM_A_BROWSER)).await;
    assert!(site.origin.last().headers.contains_key("cookie"), "the policy left it alone");
}

async fn hidden_parameters_reach_no_handler(world: World) {
    let key = QueryKey::new().only(["q"]).sorted();
    let site = greeting(&world, hiding().query(key), query);
    let first = site.get("/s?callback=evil&q=shoes").await;
    assert_eq!(first.text(), "hello q=shoes");
    assert!(site.get("/s?q=shoes").await.is_hit());
    assert_eq!(site.origin.last().uri.path(), "/s");
    assert_eq!(site.get("http://shop.example/s?x=1").await.text(), "hello none");
}
