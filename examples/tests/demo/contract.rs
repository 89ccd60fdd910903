//! The table of routes, on both stores.

use std::time::Instant;

use http_body_util::BodyExt;
use hyper::Request;
use keep_testing::Answer;
use serde_json::{Value, json};

use crate::client::form;
use crate::program::{Demo, PATIENCE, on_each_store};

fn assert_problem(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    let problem = answer.json();
    assert_eq!((&problem["type"], &problem["status"]), (&json!("about:blank"), &json!(status)));
    assert_eq!(problem.as_object().unwrap().len(), 3, "nothing of the inside: {problem}");
}

#[tokio::test]
async fn the_page_and_the_plain_route() {
    on_each_store(async |demo, _| {
        let mut client = demo.client();
        let page = client.get("/").await;
        assert_eq!(
            (page.status.as_u16(), page.header("content-type")),
            (200, Some("text/html; charset=utf-8"))
        );
        assert!(page.body.contains("<!doctype html>") && !page.body.contains("{{"), "{}", page.body);
        let plain = client.get("/plain").await;
        assert_eq!((plain.status.as_u16(), plain.body.as_str()), (200, "ok"));
        assert!(client.cookies.is_empty(), "whoever only looks is given no cookie");
        let mut client = demo.signed_in("<b>\"'&").await;
        let page = client.get("/").await.body;
        assert!(page.contains("&lt;b&gt;") && !page.contains("<b>\""), "names are escaped");
        assert_eq!(page.matches("</b>").count(), 2);
    })
    .await;
}

#[tokio::test]
async fn signing_in_and_out() {
    on_each_store(async |demo, server| {
        let mut client = demo.client();
        let nobody = json!({ "user": null, "handle": null, "visits": 0, "entries": {} });
        assert_eq!(client.me().await, nobody);
        let login = client.login("alice").await;
        assert_eq!(login.json(), json!({ "user": "alice", "handle": client.handle() }));
        assert_eq!(login.header("cache-control"), Some("no-store"));
        let line = login.set_cookies()[0];
        assert!(line.starts_with("session=") && line.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{line}");
        if let Some(server) = server {
            assert_eq!(server.cmd::<u64>("EXISTS", format!("demo:session:{}", client.handle())), 1);
        }
        let (me, old) = (client.me().await, client.clone());
        assert_eq!((&me["user"], &me["handle"]), (&json!("alice"), &json!(client.handle())));
        client.login("alice").await;
        assert_eq!(old.clone().me().await, nobody, "the cookie from before the sign-in is dead");
        let logout = client.post("/logout").await;
        assert_eq!((logout.status.as_u16(), logout.body.as_str()), (204, ""));
        assert!(client.cookies.is_empty());
        assert_eq!(old.clone().me().await, nobody);
        assert_eq!(client.post("/logout").await.status, 204);
    })
    .await;
}

#[tokio::test]
async fn the_counter_and_entries() {
    on_each_store(async |demo, _| {
        let mut client = demo.client();
        for n in 1..=3 {
            assert_eq!(client.post("/api/visits").await.json(), json!({ "visits": n }));
        }
        assert_eq!(client.put("/api/entries/color", "green").await.status, 204);
        assert_eq!(client.put("/api/entries/visits", "not the counter").await.status, 204);
        assert_eq!(client.put("/api/entries/%C3%BC%20%2F", "ü").await.status, 204);
        client.login("alice").await;
        let me = client.me().await;
        assert_eq!(me["visits"], 3);
        let entries = json!({ "color": "green", "visits": "not the counter", "ü /": "ü" });
        assert_eq!(me["entries"], entries, "they survive the sign-in");
        assert_eq!(client.delete("/api/entries/color").await.status, 204);
        assert_eq!(client.delete("/api/entries/color").await.status, 204);
        assert_eq!(client.me().await["entries"].as_object().unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_slow_write_is_saved_at_its_end_and_not_after_a_sign_out() {
    on_each_store(async |demo, _| {
        let client = demo.signed_in("alice").await;
        let (mut slow, mut other) = (client.clone(), client.clone());
        let begun = Instant::now();
        let write = tokio::spawn(async move { slow.put("/api/entries/a?delay_ms=300", "1").await });
        other.put("/api/entries/b", "2").await;
        assert_eq!(other.me().await["entries"], json!({ "b": "2" }), "the save comes at the end");
        assert_eq!(write.await.unwrap().status, 204);
        assert!(begun.elapsed().as_millis() >= 300);
        assert_eq!(other.me().await["entries"], json!({ "a": "1", "b": "2" }));

        let mut slow = client.clone();
        let write = tokio::spawn(async move { slow.put("/api/entries/a?delay_ms=1500", "late").await });
        tokio::time::sleep(std::time::Duration::from_millis(500)).await; // the write has loaded its session
        assert_eq!(other.post("/logout").await.status, 204);
        let late = write.await.unwrap();
        assert_eq!((late.status.as_u16(), late.set_cookies()), (204, Vec::new()));
        assert_eq!(client.clone().me().await["user"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn devices() {
    on_each_store(async |demo, _| {
        let mut stranger = demo.client();
        for answer in [
            stranger.get("/api/devices").await,
            stranger.post("/api/logout-others").await,
            stranger.delete(&format!("/api/devices/{}", "A".repeat(22))).await,
        ] {
            assert_problem(&answer, 401);
        }
        let (mut phone, mut laptop) = (demo.signed_in("alice").await, demo.signed_in("alice").await);
        let mut bob = demo.signed_in("bob").await;
        let list = phone.get("/api/devices").await.json();
        let list = list.as_array().unwrap();
        assert_eq!(list.len(), 2);
        for device in list {
            let keys: Vec<_> = device.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(keys, ["created_at", "current", "handle", "last_seen_at", "user_agent"]);
            assert_eq!(device["current"], device["handle"] == phone.handle());
            assert_eq!(device["user_agent"], "alice's browser");
            let (created, seen) = (device["created_at"].as_u64(), device["last_seen_at"].as_u64());
            assert!(created > Some(1_700_000_000) && seen >= created, "{device}");
        }
        let (of_laptop, of_bob) =
            (format!("/api/devices/{}", laptop.handle()), format!("/api/devices/{}", bob.handle()));
        assert_problem(&phone.delete(&of_bob).await, 404);
        assert_problem(&phone.delete("/api/devices/nonsense").await, 404);
        assert_eq!(bob.me().await["user"], "bob");
        assert_eq!(phone.delete(&of_laptop).await.status, 204);
        assert_problem(&phone.delete(&of_laptop).await, 404);
        assert_eq!(laptop.me().await["user"], Value::Null);
        let (mut tablet, mut tv) = (demo.signed_in("alice").await, demo.signed_in("alice").await);
        assert_eq!(phone.post("/api/logout-others").await.json(), json!({ "revoked": 2 }));
        assert_eq!((tablet.me().await, tv.me().await), (stranger.me().await, stranger.me().await));
        assert_eq!(phone.me().await["user"], "alice");
    })
    .await;
}

#[tokio::test]
async fn deleting_the_key_signs_out_at_the_next_request() {
    let server = keep_testing::RedisServer::start();
    let demo = Demo::on(&server).await;
    let mut client = demo.signed_in("alice").await;
    client.post("/api/visits").await;
    assert_eq!(server.cmd::<u64>("DEL", format!("demo:session:{}", client.handle())), 1);
    let me = client.me().await;
    assert_eq!((&me["user"], &me["visits"]), (&Value::Null, &json!(0)));
    assert_problem(&client.get("/api/devices").await, 401);
}

#[tokio::test]
async fn errors_are_problems() {
    on_each_store(async |demo, _| {
        let mut client = demo.client();
        for (method, path, status) in [
            ("GET", "/nowhere", 404),
            ("GET", "/api/nowhere", 404),
            ("GET", "/login", 405),
            ("POST", "/login", 415),
            ("PATCH", "/api/visits", 405),
            ("PUT", "/api/entries/x?delay_ms=soon", 400),
            ("PUT", "/api/entries/x?delay_ms=-1", 400),
            ("PUT", "/api/entries/%FF", 400),
            ("DELETE", "/api/entries/%FF", 400),
            ("DELETE", "/api/devices/%FF", 400),
        ] {
            let request = Request::builder().method(method).uri(path).body(String::new()).unwrap();
            let answer = client.send(request).await;
            assert_eq!(answer.status, status, "{method} {path}");
            assert_problem(&answer, status);
        }
        let long = "n".repeat(200);
        assert_problem(&client.put(&format!("/api/entries/{long}"), "x").await, 400);
        assert_problem(&client.put("/api/entries/x", &"x".repeat(100_000)).await, 413);
        assert_problem(&client.put("/api/entries/x", &"x".repeat(3 << 20)).await, 413);
        for body in ["", "user=", "name=alice", "user=%00", &format!("user={}", "n".repeat(257))] {
            let answer = client.send(form("x").body(body.to_owned()).unwrap()).await;
            assert!(answer.status.is_client_error(), "{body}: {answer:?}");
            assert_problem(&answer, answer.status.as_u16());
        }
        assert!(client.cookies.is_empty());
        assert_eq!(demo.warnings(), Vec::<String>::new(), "what clients do wrong is no warning");
    })
    .await;
}

#[tokio::test]
async fn requests_of_other_sites_are_refused() {
    let demo = Demo::start(&[]).await;
    let mut client = demo.signed_in("alice").await;
    for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        let request = Request::post("/logout").header(name, value).body(String::new()).unwrap();
        assert_problem(&client.send(request).await, 403);
    }
    assert_eq!(client.me().await["user"], "alice");
    let own = format!("http://{}", demo.address);
    let request = Request::post("/api/visits").header("origin", own).body(String::new()).unwrap();
    assert_eq!(client.send(request).await.status, 200);
}

#[tokio::test]
async fn events_arrive_one_by_one() {
    on_each_store(async |demo, _| {
        let request = Request::get("/stream").body(String::new()).unwrap();
        let begun = Instant::now();
        let response = demo.client().begin(request).await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let (mut body, mut heard, mut first) = (response.into_body(), Vec::new(), None);
        while let Some(frame) = tokio::time::timeout(PATIENCE, body.frame()).await.expect("silence") {
            first.get_or_insert_with(|| begun.elapsed());
            heard.extend(frame.unwrap().into_data().unwrap());
        }
        assert_eq!(
            String::from_utf8(heard).unwrap(),
            (0..5).map(|n| format!("data: {n}\n\n")).collect::<String>()
        );
        let (first, all) = (first.unwrap().as_millis(), begun.elapsed().as_millis());
        assert!(all >= 1_000 && all - first >= 500, "not held back: the first after {first} of {all} ms");
    })
    .await;
}

#[tokio::test]
async fn health_and_metrics() {
    on_each_store(async |demo, server| {
        demo.signed_in("alice").await;
        let health = demo.client().get("/healthz").await;
        let kind = if server.is_some() { "redis" } else { "memory" };
        let body = health.json();
        assert_eq!(
            (health.status.as_u16(), &body["store"], &body["status"]),
            (200, &json!(kind), &json!("up"))
        );
        assert!(body["latency_us"].is_u64() && body["pool"]["connections"].is_u64(), "{body}");
        let metrics = demo.client().get("/metrics").await;
        assert_eq!(metrics.status, 200);
        assert!(
            metrics.body.contains("tower_keep_session_events_total{reason=\"logged_in\"} 1"),
            "{}",
            metrics.body
        );
        assert!(!metrics.body.contains("alice"));
    })
    .await;
}
